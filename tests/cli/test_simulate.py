"""`durable-fsm simulate`: lines in, lines out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from durable_fsm.cli import main

LAMP = f"{Path(__file__).parent / 'lamp.py'}:Lamp"


def simulate(*lines: dict[str, object] | str, options: tuple[str, ...] = (), target: str = LAMP) -> Result:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return CliRunner().invoke(main, ["simulate", target, *options], input=text)


def states(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_start_and_every_line_print_one_state() -> None:
    result = simulate({"event": "press", "payload": {"by": 2}}, "", {"event": "press"})

    started, on, off = states(result)
    assert (started["outcome"], started["leaves"]) == ("created", ["off"])
    assert (on["outcome"], on["configuration"], on["data"]) == ("taken", ["on"], {"presses": 2})
    assert [effect["effect"] for effect in on["effects"]] == ["send", "start_activity", "send"]
    assert on["trace"] == [
        {"event": "press", "exited": ["off"], "transitions": ["off--press--1"], "entered": ["on"], "raised": []}
    ]
    assert (off["leaves"], off["data"]) == (["off"], {"presses": 3})


def test_the_clock_moves_only_when_told() -> None:
    result = simulate({"event": "press"}, {"advance": "4m59s"}, {"advance": "1s"})

    _, _, before, after = states(result)
    assert (before["leaves"], before["outcome"]) == (["on"], "advanced")
    assert after["leaves"] == ["off"]


def test_activities_end_as_the_lines_say() -> None:
    result = simulate(
        {"event": "press"},
        {"done": "on", "result": 7},
        {"event": "press"},
        {"event": "press"},
        {"error": "on", "message": "no tariff"},
    )

    assert [state["outcome"] for state in states(result)] == ["created", *["taken"] * 5]


def test_a_refused_event_is_a_state_with_its_error_and_not_the_end() -> None:
    result = simulate(
        {"event": "smash"}, {"event": "smasj"}, {"event": "go_out"}, {"event": "press", "payload": {"by": 0}},
        {"event": "press"}, {"event": "press"}, {"event": "smash"}, {"event": "press"},
    )  # fmt: skip

    _, rejected, unknown, forbidden, invalid, *_, finished = states(result)
    assert rejected["outcome"] == "rejected"
    assert rejected["error"] == (
        "Lamp/simulated: event 'smash' is not accepted in state 'off'. Guard 'has_been_pressed' says no. Accepted now: 'press'."
    )
    assert unknown["error"].endswith("Did you mean 'smash'?")
    assert forbidden["outcome"] == "forbidden"
    assert invalid["error"].endswith("input should be greater than or equal to 1 at $.by.")
    assert (finished["outcome"], finished["status"]) == ("finished", "done")


def test_data_creates_the_machine() -> None:
    started, *_ = states(simulate(options=("--data", '{"presses": 40}')))

    assert started["data"] == {"presses": 40}


def test_the_first_line_may_create_the_machine() -> None:
    _, created, on = states(simulate({"create": {"presses": 40}, "key": "l-1"}, {"event": "press"}))

    assert (created["outcome"], created["data"], on["data"]) == ("created", {"presses": 40}, {"presses": 41})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"create": {}, "kay": "l-1"}, "line 1: 'kay' has no meaning together with 'create'."),
        ({"create": {}, "key": 5}, "line 1: 'key' must be a string, not 5."),
    ],
    ids=["another member", "a key that is not a text"],
)
def test_a_first_line_that_cannot_create_the_machine_ends_the_run(line: dict[str, object], message: str) -> None:
    result = simulate(line)

    assert (result.exit_code, message in result.stderr) == (2, True)


def test_a_machine_that_cannot_begin_by_itself_begins_with_the_first_line() -> None:
    target = "machines.tickets.machine:Checkout"

    (begun,) = states(simulate({"create": {"user": "ada", "seats": []}}, target=target))
    refused = simulate({"event": "pay"}, target=target)

    assert begun["leaves"] == ["paying"]
    assert refused.exit_code == 2
    assert "at $.user." in refused.stderr


def test_a_timer_arrives_before_all_others() -> None:
    *_, on, off = states(simulate({"event": "press"}, {"timer": "go_out"}))

    assert (on["leaves"], off["leaves"]) == (["on"], ["off"])


def test_lost_work_and_late_outcomes_are_lines() -> None:
    lost = simulate({"event": "press"}, {"lost": "on"})
    late = simulate({"event": "press"}, {"done": "on", "late": True})

    assert "activity 'on' does not hold the machine; none does" in lost.stderr
    assert "activity 'on' is not running; running: on" in late.stderr


def test_an_event_of_a_topic_is_received() -> None:
    _, on = states(simulate({"receive": "press", "payload": {"by": 3}}))

    assert (on["outcome"], on["data"]) == ("taken", {"presses": 3})


def test_pretty_is_for_people() -> None:
    result = simulate({"event": "press"}, options=("--pretty",))

    assert result.exit_code == 0
    assert "taken  on  (running)" in result.stdout
    assert "press: off → on" in result.stdout


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{nope", "line 1: this is not valid JSON"),
        ("[1]", "line 1: expected a JSON object, got [1]."),
        (
            '{"x": 1}',
            "line 1: expected one of 'event', 'advance', 'timer', 'done', 'error', 'lost', 'returned', 'receive', 'message', 'expect', got {\"x\":1}.",
        ),
        ('{"event": "press", "advance": "1s"}', "line 1: expected one of"),
        ('{"event": "press", "playload": {}}', "line 1: 'playload' has no meaning together with 'event'."),
        ('{"event": 5}', "line 1: 'event' must be a string, not 5."),
        ('{"timer": "go_out", "place": "x"}', "line 1: 'place' must be a number, not \"x\"."),
        ('{"advance": "soon"}', "line 1: 'soon' is not a duration; write 100ms, 30s, 15m, 2h or 1d."),
        ('{"expect": {}}', "line 1: 'expect' must be an object with some of: leaves, configuration, status, data,"),
        ('{"expect": {"state": "on"}}', "line 1: 'expect' knows no 'state'. It compares: leaves,"),
        ('{"expect": {"data": 1}}', "line 1: 'data' of 'expect' must be an object: the members that are compared."),
        ('{"snapshot": 1}', "line 1: 'snapshot' must be a JSON object, not 1."),
        ('{"message": "press", "from": "x"}', "line 1: Lamp/simulated: child 'x' is not running; running: none"),
        ('{"event": "press", "in": "x"}', "line 1: Lamp/simulated: child 'x' is not running; running: none"),
        ('{"done": "on"}', "line 1: Lamp/simulated: activity 'on' is not running; running: none"),
    ],
)
def test_a_line_that_cannot_be_followed_ends_the_run_with_code_2(line: str, message: str) -> None:
    result = simulate(line)

    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "nowhere",
            "'nowhere' does not name a definition. Write 'module:Name', 'file.py:Name' or the path of an .scxml, .json or .yaml document.",
        ),
        ("nowhere:Lamp", "'nowhere' cannot be imported: there is no module 'nowhere'."),
        ("nowhere.py:Lamp", "There is no file 'nowhere.py'."),
        (LAMP.replace(":Lamp", ":Lmap"), "has no 'Lmap'. It has 'Lamp' (statechart), 'Press' (class),"),
        (
            LAMP.replace(":Lamp", ":NotAChart"),
            "is a class, neither a statechart nor an application. It has 'Lamp' (statechart),",
        ),
    ],
)
def test_a_target_that_leads_nowhere_says_why(target: str, message: str) -> None:
    result = simulate(target=target)

    assert result.exit_code == 2
    assert message in result.stderr


def test_help_says_what_a_line_is() -> None:
    result = CliRunner().invoke(main, ["simulate", "--help"])

    assert result.exit_code == 0
    assert '{"advance": "15m"}' in result.stdout


def test_a_line_may_expect_facts_of_the_machine_and_of_the_line_before() -> None:
    result = simulate(
        {"event": "press"},
        {"expect": {"leaves": ["on"], "data": {"presses": 1}, "status": "running", "outcome": "taken"}},
        {"event": "smash"},
        {"expect": {"outcome": "rejected"}},
    )

    assert [state["outcome"] for state in states(result)] == [
        "created",
        "taken",
        "as expected",
        "rejected",
        "as expected",
    ]


def test_what_is_not_as_expected_is_told_and_exits_with_1() -> None:
    result = simulate(
        {"event": "press"}, {"expect": {"leaves": ["off"], "data": {"presses": 2, "x": 1}}}, {"event": "press"}
    )

    assert result.exit_code == 1
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert (told[2]["outcome"], told[2]["error"]) == (
        "unexpected",
        'leaves is ["on"], expected ["off"]; $.presses is 1, expected 2; $.x is missing, expected 1',
    )
    assert told[3]["leaves"] == ["off"]


def test_another_machine_may_send_an_event() -> None:
    result = simulate({"message": "press", "from": "Wall/w-1"}, {"message": "press"})

    assert [state["leaves"] for state in states(result)] == [["off"], ["on"], ["off"]]
