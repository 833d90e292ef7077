"""The requests that `durable-fsm dev` prints: each fits its payload type, and does what it says."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from click.testing import CliRunner
from pydantic import BaseModel, Field, TypeAdapter, field_validator
from statemachine import State, StateChart

from durable_fsm import Webhook, after, chart_from, durable, event
from durable_fsm.cli import main
from durable_fsm.cli.describe import main as describe
from durable_fsm.cli.example import example
from durable_fsm.cli.requests import requests_of
from durable_fsm.core.sources import Incoming, Request
from durable_fsm.testing import Rehearsal


class Colour(StrEnum):
    RED = "red"


class Line(BaseModel):
    sku: str = Field(pattern=r"^[A-Z]{3}-\d{4}$")
    count: int = Field(gt=0, multiple_of=6)


class Basket(BaseModel):
    lines: list[Line] = Field(min_length=2)
    note: str = ""


@pytest.mark.parametrize(
    "type_",
    [
        Annotated[str, Field(pattern=r"^[A-Z]{3}-\d{4}$")],
        Annotated[str, Field(pattern=r"^\+?[1-9]\d{7,14}$")],
        Annotated[str, Field(pattern=r"^(EUR|USD)$")],
        Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$", min_length=12)],
        Annotated[str, Field(pattern=r"^\w+$", min_length=5, max_length=8)],
        Annotated[str, Field(pattern=r"\S.\D")],
        Annotated[str, Field(min_length=3)],
        datetime,
        date,
        time,
        timedelta,
        UUID,
        Decimal,
        Annotated[int, Field(gt=5, multiple_of=7)],
        Annotated[int, Field(lt=0)],
        Annotated[int, Field(le=-3)],
        Annotated[float, Field(gt=0, lt=0.4)],
        Annotated[float, Field(ge=2.5)],
        tuple[int, str],
        Annotated[list[int], Field(min_length=2)],
        Literal["a", "b"],
        Colour,
        int | None,
        None,
        bool,
        dict[str, int],
        Line,
        Basket,
    ],
    ids=str,
)
def test_an_example_fits_its_type(type_: Any) -> None:
    adapter = TypeAdapter[Any](type_)

    adapter.validate_json(json.dumps(example(adapter.json_schema())))


@pytest.mark.parametrize("pattern", ["^a(?=b)b$", r"(\w)\1", "^[^x1aA]$", "(", r"\p{L}"])
def test_a_pattern_that_is_not_understood_gives_some_text(pattern: str) -> None:
    assert isinstance(example({"type": "string", "pattern": pattern}), str)


class Weight(BaseModel):
    grams: int

    @field_validator("grams")
    @classmethod
    def prime(cls, grams: int) -> int:
        if grams != 7919:
            raise ValueError("not what the scales say")
        return grams


class ParcelData(BaseModel):
    owner: str


def decode(request: Request) -> Incoming | None:
    return None


@durable(webhooks=[Webhook("carrier", decode, signature=None)], handlers={"set_up": "create"})
class Parcel(StateChart[ParcelData]):
    """Its names are in the wrong order on purpose, and two of them are those of built-in handlers."""

    packed = State(initial=True)

    class travelling(State.Compound):
        leaving = State(initial=True)
        arriving = State()
        weigh = event(leaving.to(arriving), Weight)

    lost = State(final=True)

    stamp = packed.to(travelling)
    create = event(packed.to.itself(internal=True), Line)
    delete = event(travelling.to(lost), Line)


def test_requests_come_in_the_order_in_which_a_machine_takes_them() -> None:
    found = requests_of(chart_from(Parcel))

    assert [(one.event, one.path, one.guessed) for one in found] == [
        ("create", "Parcel/one/create", True),
        ("create", "Parcel/one/set_up", True),
        ("stamp", "Parcel/one/stamp", True),
        ("weigh", "Parcel/one/weigh", False),
        ("delete", "Parcel/one/send", True),
    ]
    assert found[0].body == {"owner": "x"}
    assert found[-1].body == {"event": "delete", "payload": {"sku": "AAA-1111", "count": 6}}


def test_a_chart_without_a_data_type_is_created_with_nothing() -> None:
    @durable(create_first=True)
    class Lamp(StateChart):
        dark = State(initial=True)
        lit = State(final=True)
        press = dark.to(lit)

    create, press = requests_of(chart_from(Lamp))

    assert (create.body, create.guessed, press.event) == ({}, True, "press")


def test_a_request_has_the_handler_name_that_the_author_chose() -> None:
    @durable(handlers={"switchOn": "switch_on"})
    class Lamp(StateChart):
        dark = State(initial=True)
        lit = State(final=True)
        switch_on = dark.to(lit)

    [request] = requests_of(chart_from(Lamp))

    assert (request.event, request.path) == ("switch_on", "Lamp/one/switchOn")


def test_a_flow_and_a_workflow_are_run_before_anything_else() -> None:
    @durable(flow=True, workflow=True)
    class Egg(StateChart[ParcelData]):
        cooking = State(initial=True)
        done = State(final=True)
        ring = after(timedelta(minutes=5), cooking.to(done))

    found = requests_of(chart_from(Egg))

    assert [(one.event, one.path) for one in found] == [
        ("run", "Egg.flow/run"),
        ("run", "Egg.workflow/one/run/send"),
        ("create", "Egg/one/create"),
    ]
    assert [one.body for one in found] == [{"owner": "x"}] * 3


def test_a_machine_takes_what_is_proposed() -> None:
    machine = Rehearsal(Parcel)
    first, *others = requests_of(chart_from(Parcel))

    machine.create(first.body)
    for one in others:
        if one.guessed:
            body: Any = one.body
            name, payload = (body["event"], body["payload"]) if one.path.endswith("/send") else (one.event, one.body)
            machine.send(name, payload)

    assert machine.configuration == ("lost",)


def test_describe_lists_webhooks(capsys: pytest.CaptureFixture[str]) -> None:
    assert describe([f"{__file__}:app"]) == 0

    described = json.loads(capsys.readouterr().out)
    assert described["mounts"] == [""]
    [told] = described["charts"]
    assert told["webhooks"] == [{"name": "carrier", "path": "/Parcel.webhooks/carrier", "note": "not signed"}]


def test_an_event_with_the_name_of_a_built_in_is_a_problem_with_a_remedy() -> None:
    result = CliRunner().invoke(main, ["check", f"{__file__}:Parcel", "--json"])

    [told] = json.loads(result.stdout)
    assert result.exit_code == 3
    assert len(told["problems"]) == 1  # 'create' has a URL of its own
    assert "'delete' has the name of a built-in handler" in told["problems"][0]
    assert '@durable(handlers={"delete_it": "delete"})' in told["problems"][0]
    assert f"({Path(__file__)}:" in told["problems"][0]


def app() -> object:
    raise AssertionError("only its charts are read")


app.durable_fsm_charts = (chart_from(Parcel),)  # type: ignore[attr-defined]  # as durable_fsm.app leaves them there
