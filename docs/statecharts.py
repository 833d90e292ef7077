from datetime import timedelta

import pytest
from pydantic import BaseModel
from statemachine import HistoryState, State, StateChart

from durable_fsm import after, defer, event
from durable_fsm.errors import EventRejected
from durable_fsm.testing import Rehearsal


class Washer(StateChart):
    idle = State(initial=True)
    washing = State()

    start = idle.to(washing)
    stop = washing.to(idle)


def test_an_event_moves_the_machine_and_any_other_is_rejected() -> None:
    washer = Rehearsal(Washer)
    washer.send("start")
    assert washer.configuration == ("washing",)
    with pytest.raises(EventRejected, match="Accepted now: 'stop'"):
        washer.send("start")


class Program(StateChart):
    idle = State(initial=True)

    class washing(State.Compound):
        filling = State(initial=True)
        tumbling = State()

        full = filling.to(tumbling)

    start = idle.to(washing)
    stop = washing.to(idle)


def test_a_transition_of_the_outer_state_holds_in_every_inner_one() -> None:
    program = Rehearsal(Program)
    program.send("start")
    assert program.configuration == ("washing", "filling")
    program.send("stop")
    assert program.configuration == ("idle",)


class Appliance(StateChart):
    class running(State.Parallel):
        class drum(State.Compound):
            still = State(initial=True)
            turning = State()

            turn = still.to(turning)
            halt = turning.to(still)

        class door(State.Compound):
            unlocked = State(initial=True)
            locked = State()

            lock = unlocked.to(locked)
            unlock = locked.to(unlocked, unless="In('turning')")


def test_both_regions_are_active_and_each_takes_its_own_events() -> None:
    appliance = Rehearsal(Appliance)
    appliance.send("lock")
    appliance.send("turn")
    assert appliance.leaves == ("turning", "locked")
    with pytest.raises(EventRejected):
        appliance.send("unlock")


class Pausable(StateChart):
    class washing(State.Compound):
        filling = State(initial=True)
        tumbling = State()
        before = HistoryState()

        full = filling.to(tumbling)

    paused = State()

    pause = washing.to(paused)
    go_on = paused.to(washing.before)


def test_a_paused_program_goes_on_where_it_was() -> None:
    washer = Rehearsal(Pausable)
    washer.send("full")
    washer.send("pause")
    washer.send("go_on")
    assert washer.leaves == ("tumbling",)


class Water(BaseModel):
    litres: int = 0


class Tub(StateChart[Water]):
    filling = State(initial=True)
    full = State(final=True)

    pour = event(filling.to.itself(internal=True), int)
    filling.to(full, cond="is_full")

    def on_pour(self, data: Water, payload: int) -> None:
        data.litres += payload

    def is_full(self, data: Water) -> bool:
        return data.litres >= 40


def test_the_tub_is_full_as_soon_as_its_guard_holds() -> None:
    tub = Rehearsal(Tub)
    tub.send("pour", 30)
    assert tub.configuration == ("filling",)
    tub.send("pour", 10)
    assert tub.configuration == ("full",)


class Dryer(StateChart):
    drying = State(initial=True)
    dry = State(final=True)

    finish = after(timedelta(minutes=60), drying.to(dry))
    turn_drum = drying.to.itself(internal=True)
    restart = drying.to.itself()


def test_an_internal_transition_leaves_the_timer_alone() -> None:
    dryer = Rehearsal(Dryer)
    dryer.create()
    dryer.advance(timedelta(minutes=20))
    dryer.send("turn_drum")
    assert dryer.timers == {"finish": timedelta(minutes=40)}
    dryer.send("restart")
    assert dryer.timers == {"finish": timedelta(minutes=60)}


class Laundry(StateChart):
    class washing(State.Compound):
        tumbling = State(initial=True)
        spinning = State()
        drained = State(final=True)

        spin = tumbling.to(spinning)
        drain = spinning.to(drained)

    clean = State(final=True)

    done_state_washing = washing.to(clean)


def test_the_end_of_an_inner_state_is_an_event_of_the_outer_one() -> None:
    laundry = Rehearsal(Laundry)
    laundry.send("spin")
    laundry.send("drain")
    assert laundry.configuration == ("clean",)
    assert laundry.status == "done"


class Queue(StateChart):
    free = State(initial=True)
    washing = State()

    defer(washing, "start")

    start = free.to(washing)
    finish = washing.to(free)


def test_a_deferred_event_is_taken_as_soon_as_the_state_is_left() -> None:
    queue = Rehearsal(Queue)
    queue.send("start")
    assert queue.send("start").outcome == "deferred"
    assert queue.send("finish").configuration == ("washing",)
