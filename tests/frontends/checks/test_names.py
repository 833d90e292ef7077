"""Names that would mean two things: those of handlers, and those of payload members."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import TransitionsConfig, chart_from, durable, event
from durable_fsm.errors import DefinitionError, DefinitionWarning


class Report(BaseModel):
    event: str
    text: str
    result: str = ""


def test_a_member_that_callbacks_cannot_ask_for_is_a_warning_where_the_event_is_declared() -> None:
    class Log(StateChart[None]):
        open = State(initial=True)
        shut = State(final=True)
        report = event(open.to(shut), Report)

        def on_report(self, event: str, text: str, result: str) -> None: ...

    words = f"the payload of 'report' has 'event', and a callback that asks .*Read payload.event there.*{__file__}:26"
    with pytest.warns(DefinitionWarning, match=words):
        chart_from(Log)


def test_a_configuration_with_such_a_payload_is_refused() -> None:
    def note(event: str) -> None: ...

    log = TransitionsConfig(
        "Log",
        states=["open", {"name": "shut", "final": True}],
        transitions=[{"trigger": "report", "source": "open", "dest": "shut", "before": note}],
        initial="open",
        events={"report": Report},
    )

    with pytest.raises(DefinitionError, match=r"the payload of 'report' has 'event'"):
        chart_from(log)


def test_callbacks_of_other_events_may_ask_for_the_name() -> None:
    class Log(StateChart[None]):
        open = State(initial=True)
        shut = State(final=True)
        note = open.to.itself(internal=True)
        report = event(open.to(shut), Report)

        def on_note(self, event: str) -> None: ...

    chart_from(Log)  # warnings are errors here


def test_a_chart_whose_callbacks_read_the_payload_is_not_warned_of() -> None:
    class Log(StateChart[None]):
        open = State(initial=True)
        shut = State(final=True)
        report = event(open.to(shut), Report)

        def on_report(self, payload: Report, text: str) -> None: ...

    chart_from(Log)  # warnings are errors here


@pytest.mark.parametrize(
    ("handlers", "problem"),
    [
        ({"delete": "go"}, "handlers= names 'delete', which is a handler of every machine. Give the event's another"),
        ({"start": "goo"}, "handlers= names event 'goo', and no such event is public. There is 'go'."),
    ],
)
def test_a_handler_that_cannot_be_made_is_a_problem(handlers: dict[str, str], problem: str) -> None:
    @durable(handlers=handlers)
    class Log(StateChart[Any]):
        open = State(initial=True)
        shut = State(final=True)
        go = open.to(shut)

    with pytest.raises(DefinitionError, match=re.escape(problem)):
        chart_from(Log)
