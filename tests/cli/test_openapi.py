"""The OpenAPI document of a chart: complete, valid, and what the real ingress does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import validate
from pydantic import BaseModel, create_model
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from statemachine import State, StateChart

from durable_fsm import chart_from, durable, event
from durable_fsm.cli import main
from durable_fsm.restate.http.openapi import openapi
from durable_fsm.restate.machine.object import handlers_of, virtual_object
from durable_fsm.restate.settings import HostedChart
from durable_fsm.testing import RestateServer, Served
from machines.data_upload.machine import DataUpload
from machines.order import Order
from machines.trip_booking.machine import Trip
from tests.cli.kiosk import Kiosk
from tests.scaling import SCALE

HERE = Path(__file__).parent
EXAMPLES = max(1, int(4 * SCALE))
DISABLED = {
    "positive_data_acceptance": "whether an event is taken depends on where the machine is: 409 and 410 are answers",
    "negative_data_rejection": "one-way requests are accepted before anybody reads them, pydantic reads 1.0 as an int,"
    " and the ingress takes any query and any header",
}


@pytest.mark.parametrize("definition", [Kiosk, Order])
def test_the_document_is_valid_and_tells_of_every_public_handler(definition: type) -> None:
    chart = chart_from(definition)

    document = openapi(chart, server="https://shop.example")

    validate(document)
    assert document["servers"][0]["url"] == "https://shop.example"
    assert document["info"]["title"] == chart.name
    told = {path.split("/")[3] for path in document["paths"]}
    service = virtual_object(HostedChart(chart))
    assert told == {name for name, handler in service.handlers.items() if name[0] != "_"}
    for handler in handlers_of(chart):
        assert f"/{chart.name}/{{key}}/{handler}/send" in document["paths"]


def test_a_workflow_says_when_its_run_ends() -> None:
    whole, part = (openapi(chart_from(definition))["paths"] for definition in (Trip, DataUpload))

    told = [
        whole["/BookingWorkflow.workflow/{key}/run"]["post"]["description"],
        part["/dataUploader.workflow/{key}/run"]["post"]["description"],
    ]
    assert ("to its end, once" in told[0], "until 'upload' is done, once" in told[1]) == (True, True)


def test_an_event_has_its_payload_and_every_answer() -> None:
    document = openapi(chart_from(Kiosk))

    unlock = document["paths"]["/Kiosk/{key}/unlock"]["post"]
    assert unlock["requestBody"]["required"]
    schema = unlock["requestBody"]["content"]["application/json"]["schema"]
    assert (schema["title"], schema["description"], schema["required"]) == ("Unlock", "Who opens it.", ["owner"])
    assert set(unlock["responses"]) == {"200", "400", "403", "404", "409", "410", "413", "422", "429", "500", "503"}
    assert "/Kiosk/{key}/nightfall" not in document["paths"]


def test_handlers_for_operators_are_left_out() -> None:
    @durable(name="Closed", operators_only=["delete", "send"], workflow=True)
    class Closed(Kiosk):
        """Nobody deletes it."""

    paths = openapi(chart_from(Closed))["paths"]

    assert "/Closed/{key}/delete" not in paths
    assert "/Closed/{key}/send" not in paths
    assert "/Closed/{key}/sell" in paths
    assert "/Closed.workflow/{key}/run" in paths


def test_the_command_writes_it_and_says_when_it_is_stale(tmp_path: Path) -> None:
    target, file = f"{HERE / 'kiosk.py'}:Kiosk", tmp_path / "kiosk.json"

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["openapi", target, *arguments])
        return result.exit_code, result.output

    assert run("-o", str(file)) == (0, f"Wrote {file}.\n")
    assert json.loads(run()[1]) == json.loads(file.read_text())
    assert run("-o", str(file), "--check") == (0, f"{file} is fresh.\n")
    file.write_text("{}")
    assert run("-o", str(file), "--check") == (
        1,
        f"{file} is stale. Update it: durable-fsm openapi {target} -o {file}\n",
    )
    assert run("--check")[0] == 2


class Receipt(BaseModel):
    """Of paper; as it happens, we call something by this name, too."""

    paper: int


class Sale(BaseModel):
    receipt: Receipt


class Note(BaseModel):
    line: create_model("Line", text=(str, ...))  # type: ignore[valid-type]


class Bill(BaseModel):
    line: create_model("Line", cents=(int, ...))  # type: ignore[valid-type]


def test_types_of_one_name_do_not_hide_each_other() -> None:
    class Desk(StateChart[Any]):
        open = State(initial=True)
        closed = State(final=True)

        sell = event(open.to.itself(internal=True), Sale)
        write = event(open.to.itself(internal=True), Note)
        rewrite = event(open.to.itself(internal=True), Note)
        bill = event(open.to.itself(internal=True), Bill)
        close = open.to(closed)

    document = openapi(chart_from(Desk))

    validate(document)
    schemas = document["components"]["schemas"]
    taken = {
        handler: document["paths"][f"/Desk/{{key}}/{handler}"]["post"]["requestBody"]["content"]["application/json"]
        for handler in ("sell", "write", "rewrite", "bill")
    }
    assert "outcome" in schemas["Receipt"]["properties"]
    assert taken["sell"]["schema"]["properties"]["receipt"] == {"$ref": "#/components/schemas/Receipt2"}
    assert taken["write"] == taken["rewrite"]
    assert taken["write"]["schema"]["properties"]["line"] == {"$ref": "#/components/schemas/Line2"}
    assert taken["bill"]["schema"]["properties"]["line"] == {"$ref": "#/components/schemas/Line"}
    assert (list(schemas["Line"]["properties"]), list(schemas["Line2"]["properties"])) == (["cents"], ["text"])


@pytest.mark.server
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_the_real_ingress_does_what_the_document_says(
    restate_server: RestateServer, tmp_path: Path, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_dict(openapi(chart_from(Kiosk)))
    excluded = [check for check in CHECKS.get_all() if check.__name__ in DISABLED]
    assert len(excluded) == len(DISABLED)
    calls: list[int] = []

    with Served.begin("kiosk:app", restate_server, log=tmp_path / "log", app_dir=HERE):
        for found in schema.get_all_operations():
            operation = found.ok()
            if mode is GenerationMode.NEGATIVE and "requestBody" not in operation.definition.raw:
                continue  # there is nothing that could be wrong with it

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            def holds(case: Any) -> None:
                if mode is GenerationMode.NEGATIVE:
                    case.headers = {}  # what is no header at all ends the connection, before anybody reads a request
                if case.path.endswith("/wait_for") and isinstance(case.body, dict):
                    case.body.setdefault("timeout", "100ms")  # the default of an hour is longer than this test waits
                answer = case.call_and_validate(base_url=restate_server.ingress_url, excluded_checks=excluded)
                calls.append(answer.status_code)

            holds()

    print({status: calls.count(status) for status in sorted(set(calls))})
    assert len(calls) > 40
    assert {200, 202, 409} <= set(calls) if mode is GenerationMode.POSITIVE else {400, 422} & set(calls)
