"""Charts whose events come from Kafka topics and from webhooks."""

from __future__ import annotations

import json
import os

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import (
    HmacSha256,
    Incoming,
    Kafka,
    Record,
    Request,
    Response,
    StripeSignature,
    TransitionsConfig,
    Webhook,
    app,
    defer,
    durable,
    event,
)

VERSION = os.environ.get("SOURCES_VERSION", "1")
"""Version of `Parcel`: a deployment that does not know the snapshots of the one before."""


class Entry(BaseModel):
    n: int
    by: str = ""


class Entries(BaseModel):
    log: list[str] = []


def entry(record: Record) -> Incoming | None:
    """Read `{"event": …, "payload": …}`; noise is skipped."""
    body = json.loads(record.value)
    if body["event"] == "noise":
        return None
    return Incoming(body["event"], body.get("payload"), key=body.get("key"), id=body.get("id"))


def click(record: Record) -> Incoming:
    """Read the payload; the machine is named in it."""
    return Incoming("note", json.loads(record.value)["payload"])


def page_of(record: Record) -> str:
    """Name the machine that a click is for."""
    return json.loads(record.value)["page"]


def whatever(record: Record) -> Incoming:
    """Return what a decoder may not."""
    return json.loads(record.value)


def posted(request: Request) -> Incoming | Response | None:
    """Read an event as a provider posts it."""
    body = json.loads(request.body)
    if body.get("type") == "ping":
        return None
    if body.get("type") == "url_verification":
        return Response({"challenge": body.get("challenge", object())})
    return Incoming(body.get("type", "note"), body.get("payload"), key=body.get("key"), id=body.get("id"))


def has_token(request: Request) -> bool:
    """Compare a token with the one of the environment."""
    if request.headers.get("x-token") == "raise":
        raise RuntimeError(f"the token is {os.environ['TOKEN']}")
    return request.headers.get("x-token") == os.environ["TOKEN"]


@durable(
    sources=[
        Kafka("entries", decode=entry),
        Kafka("clicks", decode=click, key=page_of, events=("note",)),
        Kafka("whatever", decode=whatever),
        Kafka("doomed", decode=entry, group=os.environ.get("DOOMED_GROUP", "doomed-1")),
    ],
    webhooks=[
        Webhook("github", decode=posted, signature=HmacSha256(header="X-Hub-Signature-256", secret="GITHUB_SECRET", prefix="sha256=")),
        Webhook("shop", decode=posted, signature=HmacSha256(header="X-Shop", secret="SHOP_SECRET", encoding="base64")),
        Webhook("stripe", decode=posted, signature=StripeSignature(secret="STRIPE_SECRET")),
        Webhook("forgotten", decode=posted, signature=StripeSignature(secret="NOBODY_HAS_SET_THIS")),
        Webhook("token", decode=posted, signature=has_token),
        Webhook("open", decode=posted, signature=None),
        Webhook("auditor", decode=posted, signature=has_token, events=("note", "audit")),
    ],
)  # fmt: skip
class Ledger(StateChart[Entries]):
    """Keeps what it is told, in order."""

    kept = State(initial=True)
    closed = State(final=True)

    note = event(kept.to.itself(internal=True), Entry)
    close = event(kept.to(closed))
    audit = event(kept.to.itself(internal=True), Entry, public=False)

    def on_note(self, data: Entries, payload: Entry) -> None:
        data.log.append(f"{payload.by}{payload.n}")

    def on_audit(self, data: Entries, payload: Entry) -> None:
        data.log.append(f"audited {payload.n}")


@durable(
    version=VERSION,
    sources=[Kafka("parcels", decode=entry)],
    webhooks=[Webhook("courier", decode=posted, signature=None)],
)
class Parcel(StateChart[Entries]):
    """Changes its version between deployments."""

    packed = State(initial=True)

    note = event(packed.to.itself(internal=True), Entry)

    def on_note(self, data: Entries, payload: Entry) -> None:
        data.log.append(f"{payload.by}{payload.n}")


@durable(sources=[Kafka("letters", decode=entry)])
class Letterbox(StateChart[Entries]):
    """Keeps letters for later while it is closed."""

    closed = State(initial=True)
    opened = State()

    defer(closed, "note")

    open = event(closed.to(opened))
    note = event(opened.to.itself(internal=True), Entry)

    def on_note(self, data: Entries, payload: Entry) -> None:
        data.log.append(f"{payload.by}{payload.n}")


lamp = TransitionsConfig(
    "TopicLamp",
    states=["off", "on"],
    transitions=[["press", "off", "on"], ["press", "on", "off"]],
    initial="off",
    sources=(Kafka("presses", decode=lambda record: Incoming("press")),),
)

sources_app = app(Ledger, Parcel, Letterbox, lamp)
