"""Services: what activities work with, and attributes that are not data. Both are never stored."""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart, StateMachine
from transitions import Machine

from durable_fsm import ActivityContext, DefinitionError, TransitionsConfig, activity, app, chart_from, durable
from durable_fsm.core.questions import acceptance_of
from durable_fsm.restate.app import part_of, services
from durable_fsm.testing import Rehearsal

pytestmark = pytest.mark.filterwarnings("ignore::durable_fsm.errors.DefinitionWarning")

log = logging.getLogger(__name__)


class Gateway:
    """A client, as an application has one for each process."""

    def __init__(self, receipt: str = "r-1") -> None:
        self.receipt = receipt
        self.lock = threading.Lock()
        self.charged: list[tuple[int, str]] = []

    def charge(self, cents: int, key: str) -> str:
        self.charged.append((cents, key))
        return self.receipt

    async def charge_later(self, cents: int, key: str) -> str:
        return self.charge(cents, key)


class Cents(BaseModel):
    cents: int = 500
    receipt: str = ""


def at_once(data: Cents, *, gateway: Gateway) -> str:
    return gateway.charge(data.cents, "")


async def waiting(data: Cents, *, gateway: Gateway) -> str:
    return await gateway.charge_later(data.cents, "")


async def in_steps(ctx: ActivityContext, data: Cents, *, gateway: Gateway, note: str = "none") -> str:
    result: str = await ctx.run("charge", gateway.charge, data.cents, ctx.stable_id)
    return result


async def without_data(ctx: ActivityContext, *, gateway: Gateway) -> str:
    result: str = await ctx.run("charge", gateway.charge_later, 0, ctx.stable_id)
    return result


def order(work: Any) -> type[StateChart[Cents]]:
    class Order(StateChart[Cents]):
        cart = State(initial=True)
        charging = State(invoke=activity(work))
        paid = State(final=True)
        checkout = cart.to(charging)
        done_invoke_charging = charging.to(paid)
        error_invoke_charging = charging.to(cart)

        def on_done_invoke_charging(self, data: Cents, result: str) -> None:
            log.info("paid")
            data.receipt = result

    return Order


@pytest.mark.parametrize(
    ("work", "charged"),
    [
        (at_once, (500, "")),
        (waiting, (500, "")),
        (in_steps, (500, "Order/o-1/rehearsed/charging/2")),
        (without_data, (0, "Order/o-1/rehearsed/charging/2")),
    ],
)
def test_an_activity_gets_the_services_it_asks_for_and_a_rehearsal_takes_fakes(work: Any, charged: Any) -> None:
    fake = Gateway("fake")
    machine = Rehearsal(order(work), key="o-1", services={"gateway": fake, "other": None})

    machine.send("checkout")

    assert (machine.configuration, machine.data.receipt, fake.charged) == (("paid",), "fake", [charged])


def test_a_rehearsal_runs_activities_inside_an_event_loop_too() -> None:
    machine = Rehearsal(order(waiting), services={"gateway": Gateway()})

    async def check_out() -> None:
        machine.send("checkout")

    asyncio.run(check_out())

    assert machine.data.receipt == "r-1"


def test_an_answer_is_preferred_and_gets_services_as_well() -> None:
    fake = Gateway("fake")
    answered = Rehearsal(order(in_steps), services={"gateway": fake}, answers={"charging": lambda data: "answered"})
    charged = Rehearsal(order(in_steps), services={"gateway": fake}, answers={"charging": waiting})
    for machine in (answered, charged):
        machine.send("checkout")

    assert (answered.data.receipt, charged.data.receipt, fake.charged) == ("answered", "fake", [(500, "")])


def test_an_activity_whose_services_are_not_given_waits_in_a_rehearsal() -> None:
    machine = Rehearsal(order(at_once))

    machine.send("checkout")

    assert machine.configuration == ("charging",)
    machine.finish("charging", "by hand")
    assert machine.data.receipt == "by hand"


def test_a_callback_from_outside_needs_an_answer() -> None:
    async def sign(ctx: ActivityContext, *, gateway: Gateway) -> str:
        await ctx.sleep(timedelta(days=1))
        return str(await ctx.callback("signature"))

    machine = Rehearsal(order(sign), services={"gateway": Gateway()})
    machine.send("checkout")

    assert machine.configuration == ("cart",)


def test_an_application_gives_the_services_and_refuses_to_be_without_them() -> None:
    def undo(original: str, *, gateway: Gateway, ledger: Any) -> None: ...

    class Booked(StateChart[Cents]):
        busy = State(initial=True, invoke=activity(at_once, undo=undo))
        done = State(final=True)
        done_invoke_busy = error_invoke_busy = busy.to(done)

    with pytest.raises(DefinitionError) as refused:
        app(Booked)
    assert [problem.what for problem in refused.value.problems] == [
        "activity 'busy' asks for services that are not given: 'gateway'.",
        "activity 'busy' asks for services that are not given: 'gateway', 'ledger'.",
    ]
    assert refused.value.problems[0].remedy == "Give it: app(..., services={'gateway': ...})."
    assert app(Booked, services={"gateway": Gateway(), "ledger": []})
    assert app(order(in_steps), services={"gateway": Gateway()})  # `note` has a default
    assert services(Booked, given={"gateway": Gateway(), "ledger": []})
    assert part_of(app(order(at_once), services={"gateway": Gateway()}), "runners")


def test_a_method_that_works_asks_for_services_too() -> None:
    class Shop(StateChart):
        cart = State(initial=True)
        charging = State()
        paid = State(final=True)
        checkout = cart.to(charging)
        done_invoke_charging = charging.to(paid)
        error_invoke_charging = charging.to(cart)

        def __init__(self) -> None:
            self.cents = 700
            super().__init__()

        def on_invoke_charging(self, *, gateway: Gateway) -> str:
            return gateway.charge(self.cents, "")

    fake = Gateway()
    machine = Rehearsal(Shop, services={"gateway": fake})

    machine.send("checkout")

    assert (machine.configuration, fake.charged) == (("paid",), [(700, "")])


# ── attributes that are not data ──────────────────────────────────────────────────────────────────────────────────────


@durable(services=["gateway"])
class Counter(StateMachine):
    a = State(initial=True)
    b = State(final=True)
    go = a.to(b)
    note = a.to.itself(internal=True)

    def __init__(self) -> None:
        self.log = logging.getLogger("counter")
        self.quiet = logging.LoggerAdapter(self.log, {})
        self.gateway = Gateway()
        self.count = 0
        super().__init__()

    def on_note(self) -> str:
        self.log.debug("noted")
        self.count += 1
        return self.gateway.receipt


class Hero:
    def __init__(self) -> None:
        self.log = logging.getLogger("hero")
        self.gateway = Gateway()
        self.count = 0
        self.machine = Machine(self, states=["a", "b"], initial="a", auto_transitions=False)
        self.machine.add_transition("note", "a", None, after="add")
        self.machine.add_transition("go", "a", "b")

    def add(self) -> None:
        self.log.debug(self.gateway.receipt)
        self.count += 1


class Model(Hero):
    def __init__(self) -> None:
        self.log = logging.getLogger("model")
        self.gateway = Gateway()
        self.count = 0


CONFIG = TransitionsConfig(
    "Model",
    states=["a", "b"],
    initial="a",
    transitions=[{"trigger": "note", "source": "a", "dest": None, "after": "add"}, ["go", "a", "b"]],
    model=Model,
    services=["gateway"],
)


@pytest.mark.parametrize("definition", [Counter, durable(services=["gateway"], version="7")(Hero), CONFIG])
def test_loggers_and_declared_services_are_not_stored(definition: Any) -> None:
    machine = Rehearsal(definition)

    machine.send("note")
    machine.send("note")

    assert machine.snapshot.data == {"count": 2}


class Asking(Hero):
    """Asks what would be taken, for which the data is copied."""

    def __init__(self) -> None:
        super().__init__()
        self.machine.add_transition("look", "a", None, conditions="ready", prepare="add", after="look_around")

    def ready(self) -> bool:
        return bool(self.may_note())  # type: ignore[attr-defined]

    def look_around(self) -> None:
        self.count += 10 if self.may_go() else 0  # type: ignore[attr-defined]


@durable(services=["gateway"])
class Listing(StateMachine):
    a = State(initial=True)
    b = State(final=True)
    look = a.to.itself()
    go = a.to(b, cond="charged")

    def __init__(self) -> None:
        self.gateway, self.count = Gateway(), 0
        super().__init__()

    def charged(self) -> bool:
        self.count += 1
        return self.gateway.receipt == "r-1"

    def on_look(self) -> list[str]:
        return [str(one.id) for one in self.enabled_events()]


def test_services_are_shared_by_the_copies_that_questions_are_asked_of() -> None:
    hero, listing = Rehearsal(durable(services=["gateway"])(Asking)), Rehearsal(Listing)

    hero.send("look")

    assert hero.snapshot.data == {"count": 11}
    assert acceptance_of(hero.chart, hero.snapshot)["look"] == "yes"
    assert listing.send("look").reply == ["look", "go"]
    assert listing.snapshot.data == {"count": 0}


def test_a_model_class_has_the_options_of_durable() -> None:
    hero = chart_from(
        durable(name="Batman", version="7", services=["gateway"], ignores=["ping"])(type("H", (Hero,), {}))
    )

    assert (hero.name, hero.version, hero.public_events) == ("Batman", "7", ("go", "note", "ping"))


def test_attributes_that_are_neither_are_all_named_with_the_line_to_write() -> None:
    class Careless(StateMachine):
        a = State(initial=True)
        b = State(final=True)
        go = a.to(b)

        def __init__(self) -> None:
            self.lock, self.gateway, self.count = threading.Lock(), Gateway(), 0
            super().__init__()

    with pytest.raises(DefinitionError) as refused:
        chart_from(Careless)

    lock, gateway = refused.value.problems
    assert lock.what.startswith("attribute 'lock' cannot be stored as JSON: a lock would not come back")
    line = "Declare a type of the data: class Careless(StateMachine, StateChart[CarelessData]); or, if it is not data:"
    assert gateway.remedy == f"{line} @durable(services=['gateway'])."
