"""How pictures word timers, deferred events and undone work."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Limit, activity, after, at, chart_from, defer, durable, every, ignore, undo_all
from durable_fsm.diagram import graph_of
from durable_fsm.diagram.exports import to_markdown, to_scxml, to_xstate


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


def test_timers_are_worded_by_duration_instant_and_recurrence() -> None:
    graph = graph_of(chart_from(Book))

    said = [part.text for edge in graph.edges for label in edge.labels for part in label.parts]
    inside = [" ".join(part.text for part in row) for row in graph.by_id["lent"].rows]

    assert {"at due", "after patience", "after computed"} <= set(said)
    assert "every 1 d" in inside


def test_deferred_events_are_listed_in_their_state() -> None:
    graph = graph_of(chart_from(Book))

    inside = [" ".join(part.text for part in row) for row in graph.by_id["lent"].rows]

    assert {"defers reserve, note", "ignores lend"} <= set(inside)
    assert "Defers audit wherever no transition accepts it." in graph.description
    assert "| lent | defers reserve, note |" in to_markdown(chart_from(Book)).text


async def lend_out(data: Loan) -> str: ...  # type: ignore[empty-body]


async def fetch_back(result: str) -> None: ...


async def forget(original: str) -> None: ...


def test_states_list_what_undoes_their_work_and_what_they_undo() -> None:
    class Shelf(StateChart[Loan]):
        class lending(State.Compound):
            lent = State(initial=True, invoke=activity(lend_out, undo=fetch_back))
            billed = State(invoke=activity(lend_out, undo=forget, undo_first=True))
            done_invoke_lent = lent.to(billed)

        undoing = State(invoke=undo_all("lending"))
        holding = State(invoke=undo_all(exclusive=True))
        over = State(final=True)
        error_execution = lending.to(undoing) | undoing.to(over) | holding.to(over)
        hold = lending.to(holding)
        done_invoke_billed = lending.to(over)
        done_invoke_undoing = undoing.to(over)
        done_invoke_holding = holding.to(over)

    text = to_markdown(chart_from(Shelf)).text

    assert "| lent | invoke lend_out |\n| lent | undo / fetch_back |" in text
    assert "| billed | undo, from the beginning / forget |" in text
    assert "| undoing | undo lending |" in text
    assert "| holding | undo, exclusive everything |" in text
    lost = to_scxml(chart_from(Shelf)).lost
    assert "fetch_back undoes activity 'lent'." in lost
    assert "'undoing' undoes the completed work of lending." in lost
    assert "'holding' undoes the completed work of the whole chart." in to_xstate(chart_from(Shelf)).lost


async def charge(data: object) -> None: ...


class Work(BaseModel):
    urgency: int = 0


@durable(name="Queue")
class Queued(StateChart[Work]):
    idle = State(initial=True)

    class working(State.Compound, invoke=activity(charge, limit=Limit("bank", 20), priority="urgency")):
        enqueued = State(initial=True)
        running = State()
        granted_invoke_working = enqueued.to(running)

    mailing = State(invoke=activity(charge, id="mail", limit=3, priority=2))
    begin = idle.to(working)
    done_invoke_working = working.to(mailing)
    error_invoke_working = working.to(idle)
    done_invoke_mail = mailing.to(idle)
    error_invoke_mail = mailing.to(idle)


def test_states_say_how_many_run_at_once_and_which_comes_next() -> None:
    graph = graph_of(chart_from(Queued))

    inside = {
        id: [" ".join(part.text for part in row) for row in graph.by_id[id].rows] for id in ("working", "mailing")
    }

    assert inside == {
        "working": ["invoke charge", "limit bank, 20 at once", "next lowest urgency"],
        "mailing": ["invoke charge", "limit 3 at once", "priority 2"],
    }
    assert {part.text for edge in graph.edges for label in edge.labels for part in label.parts} >= {"granted"}
