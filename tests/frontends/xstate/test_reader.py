"""A configuration of XState with Python functions: a whole machine, its data, its work, and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from durable_fsm import Effects, Retry, XStateConfig, activity, chart_from
from durable_fsm.core.chart import Kind
from durable_fsm.errors import DefinitionError, DefinitionWarning
from durable_fsm.testing import Rehearsal

PAYMENT: dict[str, Any] = {
    "id": "payment",
    "initial": "new",
    "description": "Pays at once, or after an approval.",
    "states": {
        "new": {
            "on": {
                "PAY": [
                    {"guard": {"type": "isBelow", "params": {"limit": 100}}, "target": "debiting", "actions": "note"},
                    {"target": "approval", "actions": "note"},
                ]
            }
        },
        "approval": {
            "description": "Waits for a person",
            "tags": "waiting",
            "on": {"APPROVE": "debiting", "REJECT": "cancelled"},
            "after": {"patience": "cancelled"},
        },
        "debiting": {
            "invoke": {
                "src": "debit",
                "onDone": {"target": "succeeded", "actions": "keep_receipt"},
                "onError": {"target": "cancelled", "actions": {"type": "note_failure", "params": {"prefix": "bank: "}}},
            }
        },
        "succeeded": {"type": "final", "output": {"paid": True}},
        "cancelled": {"type": "final"},
    },
}


class Money(BaseModel):
    amount: int


class PaymentData(BaseModel):
    amount: int = 0
    receipt: str = ""
    why: str = ""


def is_below(payload: Money, params: dict[str, int]) -> bool:
    return payload.amount < params["limit"]


def note(data: PaymentData, payload: Money) -> None:
    data.amount = payload.amount


def keep_receipt(data: PaymentData, result: str) -> None:
    data.receipt = result


def note_failure(data: PaymentData, error: Any, params: dict[str, str]) -> None:
    data.why = params["prefix"] + error.message


async def debit(data: PaymentData) -> str:
    return f"receipt over {data.amount}"


def payment(config: dict[str, Any] = PAYMENT, **more: Any) -> XStateConfig:
    return XStateConfig(
        config,
        "Payment",
        data=PaymentData,
        guards={"isBelow": is_below},
        actions={"note": note, "keep_receipt": keep_receipt, "note_failure": note_failure},
        actors={"debit": activity(debit, retry=Retry(attempts=3))},
        delays={"patience": timedelta(minutes=5)},
        events={"PAY": Money},
        **more,
    )


def test_a_payment_is_made_at_once_or_after_an_approval() -> None:
    small, large = Rehearsal(payment()), Rehearsal(payment())

    small.send("PAY", {"amount": 99})
    large.send("PAY", {"amount": 100})

    assert small.configuration == ("debiting",)
    assert large.configuration == ("approval",)
    large.send("APPROVE")
    large.finish("debiting", "r-1")
    assert (large.data.amount, large.data.receipt) == (100, "r-1")
    assert large.output == {"paid": True}


def test_a_delay_with_a_name_and_a_failure_lead_to_the_end() -> None:
    late, failed = Rehearsal(payment()), Rehearsal(payment())

    late.send("PAY", {"amount": 500})
    late.advance(timedelta(minutes=5))
    failed.send("PAY", {"amount": 1})
    failed.fail("debiting", "no funds")

    assert late.configuration == failed.configuration == ("cancelled",)
    assert failed.data.why == "bank: no funds"


def test_the_chart_has_what_the_configuration_says() -> None:
    chart = chart_from(payment(version="2", defers={"debiting": ["REJECT"]}))

    assert (chart.name, chart.version, chart.doc) == ("Payment", "2", "Pays at once, or after an approval.")
    assert chart.public_events == ("APPROVE", "PAY", "REJECT")
    assert chart.states["approval"].name == "Waits for a person"
    assert chart.states["approval"].tags == {"waiting"}
    assert chart.states["debiting"].defers == ("REJECT",)
    assert chart.activities["debiting"].retry.attempts == 3
    assert [guard.name for guard in chart.transitions[0].guards] == ['isBelow({"limit": 100})']


def test_a_configuration_is_read_once_and_its_parameters_are_part_of_the_chart() -> None:
    config = payment()
    text = json.dumps(PAYMENT).replace('"limit": 100', '"limit": 200')

    assert chart_from(config) is chart_from(config)
    assert chart_from(payment(json.loads(text))).digest != chart_from(config).digest


def test_the_data_begins_with_the_context() -> None:
    def add(data: dict[str, int], payload: int) -> None:
        data["count"] += payload

    config = {
        "id": "counter",
        "context": {"count": 1},
        "initial": "on",
        "states": {"on": {"on": {"ADD": {"actions": "add"}}}},
    }
    counter = Rehearsal(XStateConfig(config, actions={"add": add}))

    counter.send("ADD", 2)

    assert chart_from(counter.chart).name == "counter"
    assert counter.data == {"count": 3}


def test_a_file_is_relative_to_the_module_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "payment.json").write_text(json.dumps(PAYMENT), "utf-8")
    (tmp_path / "broken.json").write_text("{", "utf-8")

    assert chart_from(payment(str(tmp_path / "payment.json"))).name == "Payment"  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match=r"The configuration is not valid JSON: .*broken\.json"):
        chart_from(XStateConfig(tmp_path / "broken.json", "Broken"))
    with pytest.raises(OSError, match=r"nowhere\.json"):
        chart_from(XStateConfig("nowhere.json"))


def test_an_actor_may_be_a_machine_with_an_input() -> None:
    def greet(effects: Effects) -> None:
        effects.send("PAY", {"amount": 1}, to="#_paying")

    config = {
        "id": "shop",
        "initial": "busy",
        "states": {
            "busy": {
                "entry": "greet",
                "invoke": {
                    "id": "paying",
                    "src": "payment",
                    "input": {"why": "a test"},
                    "onDone": "over",
                    "onError": "over",
                },
            },
            "over": {"type": "final"},
        },
    }
    shop = chart_from(XStateConfig(config, "Shop", actions={"greet": greet}, actors={"payment": payment()}))

    [child] = shop.states["busy"].machines
    assert child.chart is not None
    assert (child.id, child.chart.name) == ("paying", "Payment")


def test_a_parallel_machine_ends_when_its_regions_have_ended() -> None:
    region = {"initial": "open", "states": {"open": {"on": {"SHUT": "shut"}}, "shut": {"type": "final"}}}
    config = {"id": "doors", "type": "parallel", "states": {"left": region, "right": {**region, "id": "right"}}}

    chart = chart_from(XStateConfig(config))
    doors = Rehearsal(chart)
    doors.send("SHUT")

    assert chart.states["doors"].kind is Kind.PARALLEL
    assert [*chart.states] == [
        "",
        "doors",
        "left",
        "doors.left.open",
        "doors.left.shut",
        "right",
        "doors.right.open",
        "doors.right.shut",
        "ended",
    ]
    assert doors.configuration == ("ended",)


def test_a_machine_without_states_is_in_a_state_of_its_own_name() -> None:
    def add(data: dict[str, int]) -> None:
        data["count"] += 1

    config = {"id": "counter", "context": {"count": 0}, "on": {"add": {"actions": "add"}}}
    counter = Rehearsal(XStateConfig(config, actions={"add": add}))

    counter.send("add")

    assert (counter.configuration, counter.data) == (("counter",), {"count": 1})


def test_inputs_and_outputs_are_computed_for_an_invocation_and_an_end() -> None:
    config = {
        "id": "transfer",
        "initial": "debiting",
        "states": {
            "debiting": {"invoke": {"src": "move", "onDone": "crediting", "onError": "stopped"}},
            "crediting": {"invoke": {"id": "credit", "src": "move", "onDone": "made", "onError": "stopped"}},
            "made": {"type": "final"},
            "stopped": {"type": "final"},
        },
    }
    moved: list[object] = []
    transfer = Rehearsal(
        XStateConfig(
            config,
            data=PaymentData,
            actors={"move": lambda cents: cents},
            inputs={"debiting": lambda data: -data.amount, "credit": "amount"},
            outputs={"*": lambda data: {"moved": data.amount}, "stopped": lambda error: error.message},
        ),
        answers={"debiting": moved.append, "credit": moved.append},
    )
    stopped = Rehearsal(transfer.chart)

    transfer.create({"amount": 5})
    stopped.create({"amount": 5})
    stopped.fail("debiting", "no funds")

    assert moved == [-5, 5]
    assert (transfer.output, stopped.output) == ({"moved": 5}, "no funds")


def test_the_end_of_an_invocation_without_an_id_is_named_by_its_place_and_state() -> None:
    on = {
        "xstate.done.actor.0.machine.outer.busy": ".over",
        "xstate.error.actor.1.machine.outer.busy": ".outer",
        "xstate.done.actor.7.machine.outer.busy": ".over",
        "xstate.done.actor.named": ".over",
    }
    busy = {"invoke": [{"src": "one", "onError": "#over"}, {"src": "two", "onDone": "#over"}]}
    states = {"outer": {"initial": "busy", "states": {"busy": busy}}, "over": {"id": "over", "type": "final"}}
    config = {"id": "machine", "initial": "outer", "states": states, "on": on}

    chart = chart_from(XStateConfig(config, actors={"one": lambda: None, "two": lambda: None}))

    at_top = [edge.events for edge in chart.transitions if edge.source == ""]
    assert at_top == [
        ("done.invoke.busy",),
        ("error.invoke.busy_2",),
        ("done.invoke.7.machine.outer.busy",),
        ("done.invoke.named",),
    ]


def test_a_configuration_without_a_name_is_called_by_its_id() -> None:
    inner = XStateConfig({"id": "inner", "initial": "on", "states": {"on": {"type": "final"}}})
    states = {"busy": {"invoke": {"src": "work", "onDone": "over", "onError": "over"}}, "over": {"type": "final"}}
    outer = XStateConfig({"id": "outer", "initial": "busy", "states": states}, actors={"work": inner})

    [child] = chart_from(outer).states["busy"].machines

    assert (outer.name, inner.name, child.name) == ("outer", "inner", "inner")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"inputs": {"debitng": "amount"}}, "invocation 'debitng' has an input, and there is none. Did you mean 'debiting'?"),
        ({"outputs": {"debiting": lambda: 1}}, "'debiting' has an output, and is not a final state."),
    ],
    ids=["input", "output"],
)  # fmt: skip
def test_an_input_or_an_output_that_has_no_place_is_refused(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        chart_from(payment(**options))

    assert expected in str(refused.value)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a state that is not there": (
        {"on": {"GO": "nowhere"}},
        "'idle' names the state 'nowhere', and there is none. Correct the name.",
    ),
    "a guard without a function": (
        {"on": {"GO": {"guard": "isReady"}}},
        "guard 'isReady' has no function. Give it one: guards={'isReady': …}.",
    ),
    "an action without a function": (
        {"entry": "shout"},
        "action 'shout' has no function. Give it one: actions={'shout': …}.",
    ),
    "an actor that is not given": (
        {"invoke": {"src": "fetch"}},
        "state 'idle' invokes 'fetch', which is not given. Give actors={'fetch': …}.",
    ),
    "a delay that is not given": (
        {"after": {"soon": {}}},
        "delay 'soon' is not given. Give it: delays={'soon': timedelta(…)}.",
    ),
    "a word of XState 4": (
        {"on": {"GO": {"cond": "isReady"}}},
        "a transition of state 'idle' has a member 'cond', which is not read. XState 5 calls it guard.",
    ),
    "a misspelt member": (
        {"entyr": "shout"},
        "state 'idle' has a member 'entyr', which is not read. Did you mean 'entry'?",
    ),
    "a compound state without a beginning": (
        {"states": {"inner": {}}},
        "state 'idle' has no initial state. Name one of its children.",
    ),
    "a transition that is no object": (
        {"on": {"GO": 3}},
        "a transition of 'idle' is 3, which is not an object. Write it as XState does.",
    ),
}


@pytest.mark.filterwarnings("ignore::durable_fsm.errors.DefinitionWarning")
@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_is_refused_with_its_remedy(mistake: str) -> None:
    members, expected = REFUSED[mistake]

    with pytest.raises(DefinitionError) as refused:
        chart_from(XStateConfig({"id": "machine", "initial": "idle", "states": {"idle": members}}))

    assert expected in str(refused.value)


def test_a_function_that_nothing_names_is_refused_with_the_nearest_name() -> None:
    config = {"id": "machine", "initial": "idle", "states": {"idle": {"entry": "shout"}}}

    with pytest.raises(
        DefinitionError, match=r"action 'shuot' is not named by the configuration. Did you mean 'shout'?"
    ):
        chart_from(XStateConfig(config, actions={"shuot": note}))


def test_a_failure_that_nothing_takes_is_a_warning() -> None:
    states = {"idle": {"invoke": {"src": "fetch", "onDone": "over"}}, "over": {"type": "final"}}
    config = {"id": "machine", "initial": "idle", "states": states}

    with pytest.warns(DefinitionWarning, match=r"activity 'idle': .* Give the invoke an onError\."):
        chart_from(XStateConfig(config, actors={"fetch": lambda: None}))
