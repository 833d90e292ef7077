"""Cases about the life of a machine: created first, gone in the end, mistakes, and history states."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel
from statemachine import HistoryState, State, StateChart

from durable_fsm import gone
from tests.acceptance.xstate.pairs import pair

KEPT = gone(timedelta(milliseconds=30))


class Errand(StateChart):
    idle = State(initial=True)
    under_way = State()
    completed = State(final=True)

    start = idle.to(under_way)
    complete = under_way.to(completed)


pair("errand", Errand, {"after_end": KEPT})


class Flash(StateChart):
    over = State(initial=True, final=True)


pair("flash", Flash, {"after_end": KEPT})


class Owner(BaseModel):
    owner: str = ""


class Locker(StateChart[Owner]):
    locked = State(initial=True)
    unlocked = State()

    unlock = locked.to(unlocked)
    lock = unlocked.to(locked)


pair("locker", Locker, {"create_first": True}, data=Owner)


def fall() -> None:
    raise ValueError("the floor is wet")


class Mistake(StateChart):
    careless = State(initial=True)
    careful = State()
    caught = State(final=True)

    stumble = careless.to.itself(internal=True, on=fall) | careful.to.itself(internal=True, on=fall)
    care = careless.to(careful)
    error_execution = careful.to(caught)


pair("mistake", Mistake, actions={"fall": fall})


class Player(StateChart):
    class playing(State.Compound):
        class music(State.Compound):
            quiet = State(initial=True)
            loud = State()
            louder = quiet.to(loud)

        speech = State()
        same_kind = HistoryState()
        exactly = HistoryState(type="deep")

    paused = State()

    pause = playing.to(paused)
    talk = playing.to(playing.speech, internal=True)
    resume = paused.to(playing.exactly)
    restart = paused.to(playing.same_kind)


pair("player", Player)
