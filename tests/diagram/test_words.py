"""What pictures say of timers, and of events that wait."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import after, at, chart_from, defer, durable, every, ignore
from durable_fsm.diagram import graph_of
from durable_fsm.diagram.exports import to_markdown


class Loan(BaseModel):
    days: int = 3


@durable(defers=["audit"])
class Book(StateChart[Loan]):
    shelved = State(initial=True)
    lent = State()
    lost = State(final=True)

    defer(lent, "reserve", "note")
    ignore(lent, "lend")

    lend = shelved.to(lent)
    back = lent.to(shelved)
    reserve = shelved.to.itself(internal=True)
    note = shelved.to.itself(internal=True)
    audit = shelved.to.itself(internal=True)
    miss = at("due", lent.to(lost))
    give_up = after("patience", lent.to(lost))
    hurry = after(lambda data: timedelta(days=data.days), lent.to(lost))
    remind = every(timedelta(days=1), lent.to.itself(internal=True))

    def due(self, data: Loan) -> None: ...

    def patience(self, data: Loan) -> timedelta:
        return timedelta(days=data.days)


def test_timers_are_worded_as_their_authors_mean_them() -> None:
    graph = graph_of(chart_from(Book))

    said = [part.text for edge in graph.edges for label in edge.labels for part in label.parts]
    inside = [" ".join(part.text for part in row) for row in graph.by_id["lent"].rows]

    assert {"at due", "after patience", "after computed"} <= set(said)
    assert "every 1 d" in inside


def test_events_that_wait_stand_in_their_state() -> None:
    graph = graph_of(chart_from(Book))

    inside = [" ".join(part.text for part in row) for row in graph.by_id["lent"].rows]

    assert {"defers reserve, note", "ignores lend"} <= set(inside)
    assert "Defers audit wherever nothing takes it." in graph.description
    assert "| lent | defers reserve, note |" in to_markdown(chart_from(Book)).text
