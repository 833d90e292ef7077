"""A service carries its chart to the server, and makes it only when the server asks."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import app, chart_from, event
from durable_fsm.core.interchange import chart_from_json

MANIFEST = "application/vnd.restate.endpointmanifest.v4+json"


class Stamp(BaseModel):
    cents: int


class Parcel(StateChart):
    """A parcel."""

    packed = State(initial=True)
    sent = State(final=True)

    send_off = event(packed.to(sent), Stamp)


def discovered(hosted: Any) -> dict[str, Any]:  # Any: an ASGI application; JSON of the SDK
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(hosted), base_url="http://service") as client:
            return await client.get("/discover", headers={"accept": MANIFEST})

    return {service["name"]: service for service in asyncio.run(ask()).raise_for_status().json()["services"]}


def test_the_chart_is_made_when_the_service_is_discovered() -> None:
    chart = chart_from(Parcel)
    hosted = app(chart)
    assert "_schema" not in vars(chart.events["send_off"].payload), "the slowest part is made before it is needed"

    services = discovered(hosted)

    assert [name for name, service in services.items() if service.get("metadata")] == ["Parcel"]
    carried = chart_from_json(json.loads(services["Parcel"]["metadata"]["durable_fsm.chart"]))
    assert (carried.digest, services["Parcel"]["documentation"]) == (chart.digest, "A parcel.")
