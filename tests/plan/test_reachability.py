"""Whether a machine can still end: by events that may be sent or raised, timers, work, and states that are done."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from statemachine import HistoryState, State, StateChart

from durable_fsm import activity, after, event, machine
from durable_fsm.core.chart import Chart
from durable_fsm.frontends import chart_from
from durable_fsm.plan.mentions import mentioned_in
from durable_fsm.plan.reachability import Outlook, Reachability


async def work(data: Any) -> None: ...


def finish_later(effects: Any) -> None:
    effects.raise_("finish")


class Helper(StateChart):
    asking = State(initial=True)
    asked = State(final=True)
    ask = event(asking.to(asked))


class Room(StateChart):
    """Each state leads on in another way."""

    by_sender = State(initial=True)
    by_raising = State()
    by_helper = State()
    by_timer = State()
    by_work = State(invoke=activity(work))
    by_child = State(invoke=machine(Helper, id="helper"))
    by_wildcard = State()
    by_no_event = State()

    class by_region(State.Parallel):
        class left(State.Compound):
            here = State(initial=True)
            there = State(final=True)
            step_left = event(here.to(there))

        class right(State.Compound):
            near = State(initial=True)
            far = State(final=True)
            step_right = event(near.to(far), public=False)

    class by_memory(State.Compound):
        quiet = State(initial=True)
        loud = State()
        before = HistoryState()
        shout = event(quiet.to(loud), public=False)
        close = event(loud.to(quiet), public=False)

    shut = State()
    over = State(final=True)

    end = event(by_sender.to(over))
    finish = event(by_raising.to(over) | by_helper.to(over), public=False)
    expire = after(timedelta(1), by_timer.to(over))
    done_invoke_by_work = by_work.to(over)
    error_invoke_by_work = by_work.to(over)
    answered = event(by_child.to(over), public=False)
    error_invoke_helper = by_child.to(shut)
    go = event(
        by_sender.to(by_raising)
        | by_raising.to(by_helper)
        | by_helper.to(by_timer)
        | by_timer.to(by_work)
        | by_work.to(by_child)
        | by_child.to(by_no_event)
        | by_no_event.to(by_region)
        | by_region.to(by_memory)
        | by_memory.to(shut)
        | shut.to(over),
        public=False,
    )
    hush = event(by_no_event.to(by_wildcard) | by_wildcard.to(over), public=False)
    done_state_by_region = by_region.to(over)

    def on_enter_by_raising(self, effects: Any) -> None:
        effects.raise_("finish")


@pytest.fixture(scope="module")
def room() -> Chart:
    return chart_from(Room)


def outlook(
    chart: Chart, *leaves: str, pending: tuple[str, ...] = (), mentioned: tuple[str, ...] = ("finish",)
) -> Outlook:
    return Reachability(chart, mentioned).outlook(leaves, pending)


@pytest.mark.parametrize("leaf", ["by_sender", "by_raising", "by_helper", "by_timer", "by_work", "by_child"])
def test_there_is_a_way_to_the_end(room: Chart, leaf: str) -> None:
    found = outlook(room, leaf)

    assert (found.moves, found.ends) == (True, True)


@pytest.mark.parametrize("leaf", ["shut", "by_wildcard", "by_no_event", "quiet", "loud"])
def test_private_events_that_no_code_raises_lead_nowhere(room: Chart, leaf: str) -> None:
    found = outlook(room, leaf)

    assert (found.moves, found.ends) == (False, False)
    assert set(found.shut) & {"go", "hush"}


def test_a_private_event_that_no_code_raises_is_shut(room: Chart) -> None:
    assert outlook(room, "by_raising", mentioned=()) == Outlook(moves=False, ends=False, shut=("finish", "go"))


def test_an_event_that_is_on_its_way_counts(room: Chart) -> None:
    assert outlook(room, "shut", pending=("go",)).ends


def test_a_region_that_cannot_end_keeps_its_neighbours_from_it(room: Chart) -> None:
    assert outlook(room, "here", "near").moves
    assert outlook(room, "here", "near", mentioned=("step_right",)).ends
    assert outlook(room, "there", "near", mentioned=("step_right",)).ends


def test_a_final_state_is_not_an_end_for_one_that_is_in_it_already(room: Chart) -> None:
    assert outlook(room, "over") == Outlook(moves=False, ends=False)


def test_a_new_machine_has_a_future(room: Chart) -> None:
    assert Reachability(room, ()).beginning().ends


def test_names_are_found_in_callbacks_and_in_functions_that_they_call(room: Chart) -> None:
    class Asker(StateChart):
        here = State(initial=True)
        there = State(final=True)
        go = event(here.to(there, on="tell"))
        twice = event(here.to.itself(internal=True, on="again"))

        def tell(self, effects: Any) -> None:
            finish_later(effects)

        def again(self, effects: Any) -> None:
            partial(effects.raise_, "later")()

    assert "finish" in mentioned_in([room])
    assert {"finish", "later"} <= mentioned_in([chart_from(Asker)])
    assert "hush" not in mentioned_in([room])
