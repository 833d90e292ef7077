"""Names that Restate does not accept are refused when the chart is made: one would stop a whole deployment."""

from __future__ import annotations

from pathlib import Path

import pytest
from statemachine import State, StateChart

import durable_fsm
from durable_fsm import DefinitionError, TransitionsConfig, chart_from, durable

ACCEPTED = (
    "Order",
    "o",
    "_Order",
    "A..b",
    "a-",
    "A_9",
    "dev.restate.X",
    "restaurant",
    "openapi.x",
    "deployments",
    "x" * 300,
)
"""A server took each of these names, and no one of the others."""

REFUSED = (
    ("My order", "My_order"),
    ("Größe", "Grosse"),
    ("Crédit", "Credit"),
    ("注文", "Machine"),
    ("9lives", "lives"),
    ("-a", "a"),
    ("__A", "A"),
    ("a/b", "a_b"),
    ("a\n", "a_"),
    ("Restate", "MyRestate"),
    ("restateful", "Myrestateful"),
    ("restate.Order", "Myrestate.Order"),
    ("openapi", "Myopenapi"),
)


def of_class(name: str) -> object:
    class Door(StateChart):
        open = State(initial=True)
        shut = State(final=True)
        close = open.to(shut)

    return durable(name=name)(Door)


def of_config(name: str) -> object:
    return TransitionsConfig(name, states=["open", "shut"], initial="open", transitions=[["close", "open", "shut"]])


@pytest.mark.parametrize("name", ACCEPTED, ids=lambda name: name[:20])
def test_a_name_that_restate_accepts_is_kept(name: str) -> None:
    assert chart_from(of_class(name)).name == chart_from(of_config(name)).name == name


@pytest.mark.parametrize(("name", "other"), REFUSED)
def test_a_name_that_restate_refuses_is_a_problem_with_another_name(name: str, other: str) -> None:
    for definition, remedy in (
        (of_class(name), f"Call it @durable(name='{other}')."),
        (of_config(name), f"Call it '{other}', say."),
    ):
        with pytest.raises(DefinitionError) as refused:
            durable_fsm.app(definition)

        [problem] = refused.value.problems
        assert problem.what.startswith(
            (f"'{name}' is a name that Restate keeps", f"'{name}' is not a name that Restate")
        )
        assert problem.remedy == remedy
        assert Path(__file__).name in problem.place


def test_the_name_of_a_class_is_refused_too() -> None:
    class Größe(StateChart):  # noqa: PLC2401
        klein = State(initial=True)
        fertig = State(final=True)
        ende = klein.to(fertig)

    with pytest.raises(DefinitionError, match=r"'Größe' is not a name that Restate accepts.*@durable\(name='Grosse'\)"):
        chart_from(Größe)


def test_a_document_is_called_by_a_name_that_restate_accepts(tmp_path: Path) -> None:
    text = '<scxml xmlns="http://www.w3.org/2005/07/scxml" name="{}"><state id="a"/></scxml>'
    named, reserved = tmp_path / "named.scxml", tmp_path / "restate.scxml"
    named.write_text(text.format("Meine Größe"), "utf-8")
    reserved.write_text(text.format(""), "utf-8")

    assert chart_from(named).name == "Meine_Gr_e"
    with pytest.raises(DefinitionError, match="'restate' is a name that Restate keeps for itself"):
        chart_from(reserved)


def test_a_handler_with_such_a_name_is_refused() -> None:
    config = TransitionsConfig(
        "Door", ["open", "shut"], [["close", "open", "shut"]], "open", handlers={"shut the door": "close"}
    )

    with pytest.raises(
        DefinitionError, match="handlers= names 'shut the door', which is not a name that Restate accepts"
    ):
        chart_from(config)


def test_two_services_of_one_name_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"'Door\.history' is the name of a chart and of what another one needs beside it"
    ):
        durable_fsm.app(of_config("Door"), of_config("Door.history"))
