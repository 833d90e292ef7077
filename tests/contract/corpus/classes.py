"""Idioms of python-statemachine: states, transitions, callbacks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from statemachine import Event, HistoryState, State, StateChart, StateMachine

from tests.contract.corpus.idioms import idiom


@idiom("a cycle of states", "cycle", "cycle", "cycle", "stop")
class TrafficLight(StateMachine):
    green = State(initial=True)
    yellow = State()
    red = State()
    off = State(final=True)
    cycle = green.to(yellow) | yellow.to(red) | red.to(green)
    stop = off.from_(green, yellow, red)


@idiom("guards that permit and forbid", "enter", ("fill", {"liters": 3}), "enter", ("fill", {"liters": 9}), "enter")
class Lock(StateMachine):
    low = State(initial=True)
    high = State(final=True)
    fill = low.to.itself()
    enter = low.to(high, cond="is_full", unless="is_broken")

    def __init__(self) -> None:
        self.level = 0
        super().__init__()

    def on_fill(self, liters: int) -> None:
        self.level += liters

    def is_full(self) -> bool:
        return self.level > 5

    def is_broken(self) -> bool:
        return False


@idiom("a guard that is an expression", "pass_", "learn", "pass_", "pass_")
class Exam(StateMachine):
    studying = State(initial=True)
    sitting = State()
    passed = State(final=True)
    learn = studying.to.itself(on="read")
    pass_ = studying.to(sitting, cond="points >= 2 and not tired") | sitting.to(passed, cond="points > 1 or lucky")

    def __init__(self) -> None:
        self.points, self.tired, self.lucky = 0, False, False
        super().__init__()

    def read(self) -> None:
        self.points += 2


@idiom("an event that looks at another state", "go", "arm", "go")
class Alarm(StateChart):
    class house(State.Parallel):
        class door(State.Compound):
            shut = State(initial=True)
            open_ = State()
            go = shut.to(open_, cond="In('armed')")

        class siren(State.Compound):
            quiet = State(initial=True)
            armed = State()
            arm = quiet.to(armed)

    end = State(final=True)
    leave = house.to(end)


@idiom("callbacks by convention", "begin", "end")
class Meeting(StateMachine):
    planned = State(initial=True)
    held = State()
    over = State(final=True)
    begin = planned.to(held)
    end = held.to(over)

    def __init__(self) -> None:
        self.log: list[str] = []
        super().__init__()

    def before_begin(self) -> None:
        self.log.append("before")

    def on_exit_planned(self) -> None:
        self.log.append("exit")

    def on_begin(self) -> str:
        self.log.append("on")
        return "hello"

    def on_enter_held(self) -> None:
        self.log.append("enter")

    def after_begin(self) -> None:
        self.log.append("after")

    def on_enter_state(self, state: State) -> None:
        self.log.append(f"in {state.id}")

    def before_transition(self, source: State, target: State) -> None:
        self.log.append(f"{source.id} > {target.id}")


@idiom("callbacks by decorators", "plant", "water", "water")
class Garden(StateMachine):
    bare = State(initial=True)
    green = State()
    ripe = State(final=True)
    plant = bare.to(green)
    water = green.to(ripe, cond="grown") | green.to.itself(internal=True)

    def __init__(self) -> None:
        self.wet = 0
        self.log: list[str] = []
        super().__init__()

    def grown(self) -> bool:
        return self.wet > 0

    @plant.on
    def dig(self) -> None:
        self.log.append("dig")

    @green.exit
    def harvest(self) -> None:
        self.log.append("harvest")

    @ripe.enter
    def eat(self) -> None:
        self.log.append("eat")

    @water.on
    def pour(self) -> None:
        self.wet += 1


@idiom("callbacks named at the transition", ("pay", {"cents": 30}), ("pay", {"cents": 90}))
class Meter(StateMachine):
    off = State(initial=True)
    on = State(final=True)
    pay = off.to(on, cond="enough", before="count", after="print_ticket") | off.to.itself(on="count")

    def __init__(self) -> None:
        self.cents, self.tickets = 0, 0
        super().__init__()

    def enough(self, cents: int) -> bool:
        return cents > 50

    def count(self, cents: int) -> None:
        self.cents += cents

    def print_ticket(self) -> None:
        self.tickets += 1


@idiom("an event from anywhere", "lift", "drop", "lift", "crash")
class Crane(StateMachine):
    down = State(initial=True)
    up = State()
    broken = State(final=True)
    lift = down.to(up)
    drop = up.to(down)
    crash = broken.from_.any()


@idiom("a state that leads to itself", "knock", "knock", "open_")
class Gate(StateMachine):
    shut = State(initial=True)
    free = State(final=True)
    knock = shut.to.itself()
    open_ = shut.to(free)

    def __init__(self) -> None:
        self.entered = 0
        super().__init__()

    def on_enter_shut(self) -> None:
        self.entered += 1


@idiom("an internal transition with its target", "note", "close")
class Ledger(StateMachine):
    open_ = State(initial=True)
    closed = State(final=True)
    note = open_.to.itself(internal=True)
    close = open_.to(closed)

    def on_note(self, source: State, target: State, state: State, event: Any) -> list[str]:
        return [source.id, target.id, state.id, str(event)]


@idiom("transitions without an event", ("load", {"kilos": 5}), ("load", {"kilos": 70}))
class Scale(StateChart):
    light = State(initial=True)
    heavy = State()
    done = State(final=True)
    load = light.to.itself(on="add")
    light.to(heavy, cond="too_much")
    heavy.to(done)

    def __init__(self) -> None:
        self.kilos = 0
        super().__init__()

    def add(self, kilos: int) -> None:
        self.kilos += kilos

    def too_much(self) -> bool:
        return self.kilos > 50


@idiom("states inside states", "board", "fly", "land", "leave")
class Trip(StateChart):
    home = State(initial=True)

    class plane(State.Compound):
        seated = State(initial=True)
        flying = State()
        landed = State()
        fly = seated.to(flying)
        land = flying.to(landed)

    away = State(final=True)
    board = home.to(plane)
    leave = plane.to(away)

    def __init__(self) -> None:
        self.log: list[str] = []
        super().__init__()

    def on_enter_state(self, state: State) -> None:
        self.log.append(f"+{state.id}")

    def on_exit_state(self, state: State) -> None:
        self.log.append(f"-{state.id}")


@idiom("regions and their end", "cook", "lay", "cook")
class Dinner(StateChart):
    class making(State.Parallel):
        class kitchen(State.Compound):
            raw = State(initial=True)
            cooked = State(final=True)
            cook = raw.to(cooked)

        class table(State.Compound):
            bare = State(initial=True)
            laid = State(final=True)
            lay = bare.to(laid)

    eating = State(final=True)
    done_state_making = making.to(eating)


@idiom("a history state", "step", "pause", "resume", "step")
class Reader(StateChart):
    class book(State.Compound):
        one = State(initial=True)
        two = State()
        three = State()
        place = HistoryState()
        step = one.to(two) | two.to(three)

    away = State()
    shelf = State(final=True)
    pause = book.to(away)
    resume = away.to(book.place)
    put_back = away.to(shelf)


@idiom("a deep history state", "deeper", "turn", "pause", "resume")
class Cave(StateChart):
    class inside(State.Compound):
        mouth = State(initial=True)

        class hall(State.Compound):
            left = State(initial=True)
            right = State()
            turn = left.to(right)

        place = HistoryState(type="deep")
        deeper = mouth.to(hall)

    outside = State()
    home = State(final=True)
    pause = inside.to(outside)
    resume = outside.to(inside.place)
    go_home = outside.to(home)


@idiom("an event that a callback raises", "ring")
class Bell(StateChart):
    still = State(initial=True)
    ringing = State()
    heard = State(final=True)
    ring = still.to(ringing)
    answer = ringing.to(heard)

    def on_enter_ringing(self) -> None:
        self.raise_("answer")


@idiom("an event that a callback sends", "start", "finish")
class Engine(StateMachine):
    cold = State(initial=True)
    warm = State()
    off = State(final=True)
    start = cold.to.itself(on="heat")
    ready = cold.to(warm)
    finish = warm.to(off)

    def heat(self) -> None:
        self.send("ready")


class Notary:
    """A listener, which has no data of its own."""

    def before_transition(self, machine: Any, event: Any) -> None:
        machine.notes.append(str(event))


@idiom("a listener of the class", "sign", "seal")
class Deed(StateMachine):
    listeners: ClassVar = [Notary]
    drawn = State(initial=True)
    signed = State()
    sealed = State(final=True)
    sign = drawn.to(signed)
    seal = signed.to(sealed)

    def __init__(self) -> None:
        self.notes: list[str] = []
        super().__init__()


@idiom("arguments that are prepared for all callbacks", ("order", {"number": 2}))
class Kitchen(StateMachine):
    open_ = State(initial=True)
    closed = State(final=True)
    order = open_.to(closed, cond="small")

    def prepare_event(self, number: int = 0) -> dict[str, int]:
        return {"twice": number * 2}

    def small(self, twice: int) -> bool:
        return twice < 10

    def on_order(self, twice: int) -> int:
        return twice


@idiom("an event that declares itself", "open_the_door", "close")
class Fridge(StateMachine):
    shut = State(initial=True)
    wide = State()
    sold = State(final=True)
    open_the_door = Event(shut.to(wide), name="Open the door")
    close = Event(wide.to(shut) | shut.to(sold))


@idiom("a class that another one extends", "go", "jump", "end")
class Jumper(TrafficLight):
    bonus = State()
    go = TrafficLight.green.to(bonus)
    jump = bonus.to(TrafficLight.red)
    end = TrafficLight.red.to(TrafficLight.off)


@idiom("an error that a transition takes", "work", "mend")
class Mill(StateChart):
    turning = State(initial=True)
    stuck = State()
    stopped = State(final=True)
    work = turning.to.itself(on="grind")
    error_execution = turning.to(stuck)
    mend = stuck.to(stopped)

    def grind(self) -> None:
        raise ValueError("a stone")


@dataclass
class Basket:
    apples: int = 0
    log: list[str] = field(default_factory=list)

    def is_heavy(self) -> bool:
        return self.apples > 3


@idiom(
    "a model with a type, whose methods are guards",
    ("pick", {"count": 2}),
    "carry",
    ("pick", {"count": 2}),
    "carry",
    model=Basket,
)
class Harvest(StateChart[Basket]):
    picking = State(initial=True)
    home = State(final=True)
    pick = picking.to.itself(internal=True)
    carry = picking.to(home, cond="is_heavy")

    def on_pick(self, model: Basket, count: int) -> None:
        model.apples += count
        model.log.append("pick")
