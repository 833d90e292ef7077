"""One chart in several stages of its declaration, for `durable-fsm kafka`."""

from __future__ import annotations

from typing import Any

from statemachine import State, StateChart

from durable_fsm import Incoming, Kafka, Record, app, durable


def pressed(record: Record) -> Incoming:
    return Incoming("press")


def nobody(record: Record) -> Incoming:
    raise ValueError("this is for nobody")


def key(record: Record) -> str:
    return record.value.decode()


def lamp(*sources: Kafka) -> Any:
    """A lamp with these topics; every one has the same name."""

    @durable(name="CliLamp", sources=sources)
    class CliLamp(StateChart):
        off = State(initial=True)
        on = State()
        press = off.to(on) | on.to(off)

    return CliLamp


Presses = lamp(Kafka("presses", decode=pressed, cluster="cli"))
Both = lamp(Kafka("presses", decode=pressed, cluster="cli"), Kafka("bad.ones", decode=nobody, cluster="cli"))
Moved = lamp(Kafka("presses", decode=pressed, key=key, cluster="cli"))
Late = lamp(Kafka("presses", decode=pressed, cluster="cli", start="latest", options={"session.timeout.ms": "6000"}))
Elsewhere = lamp(Kafka("presses", decode=pressed, cluster="nowhere"))


@durable(sources=[Kafka("x", decode=pressed, cluster="cli")])
class NobodyServesThis(StateChart):
    """Is not registered."""

    off = State(initial=True)
    press = off.to.itself()


topics_app = app(
    lamp(Kafka("presses", decode=pressed), Kafka("bad.ones", decode=nobody), Kafka("x", decode=pressed, key=key))
)
