"""A python-statemachine class as a chart: what it may say, what its callbacks get, what is refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field
from statemachine import HistoryState, State, StateChart

from durable_fsm import DefinitionError, Effects, Ids, Retry, activity, after, chart_from, durable, event, tag
from durable_fsm.core.chart import Kind
from durable_fsm.core.questions import acceptance_of
from durable_fsm.errors import ActionError, EventRejected, UnknownEvent
from durable_fsm.testing import Rehearsal


class Checkout(BaseModel):
    total_cents: int = Field(gt=0)


class OrderData(BaseModel):
    total_cents: int = 0
    receipt: str | None = None
    seen: list[str] = []


async def charge_card(ctx: Any, data: OrderData) -> str:
    """Charge once."""
    return "receipt"


@durable(version="1")
class Order(StateChart[OrderData]):
    """An order, from cart to door."""

    cart = State(initial=True)
    charging = State(invoke=activity(charge_card, retry=Retry(attempts=5)))
    on_hold = State()
    paid = State()
    shipped = State(final=True)
    expired = State(final=True)

    checkout = event(cart.to(charging), Checkout)
    done_invoke_charging = charging.to(paid)
    error_invoke_charging = charging.to(on_hold)
    pay_again = on_hold.to(charging)
    expire = after(timedelta(minutes=15), on_hold.to(expired))
    ship = paid.to(shipped)

    def on_checkout(self, data: OrderData, payload: Checkout) -> None:
        data.total_cents = payload.total_cents

    def on_done_invoke_charging(self, data: OrderData, result: str) -> None:
        data.receipt = result


# ── what a class says ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_class_becomes_one_chart_and_stays_it() -> None:
    chart = chart_from(Order)

    assert chart_from(Order) is chart
    assert chart_from(chart) is chart
    assert (chart.name, chart.version, chart.doc) == ("Order", "1", "An order, from cart to door.")
    assert list(chart.states) == ["", "cart", "charging", "on_hold", "paid", "shipped", "expired"]


def test_outcomes_are_spelled_as_the_platform_spells_them_and_are_private() -> None:
    chart = chart_from(Order)

    assert list(chart.events) == [
        "checkout", "done.invoke.charging", "error.invoke.charging", "expire", "pay_again", "ship",
    ]  # fmt: skip
    assert chart.public_events == ("checkout", "pay_again", "ship")


def test_the_outcome_of_an_activity_moves_the_machine() -> None:
    order = Rehearsal(Order, answers={"charging": lambda data: f"receipt for {data.total_cents}"})

    order.send(Order.checkout, Checkout(total_cents=500))

    assert order.configuration == ("paid",)
    assert order.data.receipt == "receipt for 500"


def test_a_timer_is_an_edge() -> None:
    order = Rehearsal(Order)
    order.send("checkout", {"total_cents": 5})
    order.fail("charging")

    order.advance(timedelta(minutes=15))

    assert order.configuration == ("expired",)


def test_states_nest_run_beside_each_other_and_are_remembered() -> None:
    class Player(StateChart):
        class on(State.Parallel):
            class track(State.Compound):
                first = State(initial=True)
                second = State()
                skip = first.to(second)

            class sound(State.Compound):
                loud = State(initial=True)
                mute = State()
                hush = loud.to(mute)

            memory = HistoryState(type="deep")

        off = State()
        stop = on.to(off)
        resume = off.to(on.memory)

    kinds = {id: state.kind for id, state in chart_from(Player).states.items()}
    assert (kinds["on"], kinds["track"], kinds["memory"]) == (Kind.PARALLEL, Kind.COMPOUND, Kind.DEEP_HISTORY)

    player = Rehearsal(Player)
    for name in ("skip", "stop", "resume"):
        player.send(name)
    assert player.configuration == ("on", "track", "second", "sound", "loud")


def test_states_of_one_name_are_qualified_by_their_path() -> None:
    class Twins(StateChart):
        class both(State.Parallel):
            class left(State.Compound):
                low = State(initial=True, value="left.low")
                high = State(value="left.high")
                raise_left = low.to(high)

            class right(State.Compound):
                low = State(initial=True, value="right.low")
                high = State(value="right.high")
                raise_right = low.to(high)

    twins = Rehearsal(Twins)
    twins.send("raise_right")

    assert twins.configuration == ("both", "left", "both.left.low", "right", "both.right.high")


def test_two_versions_of_one_class_name_live_in_one_process() -> None:
    def version(number: str) -> type:
        @durable(version=number, name="Lamp")
        class Lamp(StateChart):
            off = State(initial=True)
            on = State()
            press = off.to(on) | on.to(off)

        return Lamp

    charts = [chart_from(version(number)) for number in "12"]

    assert [(chart.name, chart.version) for chart in charts] == [("Lamp", "1"), ("Lamp", "2")]


# ── what callbacks get ────────────────────────────────────────────────────────────────────────────────────────────────


def test_callbacks_get_what_they_ask_for_by_name() -> None:
    class Asking(StateChart[OrderData]):
        enable_self_transition_entries = False
        here = State(initial=True)
        there = State()
        go = here.to(there)

        def on_go(
            self, data: OrderData, event: str, payload: dict[str, int], speed: int, source: State, target: State,
            machine: Any, effects: Effects, ids: Ids, missing: str = "default",
        ) -> list[object]:  # fmt: skip
            assert machine is self
            assert ids.uuid() != ids.uuid()
            effects.raise_("noticed")
            return [event, payload, speed, source.id, target.id, missing]

        noticed = there.to.itself(internal=True)

        def on_noticed(self, data: OrderData) -> None:
            data.seen.append("noticed")

        def on_enter_there(self, data: OrderData, source: State, target: State, state: State) -> None:
            data.seen.append(f"{source.id} {target.id} {state.id}")

    asking = Rehearsal(Asking)
    receipt = asking.send("go", {"speed": 7})

    assert receipt.reply == ["go", {"speed": 7}, 7, "here", "there", "default"]
    assert asking.data.seen == ["here there there", "noticed"]


def test_callbacks_run_in_the_librarys_order() -> None:
    class Ordered(StateChart[OrderData]):
        a = State(initial=True, exit="inline_exit")
        b = State(enter="inline_enter")
        back = b.to(a)
        go = a.to(b, before="inline_before", on="inline_on", after="inline_after")

        def note(self, data: OrderData, what: str) -> None:
            data.seen.append(what)

        def before_transition(self, data: OrderData) -> None: self.note(data, "before_transition")  # fmt: skip

        def inline_before(self, data: OrderData) -> None: self.note(data, "inline_before")  # fmt: skip

        def before_go(self, data: OrderData) -> None: self.note(data, "before_go")  # fmt: skip

        def inline_exit(self, data: OrderData) -> None: self.note(data, "inline_exit")  # fmt: skip

        def on_exit_a(self, data: OrderData) -> None: self.note(data, "on_exit_a")  # fmt: skip

        def inline_on(self, data: OrderData) -> None: self.note(data, "inline_on")  # fmt: skip

        @go.on
        def decorated(self, data: OrderData) -> None: self.note(data, "decorated")  # fmt: skip

        def on_go(self, data: OrderData) -> None: self.note(data, "on_go")  # fmt: skip

        def inline_enter(self, data: OrderData) -> None: self.note(data, "inline_enter")  # fmt: skip

        def on_enter_b(self, data: OrderData) -> None: self.note(data, "on_enter_b")  # fmt: skip

        def inline_after(self, data: OrderData) -> None: self.note(data, "inline_after")  # fmt: skip

        def after_go(self, data: OrderData) -> None: self.note(data, "after_go")  # fmt: skip

        def after_transition(self, data: OrderData) -> None: self.note(data, "after_transition")  # fmt: skip

    ordered = Rehearsal(Ordered)
    ordered.send("go")

    assert ordered.data.seen == [
        "before_transition", "inline_before", "before_go", "inline_exit", "on_exit_a", "inline_on", "decorated",
        "on_go", "inline_enter", "on_enter_b", "inline_after", "after_go", "after_transition",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("guard", "total", "passes"),
    [
        ("is_paid", 1, True),
        ("is_paid", 0, False),
        ("!is_paid", 0, True),
        ("is_paid and receipt", 1, False),
        ("is_paid or receipt", 1, True),
        ("total_cents > 5", 6, True),
        ("total_cents > 5", 5, False),
    ],
)
def test_guards_are_names_or_boolean_expressions_over_chart_and_data(guard: str, total: int, passes: bool) -> None:
    class Guarded(StateChart[OrderData]):
        a = State(initial=True)
        b = State(final=True)
        go = a.to(b, cond=guard)

        def is_paid(self, data: OrderData) -> bool:
            return data.total_cents > 0

    guarded = Rehearsal(Guarded)
    guarded.create({"total_cents": total})

    assert acceptance_of(guarded.chart, guarded.snapshot) == {"go": "yes" if passes else "no"}


def test_a_validator_refuses_an_event_with_its_own_words() -> None:
    class Strict(StateChart[OrderData]):
        a = State(initial=True)
        b = State(final=True)
        go = a.to(b, validators="check_speed")

        def check_speed(self, speed: int = 0) -> None:
            if speed > 50:
                raise ValueError("too fast for this road")

    strict = Rehearsal(Strict)

    with pytest.raises(EventRejected, match="Too fast for this road"):
        strict.send("go", {"speed": 80})
    strict.send("go", {"speed": 30})
    assert strict.configuration == ("b",)


def test_whether_an_event_is_taken_may_depend_on_its_payload() -> None:
    class Road(StateChart[OrderData]):
        a = State(initial=True)
        b = State(final=True)
        go = a.to(b, cond="is_slow")
        never = a.to(b, cond="is_paid")
        always = a.to(b)

        def is_slow(self, speed: int = 0) -> bool:
            return speed < 50

        def is_paid(self, data: OrderData) -> bool:
            return data.total_cents > 0

    road = Rehearsal(Road)
    road.create()

    assert acceptance_of(road.chart, road.snapshot) == {"always": "yes", "go": "depends on payload", "never": "no"}


def test_states_of_a_class_have_tags() -> None:
    class Case(StateChart[OrderData]):
        new = State(initial=True)

        class handled(State.Compound):
            checked = State(initial=True)

        closed = State(final=True)

        tag(new, "unread")
        tag(handled, "open", "busy")
        tag(handled, "seen")
        check = new.to(handled)
        close = handled.to(closed)

    tags = {id: sorted(state.tags) for id, state in chart_from(Case).states.items() if state.tags}

    assert tags == {"new": ["unread"], "handled": ["busy", "open", "seen"]}


# ── self ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Chatty(StateChart[OrderData]):
    """Sends itself events in every way there is."""

    idle = State(initial=True)
    busy = State()

    start = idle.to(busy)
    tick = busy.to.itself(internal=True)
    tock = busy.to.itself(internal=True)
    stop = busy.to(idle)
    forget = busy.to.itself(internal=True)

    def on_start(self) -> None:
        self.send("tick", by=1)
        self.raise_("tock")
        self.send("stop", delay=60_000, send_id="the end")

    def on_tick(self, data: OrderData, by: int) -> None:
        data.seen.append(f"tick {by}")

    def on_tock(self, data: OrderData) -> None:
        data.seen.append(f"tock in {self.configuration[0].id}")

    def on_forget(self) -> None:
        self.cancel_event("the end")


def test_self_send_raise_and_delay_become_effects() -> None:
    chatty = Rehearsal(Chatty)

    chatty.send("start")
    assert chatty.data.seen == ["tock in busy", "tick 1"]
    chatty.advance(timedelta(seconds=60))
    assert chatty.configuration == ("idle",)


def test_a_delayed_send_is_forgotten_by_its_id() -> None:
    chatty = Rehearsal(Chatty)
    chatty.send("start")

    chatty.send("forget")

    assert chatty.timers == {}


def test_plain_attributes_are_the_data_of_a_chart_without_a_type() -> None:
    class Counter(StateChart):
        a = State(initial=True)
        go = a.to.itself()

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.count = 0
            super().__init__(*args, **kwargs)

        def on_go(self) -> int:
            self.count += 1
            return self.count

    counter = Rehearsal(Counter)
    counter.send("go")

    assert counter.send("go").reply == 2
    assert counter.snapshot.data == {"count": 2}


def test_attributes_come_back_as_they_were() -> None:
    class Keeping(StateChart):
        a = State(initial=True)
        go = a.to.itself()
        look = a.to.itself()
        error_execution = a.to.itself()

        def on_go(self) -> None:
            self.pair, self.names, self.deep = (1, 2), {"b", "a"}, {"list": [(3,)]}
            raise ValueError("too late")

        def on_error_execution(self, error: Exception) -> None:
            self.error = error

        def on_look(self) -> list[object]:
            return [repr(self.pair), sorted(self.names), repr(self.deep), self.error.type, self.error.message]

    machine = Rehearsal(Keeping)
    machine.send("go")

    assert machine.snapshot.data == {
        "deep": {"list": [{"$tuple": [3]}]},
        "error": {"$failure": {"type": "ValueError", "message": "too late"}},
        "names": {"$set": ["a", "b"]},
        "pair": {"$tuple": [1, 2]},
    }
    assert machine.send("look").reply == ["(1, 2)", ["a", "b"], "{'list': [(3,)]}", "ValueError", "too late"]
    machine.send("look")


@pytest.mark.parametrize("value", [object(), {1: 2}, {"$set": []}, frozenset()])
def test_an_attribute_that_would_not_come_back_as_it_was_is_refused(value: object) -> None:
    class Strange(StateChart):
        a = State(initial=True)
        go = a.to.itself()

        def on_go(self) -> None:
            self.thing = value

    with pytest.raises(ActionError, match=r"would not come back as it was; declare a data type for it at \$\.thing"):
        Rehearsal(Strange).send("go")


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_problem_is_reported_at_once_with_its_place() -> None:
    class Wrong(StateChart[OrderData]):
        a = State(initial=True)
        b = State()
        go = a.to(b, on="no_such_thing", cond="nor_this")
        done_invoke_charging = b.to(a)

        async def on_enter_b(self) -> None: ...

    with pytest.raises(DefinitionError) as refused:
        chart_from(Wrong)

    text = str(refused.value)
    assert text.startswith("Wrong: 4 problems.")
    assert "event 'done_invoke_charging' waits for activity 'charging', and there is none." in text
    assert "callback 'no_such_thing' is neither on the chart nor on its data." in text
    assert "callback 'nor_this' is neither on the chart nor on its data." in text
    assert "Wrong.on_enter_b is a coroutine" in text
    assert f"{Path(__file__).name}:" in text


def test_two_activities_of_one_id_are_refused() -> None:
    class Doubled(StateChart):
        a = State(initial=True, invoke=[activity(charge_card, id="x"), activity(charge_card, id="x")])
        b = State(invoke=activity(charge_card, id="x"))
        go = a.to(b) | b.to(a)

    with pytest.raises(DefinitionError) as refused:
        chart_from(Doubled)

    assert [problem.what for problem in refused.value.problems] == [
        "two activities have the id 'x', in states 'a' and 'a'.",
        "two activities have the id 'x', in states 'a' and 'b'.",
    ]


def test_an_object_that_is_not_a_definition_is_named_in_the_error() -> None:
    with pytest.raises(TypeError, match="is not a statechart"):
        chart_from(OrderData)


def test_an_undeclared_event_is_unknown_and_the_nearest_name_is_offered() -> None:
    with pytest.raises(UnknownEvent, match="Did you mean 'checkout'"):
        Rehearsal(Order).send("chekout")


def test_the_name_of_a_state_has_the_words_of_its_id() -> None:
    class Device(StateChart):
        poweredOn = State(initial=True)  # noqa: N815 - such names are what this is about
        HTTPError = State()
        awaiting_payment = State()
        named = State("As the author says")

        go = poweredOn.to(HTTPError) | HTTPError.to(awaiting_payment) | awaiting_payment.to(named) | named.to(poweredOn)

    names = [state.name for state in chart_from(Device).states.values()][1:]

    assert names == ["Powered on", "HTTP error", "Awaiting payment", "As the author says"]
