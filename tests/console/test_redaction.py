"""Nothing secret comes through the redactor; and if it is not known what is secret, no data does."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest

from durable_fsm.admin.problems import Diagnosis
from durable_fsm.console.list_page import groups_of_troubles, troubles_page
from durable_fsm.console.machine_page import MachineScene, machine_page
from durable_fsm.console.machine_view import shown_of
from durable_fsm.console.reading import KnownChart
from durable_fsm.console.redaction import data_of
from durable_fsm.console.rendering import PageFrame
from durable_fsm.core.redact import REDACTED, Redaction
from tests.console.machines import CARD, KETTLE, facts, known, shown

FAILING = {
    "token": "abc.2.2", "activity": "boiling", "step": "boil", "attempt": 3, "since": 1, "at": 2, "next": 3,
    "type": "Cold", "message": f"no water for {CARD}", "place": "shop/tea.py:7 in boil",
}  # fmt: skip


def everything(**members: Any) -> str:
    """The page of a machine with its secret wherever a machine can have it."""
    full: dict[str, Any] = {
        "failing": FAILING,
        "activities": [{"token": "abc.2.2", "id": "boiling", "state": "boiling", "entry": 2}],
        "deferred": [{"token": "t", "event": "drink", "payload": {"card": CARD}}],
        "undo": [{"token": "u", "id": "boiling", "state": "boiling", "entry": 2, "result": f"paid by {CARD}"}],
        "output": {"note": f"{CARD}!"},
        "status": "failed",
        "failure": {"type": "Cold", "message": f"{CARD} was declined", "source": "boiling"},
        "paused": {"since": 1, "reason": f"{CARD} is being checked"},
    }
    return machine_page(MachineScene(PageFrame(), shown(**(full | members))))


def test_what_a_chart_redacts_is_nowhere_on_the_page() -> None:
    page = everything()

    assert CARD not in page
    assert REDACTED in page
    assert "oolong" in page
    assert "[redacted] is being checked" in page
    assert "card [redacted] is cold" in page  # the history says what failed, without the value


def test_without_the_list_of_secrets_no_data_and_no_text_of_a_failure_is_shown() -> None:
    page = everything(chart=known(redacts=False))

    assert CARD not in page
    assert "oolong" not in page
    assert "is cold" not in page
    assert "unknown which of it is secret" in page
    assert "shop/tea.py:7" in page  # the place in the code is not data


def test_a_console_without_data_shows_none() -> None:
    page = everything(hide_data=True)

    assert CARD not in page
    assert "oolong" not in page
    assert "--no-data" in page


def test_a_machine_of_an_unknown_chart_shows_no_data() -> None:
    assert "oolong" not in everything(chart=KnownChart("Kettle", None, "it is not registered"))


def test_secrets_of_any_chart_stay_behind_it(dice: random.Random, scale: int) -> None:
    names = list(string.ascii_lowercase[:6])

    def value(depth: int) -> Any:
        if depth == 0 or dice.random() < 0.3:
            return dice.choice([dice.randrange(10**6, 10**9), "".join(dice.choices(string.ascii_letters, k=9)), None])
        if dice.random() < 0.4:
            return [value(depth - 1) for _ in range(dice.randrange(3))]
        return {name: value(depth - 1) for name in dice.sample(names, 3)}

    for _ in range(50 * scale):
        redaction = Redaction.of(dice.sample([*names, "a.b", "c.d"], 2))
        data = {name: value(3) for name in names}
        secrets = [text for text in redaction.texts([data]) if len(text) >= 6]
        told = " ".join(["it", *secrets])
        machine = facts(
            data=data,
            output=data,
            status="failed",
            failure={"type": "Bad", "message": told, "source": ""},
            deferred=[{"token": "t", "event": "drink", "payload": data}],
            undo=[{"token": "u", "id": "boiling", "state": "boiling", "entry": 2, "result": [told, data]}],
            entries=[{"n": 1, "seq": 1, "event": "fill", "in": data, "failure": {"type": "Bad", "message": told}}],
        )
        chart = KnownChart("Kettle", KETTLE, "", redaction)

        page = machine_page(MachineScene(PageFrame(), shown_of(machine, machine.tail, chart)))

        assert [text for text in secrets if text in page] == []


@pytest.mark.parametrize("depth", [1, 40])
def test_data_that_is_too_long_is_cut(depth: int) -> None:
    value: Any = ["x" * 900] * 200
    for _ in range(depth):
        value = {"in": value}

    found = data_of(value)

    assert found.cut
    assert sum(len(row.text) for row in found.rows) <= 64 * 1024


def test_data_marks_what_changed_and_keeps_short_parts_on_one_line() -> None:
    found = data_of({"a": {"b": [1, 2]}, "c": {"long": "x" * 60, "d": None}, "e": []}, ["/c/d"])

    assert [(row.depth, row.name, row.text, row.changed) for row in found.rows] == [
        (1, "a", '{"b": [1, 2]}', False),
        (1, "c", "", False),
        (2, "long", f'"{"x" * 60}"', False),
        (2, "d", "null", True),
        (1, "e", "[]", False),
    ]


def test_troubles_name_no_address_of_the_server() -> None:
    found = [Diagnosis("paused", "Kettle is paused", "curl -X PATCH http://10.0.0.7:9070/invocations/inv_1/resume")]

    page = troubles_page(PageFrame(), groups_of_troubles(found))

    assert "10.0.0.7" not in page
    assert "curl -X PATCH $ADMIN/invocations/inv_1/resume<" in page
