"""Who is blamed for the death of a process, and for how long."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable
from pathlib import Path
from types import SimpleNamespace

import pytest

from durable_fsm.restate import crashes
from durable_fsm.restate.crashes import SLOTS, WIDTH, CrashRecorder, padded, recorded

_numbers = itertools.count(1)


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CrashRecorder:
    """The recorder of a process that looks for dead ones whenever it is asked."""
    monkeypatch.setattr(crashes, "LOOK_SECONDS", 0.0)
    return CrashRecorder(tmp_path)


def dies(directory: Path, *running: str) -> None:
    """Leave what a process leaves that dies while these invocations run."""
    slots = b"".join([bytes(WIDTH), *map(padded, running)]).ljust(SLOTS * WIDTH, b"\0")
    (directory / f"0-{next(_numbers)}.running").write_bytes(slots)


def slots_of(recorder: CrashRecorder, directory: Path) -> list[str]:
    [file] = directory.glob(f"{recorder.process}-*.running")
    text = file.read_bytes()
    return [text[at : at + WIDTH].rstrip(b"\0").decode() for at in range(0, len(text), WIDTH) if text[at]]


def test_an_invocation_that_was_running_at_three_deaths_is_refused_once_for_each_further_one(
    ours: CrashRecorder, tmp_path: Path
) -> None:
    refusals: list[bool] = []
    for _ in range(5):
        dies(tmp_path, "inv_bad")
        refusals += [ours.refusal("inv_bad") is not None, ours.refusal("inv_bad") is not None]

    assert refusals == [False, False, False, False, True, False, True, False, True, False]
    assert ours.refusal("inv_good") is None
    assert list(tmp_path.glob("0-*")) == []


def test_deaths_are_counted_by_all_processes_together(ours: CrashRecorder, tmp_path: Path) -> None:
    other = CrashRecorder(tmp_path / ".." / tmp_path.name)
    for _ in range(3):
        dies(tmp_path, "inv_bad", "inv_beside")

    assert other.refusal("inv_good") is None
    assert "ended its process 3 times" in (ours.refusal("inv_bad") or "")
    assert "ended its process 3 times" in (other.refusal("inv_beside") or "")
    assert other.refusal("inv_bad") is None  # it was refused already


def test_deaths_of_long_ago_do_not_count(ours: CrashRecorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000_000.0]
    monkeypatch.setattr(crashes, "time", SimpleNamespace(time=lambda: now[0], monotonic=lambda: now[0]))
    for pause in (0, 0, 2 * crashes.WINDOW_SECONDS, 0):
        now[0] += pause
        dies(tmp_path, "inv_unlucky")
        assert ours.refusal("inv_unlucky") is None
    dies(tmp_path, "inv_unlucky")
    assert ours.refusal("inv_unlucky") is not None

    now[0] += 3 * crashes.WINDOW_SECONDS
    assert ours.refusal("inv_unlucky") is None
    assert (tmp_path / "deaths").read_bytes() == b"{}"


def test_only_code_that_runs_is_kept(ours: CrashRecorder, tmp_path: Path) -> None:
    seen: list[list[str]] = []

    async def handle() -> str:
        seen.append(slots_of(ours, tmp_path))
        waiting = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: (seen.append(slots_of(ours, tmp_path)), waiting.set_result(None)))
        await waiting
        with ours.in_thread("inv_2"):
            seen.append(slots_of(ours, tmp_path))
        return "done"

    async def story() -> str:
        return await recorded(handle(), ours, "inv_1")

    assert asyncio.run(story()) == "done"
    assert seen == [["inv_1"], [], ["inv_1", "inv_2"]]
    assert slots_of(ours, tmp_path) == []


def test_an_orderly_end_blames_no_one(ours: CrashRecorder, tmp_path: Path) -> None:
    ours.begin(padded("inv_1"))
    with ours.in_thread("inv_2"):
        ours.close()
        assert slots_of(ours, tmp_path) == []


def test_a_coroutine_that_is_watched_ends_as_it_would_by_itself(ours: CrashRecorder) -> None:
    ended: list[str] = []

    async def handle(event: asyncio.Event) -> None:
        try:
            await event.wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        finally:
            ended.append("ended")

    async def story() -> None:
        async def begun(work: Awaitable[None]) -> None:
            await recorded(work, ours, "inv_1")

        task = asyncio.create_task(begun(handle(asyncio.Event())))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        coroutine = begun(handle(asyncio.Event()))
        coroutine.send(None)
        coroutine.close()

    asyncio.run(story())
    assert ended == ["cancelled", "ended", "ended"]


def test_more_threads_than_there_is_room_for_are_not_kept(ours: CrashRecorder, tmp_path: Path) -> None:
    ours._free = []
    with ours.in_thread("inv_1"):
        assert slots_of(ours, tmp_path) == []


def test_a_ledger_that_cannot_be_read_is_begun_anew(ours: CrashRecorder, tmp_path: Path) -> None:
    (tmp_path / "deaths").write_text("{")
    dies(tmp_path, "inv_1")

    assert ours.refusal("inv_1") is None
    assert b"inv_1" in (tmp_path / "deaths").read_bytes()


@pytest.mark.parametrize("given", ["", "/proc/nowhere"])
def test_without_a_directory_nothing_is_counted(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(crashes.DIRECTORY, given)
    crashes._recorder_of.cache_clear()

    assert crashes.recorder() is None

    crashes._recorder_of.cache_clear()


def test_the_directory_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)

    with pytest.raises(PermissionError, match="belongs to another user"):
        CrashRecorder(tmp_path)
