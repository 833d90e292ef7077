"""The live stream while something is wrong: addresses that make no sense, machines that are not ours, viewers that do not read."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from types import SimpleNamespace
from typing import Any
from weakref import ref

import pytest

from durable_fsm.console.describing import Describer
from durable_fsm.console.live import MOST_WAITING, LiveMessage, LivePoller, Viewer, lacks_steps, messages_for
from durable_fsm.console.reading import ServerReader
from tests.console.machines import ENTRIES, KETTLE, facts, snapshot


@pytest.mark.parametrize(
    "seen", ["abc.²", "abc.", "abc", "²", f"abc.{'9' * 5_000}", "abc.-1"], ids=lambda text: text[:8]
)
def test_a_step_that_cannot_be_meant_counts_as_none(seen: str) -> None:
    assert not lacks_steps(facts(), seen)
    assert [one.id for one in messages_for(facts(), seen, Describer(KETTLE))] == ["abc.1", "abc.2", "abc.3", "abc.4"]


class _Reader:
    """A server whose answers are these."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def texts(self, chart: str, keys: list[str]) -> dict[str, Any]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {key: {("", "snapshot"): text} for key, text in answer.items()}

    def known(self, chart: str) -> None:
        return None


def watched(reader: _Reader, wanted: int, *keys: str) -> list[tuple[str, str]]:
    """The first messages to viewers of these machines."""
    poller = LivePoller(reader, "Kettle", timedelta(milliseconds=1))  # type: ignore[arg-type]
    told: list[tuple[str, str]] = []

    async def watch(key: str) -> None:
        async for message in poller.watch(Viewer(key, "", "")):
            told.append((key, message.event if message.event != "stale" else message.data["problem"]))
            if len([one for one, _ in told if one == key]) == wanted:
                return

    async def all_of_them() -> None:
        await asyncio.gather(*map(watch, keys))

    asyncio.run(all_of_them())
    return told


def test_a_stream_continues_after_an_answer_that_is_not_ours(caplog: pytest.LogCaptureFixture) -> None:
    assert watched(_Reader(KeyError("n"), {}), 2, "k-1") == [
        ("k-1", "The console has failed; its log says why."),
        ("k-1", "beat"),
    ]
    assert "the live pages of Kettle could not be brought up to date" in caplog.text


def test_a_machine_that_is_not_ours_spoils_nobody_elses_stream(caplog: pytest.LogCaptureFixture) -> None:
    good, bad = json.dumps(snapshot(entries=ENTRIES[:1], seq=1)), json.dumps(snapshot(entries=[{"n": "one"}]))

    told = watched(_Reader({"k-1": bad, "k-2": good}), 2, "k-1", "k-2")

    assert sorted(told) == [("k-1", "beat"), ("k-1", "changed"), ("k-2", "beat"), ("k-2", "moved")]
    assert caplog.text.count("Kettle/k-1 cannot be brought up to date on live pages") == 1


def test_a_viewer_who_does_not_read_is_left_after_a_while() -> None:
    poller = LivePoller(SimpleNamespace(), "Kettle", timedelta(milliseconds=1))  # type: ignore[arg-type]
    viewer = Viewer("k-1", "", "")
    for number in range(3 * MOST_WAITING):
        viewer.tell(LiveMessage("beat", {"as_of": number}))

    async def rest() -> list[LiveMessage]:
        return [message async for message in poller.watch(viewer)]

    assert [message.data["as_of"] for message in asyncio.run(rest())] == [*range(MOST_WAITING)]


def test_who_asks_while_a_value_is_read_waits_for_the_same_answer() -> None:
    reader = ServerReader(SimpleNamespace())  # type: ignore[arg-type]
    begun, others, read = Event(), [Event() for _ in range(3)], list[int]()

    def value() -> int:
        read.append(1)
        begun.set()
        assert all(one.wait(60) for one in others)
        return len(read)

    def ask(other: Event) -> int:
        other.set()
        return reader.remembered("counts", 60, value)

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(reader.remembered, "counts", 60, value)
        assert begun.wait(60)
        answers = [*pool.map(ask, others), first.result()]

    assert (answers, read) == ([1] * 4, [1])
    with pytest.raises(ZeroDivisionError):
        reader.remembered("other", 60, lambda: 1 // 0)
    assert reader.remembered("other", 60, lambda: 7) == 7


def test_a_value_that_serves_nobody_any_more_is_not_kept() -> None:
    reader = ServerReader(SimpleNamespace())  # type: ignore[arg-type]

    kept = [ref(reader.remembered(f"machine {number}", -1, _Reader)) for number in range(3)]

    assert [one() is not None for one in kept] == [False, False, True]
