"""The history of a machine: complete, in order, kept as long as its chart says, at a constant cost per event."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from durable_fsm.admin.past import past
from durable_fsm.cli import main
from durable_fsm.core.interchange import chart_from_json
from durable_fsm.restate.names import CHART
from durable_fsm.restate.stored.history import PAGE
from durable_fsm.testing import EffectLog, RestateServer, wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def history(host: Host, chart: str, key: str, **wanted: int) -> dict[str, Any]:
    return host.receipt(chart, key, "history", wanted or None)


def write(host: Host, chart: str, key: str, times: int) -> None:
    for _ in range(times):
        host.receipt(chart, key, "write")


def pages(host: Host, chart: str, key: str) -> list[int]:
    """Numbers of the pages that are stored for a key, in any life."""
    rows = host.server.query(
        f"SELECT DISTINCT service_key FROM state WHERE service_name = '{chart}.history'"
        f" AND service_key LIKE '{key}~%' ORDER BY service_key"
    )
    return sorted(int(row["service_key"].rpartition("~")[2]) for row in rows)


def test_a_history_entry_says_what_happened(host: Host) -> None:
    order = host.key("order")
    host.receipt("Order", order, "checkout", {"effect": order})
    host.wait_in("Order", order, "paid")

    created, checked_out, done = history(host, "Order", order)["entries"]

    assert (created["n"], created["seq"], created["event"], created["outcome"]) == (1, 1, "create", "taken")
    assert created["steps"] == [{"entered": ["cart"]}]
    assert checked_out["event"] == "checkout"
    [step] = checked_out["steps"]
    assert (step["exited"], step["entered"]) == (["cart"], ["charging"])
    assert step["transitions"] == ["cart--checkout--1"]
    assert (done["event"], done["seq"]) == ("done.invoke.charging", 3)


def test_a_guard_that_raises_is_in_the_history(host: Host) -> None:
    gate = host.key("gate")

    host.receipt("Turnstile", gate, "coin", {"cts": 60})  # the chart calls it cents

    errors = history(host, "Turnstile", gate)["entries"][-1]["errors"]
    assert [one["callback"] for one in errors] == ["cents + _event.data.cents >= 100", "assign cents"]
    assert all("cents" in one["problem"] for one in errors)
    places = ["--ingress", host.server.ingress_url, "--admin", host.server.admin_url]
    told = CliRunner().invoke(main, ["history", f"Turnstile/{gate}", *places], catch_exceptions=False)
    assert "assign cents: " in told.stdout


def test_every_macrostep_of_a_turn_has_a_history_entry(host: Host) -> None:
    desk = host.key("desk")
    host.receipt("Desk", desk, "begin")
    host.receipt("Desk", desk, "ask", "one")
    host.receipt("Desk", desk, "rest")

    entries = history(host, "Desk", desk)["entries"]

    assert [(entry["seq"], entry["event"], entry["outcome"]) for entry in entries] == [
        (1, "create", "taken"),
        (2, "begin", "taken"),
        (3, "ask", "deferred"),
        (4, "rest", "taken"),
        (5, "ask", "taken"),
    ]


def test_the_history_is_read_in_pages_across_crashes(host: Host) -> None:
    counter = host.key("counter")
    for _ in range(3):
        for _ in range(15):
            host.receipt("Counter", counter, "increment")
        host.served.restart()

    assert len(json.loads(host.stored("Counter", counter)["snapshot"])["log"]["tail"]) == 46 - 2 * PAGE

    found: list[int] = []
    wanted: dict[str, int] = {"limit": 7}
    while True:
        answer = history(host, "Counter", counter, **wanted)
        found += [entry["n"] for entry in answer["entries"]]
        if answer["next"] is None:
            break
        wanted = {"after": answer["next"], "limit": 7}

    assert found == list(range(1, 47))
    assert (answer["first"], answer["last"]) == (1, 46)
    assert [entry["n"] for entry in history(host, "Counter", counter, last=3)["entries"]] == [44, 45, 46]
    assert history(host, "Counter", counter, after=46)["entries"] == []
    assert [entry["n"] for entry in history(host, "Counter", counter, after=PAGE - 1, limit=2)["entries"]] == [
        PAGE,
        PAGE + 1,
    ]
    host.settled()
    assert pages(host, "Counter", counter) == [1, 2]


def test_a_history_with_a_limit_of_entries_forgets_its_beginning(host: Host) -> None:
    diary = host.key("diary")
    write(host, "Diary", diary, 5 * PAGE + 3)
    host.settled()

    answer = history(host, "Diary", diary, limit=1000)

    assert (answer["first"], answer["last"]) == (3 * PAGE + 1, 5 * PAGE + 4)
    assert [entry["n"] for entry in answer["entries"]] == list(range(3 * PAGE + 1, 5 * PAGE + 5))
    wait_until(lambda: pages(host, "Diary", diary) == [4, 5], what="the first pages to be forgotten")


def test_a_history_with_an_age_forgets_old_entries(awake: Host) -> None:
    host, diary = awake, awake.key("diary")
    write(host, "Fleeting", diary, 2 * PAGE)

    def left() -> list[int]:
        """What is left for a reader, who also waits for a page that is still on its way to its object."""
        return [entry["n"] for entry in history(host, "Fleeting", diary, limit=1000)["entries"]]

    wait_until(lambda: left() == [2 * PAGE + 1], what="all to be forgotten but what the machine itself has")
    assert pages(host, "Fleeting", diary) == []


def test_a_chart_may_keep_no_history(host: Host) -> None:
    diary = host.key("diary")
    write(host, "Silent", diary, PAGE + 1)

    answer = history(host, "Silent", diary)

    assert (answer["entries"], answer["last"]) == ([], 0)
    assert "log" not in host.stored("Silent", diary)["snapshot"]


def test_a_deleted_machine_leaves_no_history(host: Host) -> None:
    diary = host.key("diary")
    write(host, "Diary", diary, 4 * PAGE)
    wait_until(lambda: pages(host, "Diary", diary) == [3, 4], what="the last pages to be kept")
    host.receipt("Diary", diary, "delete")

    wait_until(lambda: pages(host, "Diary", diary) == [], what="the pages to be forgotten")
    assert host.post("Diary", diary, "history").status_code == 404
    write(host, "Diary", diary, 1)
    assert [entry["event"] for entry in history(host, "Diary", diary)["entries"]] == ["create", "write"]


@pytest.mark.parametrize("wanted", [{"after": -1}, {"last": 1, "limit": 2}, {"first": 1}, {"last": True}, [1], "all"])
def test_an_invalid_range_of_the_history_is_refused_with_the_reason(awake: Host, wanted: object) -> None:
    diary = awake.key("diary")
    write(awake, "Silent", diary, 1)

    answer = awake.post("Silent", diary, "history", wanted)

    assert (answer.status_code, answer.json()["metadata"]["type"]) == (400, "MalformedInput")


def test_a_recorded_machine_is_found_again_as_it_was_after_each_entry(host: Host) -> None:
    logbook, saved = host.key("logbook"), list[dict[str, Any]]()
    for number in range(25):
        host.receipt("Logbook", logbook, "note", {f"m{number % 5}": f"{number} " * 150})
        saved.append(host.snapshot("Logbook", logbook))
    host.receipt("Logbook", logbook, "close")
    host.settled()

    stored = json.loads(host.stored("Logbook", logbook)["snapshot"])
    rows = host.server.query(
        "SELECT service_key, value_utf8 FROM state WHERE service_name = 'Logbook.history'"
        f" AND service_key LIKE '{logbook}~%' ORDER BY service_key"
    )
    entries = [entry for row in rows for entry in json.loads(row["value_utf8"])] + stored["log"]["tail"]
    service = host.client.get(f"{host.server.admin_url}/services/Logbook").json()
    chart = chart_from_json(json.loads(service["metadata"][CHART]))
    for n, view in enumerate(saved, 2):
        found = past({"1": chart}.get, "1", stored["configuration"], entries, n)
        assert (found.leaves, found.data, found.problem) == (tuple(view["leaves"]), view["data"], "")
    assert [entry["n"] for entry in history(host, "Logbook", logbook)["entries"]] == list(range(1, 28))
    assert all("seed" in entry for entry in entries)
    assert "seed" not in json.dumps(history(host, "Logbook", logbook))
    assert sum(len(json.dumps(entry)) for entry in stored["log"]["tail"]) < 10_000
    host.receipt("Logbook", logbook, "delete")
    wait_until(lambda: pages(host, "Logbook", logbook) == [], what="the pages to be forgotten")


# ── what it costs ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_costs_the_same_however_long_the_history_is(awake: Host, scale: int) -> None:
    """At SCALE=10 after two thousand events, otherwise after two hundred, which are 10 pages."""
    host, counter = awake, awake.key("counter")
    sizes: list[int] = []
    commands: list[float] = []
    written = 0
    for until in (PAGE, 200 * scale):
        while written < until - PAGE:
            host.together([("Counter", counter, "increment", None)] * min(50, until - PAGE - written))
            written = host.snapshot("Counter", counter)["data"]["count"]
        journals = [host.post("Counter", counter, "increment").headers["x-restate-id"] for _ in range(PAGE)]
        written += PAGE
        sizes.append(sum(len(value) for value in host.stored("Counter", counter).values()))
        commands.append(commands_in(host, journals) / PAGE)

    print(f"after {PAGE} and {written} events: {sizes} bytes, {commands} journal entries an event")
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)
    assert commands[1] == pytest.approx(commands[0], rel=0.1)


def commands_in(host: Host, invocations: list[str]) -> int:
    """The number of commands in the journals of these invocations."""
    ids = ", ".join(f"'{invocation}'" for invocation in invocations)
    asked = f"SELECT count(id) AS n FROM sys_journal WHERE id IN ({ids}) AND entry_type LIKE 'Command%'"
    return int(host.server.query(asked)[0]["n"])


# ── when ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=["restate_server", "replaying_server"])
def stamping(
    request: pytest.FixtureRequest, hosting: type[Host], effect_log: EffectLog, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """The charts as users deploy them: with a clock that runs, and payloads that are not compared on replay."""
    server: RestateServer = request.getfixturevalue(request.param)
    log = tmp_path_factory.mktemp("stamping") / "service.log"
    with hosting.on(server, effect_log, log, DURABLE_FSM_PAYLOAD_CHECKS="") as host:
        yield host


def test_history_entries_and_timers_have_times(stamping: Host) -> None:
    host, order, began = stamping, stamping.key("order"), time.time() * 1_000
    host.receipt("Order", order, "checkout", {"effect": order})
    door = host.key("door")
    host.receipt("Door", door, "push", {"effect": door})
    host.wait_in("Order", order, "paid")
    cellar = host.key("cellar")
    host.receipt("Cellar", cellar, "fill")
    over = time.time() * 1_000

    for chart, key in (("Order", order), ("Door", door)):
        times = [entry["at"] for entry in history(host, chart, key)["entries"]]
        assert times == sorted(times)
        assert began - 1 <= times[0]
        assert times[-1] <= over + 1
    host.settled()
    taste, _ = host.snapshot("Cellar", cellar)["timers"]
    assert taste["due"].endswith("+00:00")
    assert len(host.effects.entries(door)) == 1


def test_a_recorded_machine_is_told_as_a_story_while_no_service_can_be_reached(awake: Host) -> None:
    key = awake.key("told")
    for number in range(PAGE):
        awake.receipt("Logbook", key, "note", {f"line {number}": "text"})
    awake.receipt("Logbook", key, "close")

    words, test, early = (
        told(awake, f"Logbook/{key}", *options) for options in ((), ("--pytest",), ("--upto", "2", "-o", "-"))
    )

    assert (words.exit_code, test.exit_code, early.exit_code) == (0, 0, 0), words.output + test.output + early.output
    assert words.stdout.splitlines()[0] == f'   1  create key="{key}"'
    assert words.stdout.splitlines()[-1] == f'{PAGE + 3:>4}  expect {{"leaves":["reading"],"status":"done"}}'
    assert "To do:\n- import Logbook from where it is" in test.stdout
    assert 'machine.send("note", {"line 7": "text"})' in test.stdout
    assert early.stdout.splitlines()[1:] == [
        '{"event":"note","payload":{"line 0":"text"}}',
        '{"expect":{"leaves":["writing"]}}',
    ]


def test_a_machine_without_a_story_says_what_would_help(awake: Host) -> None:
    book, desk = awake.key("blotter"), awake.key("desk")
    awake.receipt("Logbook", book, "note", {"a": "b"})
    awake.receipt("Logbook", book, "repair", {"move": "reading", "reason": "enough"})
    awake.receipt("Desk", desk, "begin")

    told_of = {
        name: told(awake, name)
        for name in (f"Logbook/{book}", f"Desk/{desk}", f"Logbook/{book[:-1]}x", f"Logbok/{book}")
    }

    repaired, unrecorded, unknown, misspelt = told_of.values()
    assert (repaired.exit_code, repaired.stdout.splitlines()[-1]) == (1, '   3  expect {"leaves":["writing"]}')
    assert "step 3 is a repair, which a rehearsal cannot do. The story ends before it." in repaired.stderr
    assert unrecorded.exit_code == unknown.exit_code == 5
    assert "its history was not recorded. Record machines that begin from now on: @durable(" in unrecorded.stderr
    assert f"there is no such machine. Did you mean '{book}'" in unknown.stderr
    assert (misspelt.exit_code, "Did you mean 'Logbook'?" in misspelt.stderr) == (2, True)
    assert told(awake, f"Logbook/{book}", "--upto", "9").exit_code == 2


def told(host: Host, machine: str, *options: str) -> Result:
    """The story of a machine, from the admin API alone."""
    places = ["--ingress", "http://127.0.0.1:9", "--admin", host.server.admin_url]
    return CliRunner().invoke(main, ["story", machine, *options, *places])
