"""An activity that fails and is tried again says so at once: what failed, where in the author's code, how often, since when."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm.testing import wait_until
from tests.server import failing_charts

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

SOURCE = Path(failing_charts.__file__)
LINE = next(n for n, line in enumerate(SOURCE.read_text().splitlines(), 1) if '["total"]' in line)
PLACE = f"failing_charts.py:{LINE} in total_in"


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A file without a total."""
    path = tmp_path / "books.json"
    path.write_text("{}")
    return path


def mended(books: Path) -> None:
    part = books.with_suffix(".part")
    part.write_text('{"total": 7}')
    part.rename(books)  # at once: a reader never sees half of it


def failing(host: Host, key: str, where: str = "activities", attempts: int = 2) -> list[dict[str, Any]]:
    """The steps that `snapshot` shows as failing, once each has failed so often."""

    def shown() -> list[dict[str, Any]]:
        runs = host.snapshot("Adding", key).get(where, ())
        found = [step for run in runs for step in run.get("failing", ())]
        return found if found and all(step["attempt"] >= attempts for step in found) else []

    return wait_until(shown, what=f"{key} to fail {attempts} times")


def is_forgotten(host: Host, key: str) -> bool:
    return host.stored("Adding.callbacks", key) == {}


WAYS = [("steps", "read"), ("at_once", "at_once"), ("alone", "read")]


@pytest.mark.parametrize(("way", "step"), WAYS)
def test_a_snapshot_says_why_an_activity_fails_until_it_succeeds(bench: Host, books: Path, way: str, step: str) -> None:
    key = bench.key(way)
    begun = datetime.now(UTC)
    bench.post("Adding", key, f"do_{way}/send", {"path": str(books)})

    [seen] = failing(bench, key)

    assert (seen["step"], seen["attempts"], seen["item"]) == (step, None, None)
    assert (seen["error"]["type"], seen["error"]["message"]) == ("KeyError", "'total'")
    assert seen["error"]["place"].endswith(PLACE)
    since, last, next = (datetime.fromisoformat(seen[name]) for name in ("since", "last", "next"))
    assert begun <= since < last < next
    mended(books)
    machine = bench.wait_in("Adding", key, "over")
    assert machine["activities"] == []
    wait_until(lambda: is_forgotten(bench, key), what="the failure to be forgotten")


def test_each_item_of_a_fan_out_says_why_it_fails(bench: Host, books: Path) -> None:
    key = bench.key("items")
    bench.receipt("Adding", key, "do_items", {"path": str(books)})

    def both() -> list[dict[str, Any]]:
        found = failing(bench, key)
        return found if len(found) == 2 else []

    seen = wait_until(both, what="both items to fail")

    assert [step["item"] for step in seen] == [0, 1]
    mended(books)
    bench.wait_in("Adding", key, "over")
    wait_until(lambda: is_forgotten(bench, key), what="the failures to be forgotten")


def test_work_that_no_state_waits_for_is_shown_as_long_as_it_fails(bench: Host, books: Path) -> None:
    key = bench.key("detached")
    bench.receipt("Adding", key, "do_detached", {"path": str(books)})

    [seen] = failing(bench, key, "detached")

    assert seen["step"] == "detached"
    assert bench.snapshot("Adding", key)["activities"] == []
    mended(books)
    wait_until(lambda: bench.snapshot("Adding", key)["detached"] == [], what="the work to be done")


def test_an_undo_says_why_it_fails(bench: Host, books: Path) -> None:
    key = bench.key("undo")
    bench.receipt("Adding", key, "do_undoing", {"path": str(books)})
    bench.wait_in("Adding", key, "noted")
    bench.receipt("Adding", key, "call_off")

    [seen] = failing(bench, key)

    assert seen["step"] == "take back"
    mended(books)
    bench.wait_in("Adding", key, "over")


def test_an_undo_says_why_it_fails_while_its_machine_is_deleted(bench: Host, books: Path) -> None:
    key = bench.key("undo")
    bench.receipt("Adding", key, "do_undoing", {"path": str(books)})
    bench.wait_in("Adding", key, "noted")
    bench.post("Adding", key, "delete/send", {"compensate": True})

    [seen] = failing(bench, key, "undo")

    assert seen["step"] == "take back"
    mended(books)
    wait_until(lambda: bench.snapshot("Adding", key) == {}, what="the machine to be deleted")
    wait_until(lambda: is_forgotten(bench, key), what="the failure to be forgotten")


@pytest.mark.parametrize("end", ["leave", "delete"])
def test_a_failure_is_forgotten_when_its_activity_is_stopped(bench: Host, books: Path, end: str) -> None:
    key = bench.key(end)
    bench.receipt("Adding", key, "do_steps", {"path": str(books)})
    failing(bench, key)

    bench.receipt("Adding", key, end)

    assert bench.snapshot("Adding", key).get("activities", []) == []
    wait_until(lambda: is_forgotten(bench, key), what="the failure to be forgotten")


def test_a_failure_shows_no_redacted_value(bench: Host, books: Path) -> None:
    key = bench.key("redacted")
    bench.receipt("Adding", key, "do_blabbing", {"path": str(books)})

    [seen] = failing(bench, key)

    assert seen["error"]["message"] == "the word is [redacted]"
    assert "swordfish" not in json.dumps(bench.stored("Adding.callbacks", key))
    bench.receipt("Adding", key, "leave")


def test_the_history_keeps_the_failure_that_ended_an_activity(bench: Host, books: Path) -> None:
    key = bench.key("thrice")
    bench.receipt("Adding", key, "do_thrice", {"path": str(books)})

    machine = bench.wait_in("Adding", key, "failed")

    entry = bench.receipt("Adding", key, "history")["entries"][-1]
    place = entry["failure"].pop("place")
    assert entry["event"] == "error.invoke.thrice"
    assert entry["failure"] == {"type": "KeyError", "message": "'total'", "attempts": 3}
    assert place.endswith(PLACE)
    assert machine["data"]["failure"] == {"type": "KeyError", "place": place, "attempts": 3}
    wait_until(lambda: is_forgotten(bench, key), what="the failure to be forgotten")


def test_the_history_says_why_an_activity_missed_its_deadline(bench: Host, books: Path) -> None:
    key = bench.key("late")
    bench.receipt("Adding", key, "do_late", {"path": str(books)})

    bench.wait_in("Adding", key, "failed")

    failure = bench.receipt("Adding", key, "history")["entries"][-1]["failure"]
    assert failure["type"] == "deadline"
    why = "Its last attempt failed: KeyError: 'total'"
    assert failure["message"] == f"activity 'late' did not end within 0:00:01. {why}"
    assert failure["place"].endswith(PLACE)
    assert failure["attempts"] >= 1


def test_a_failure_survives_the_death_of_its_process(bench: Host, books: Path) -> None:
    key = bench.key("killed")
    bench.receipt("Adding", key, "do_steps", {"path": str(books)})
    [before] = failing(bench, key)

    bench.served.kill()
    bench.served.restart()

    [after] = failing(bench, key, attempts=before["attempt"] + 1)
    assert after["since"] == before["since"]
    mended(books)
    bench.wait_in("Adding", key, "over")
    wait_until(lambda: is_forgotten(bench, key), what="the failure to be forgotten")
