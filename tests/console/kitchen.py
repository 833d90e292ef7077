"""A console whose server is a dictionary, and a browser for it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from types import SimpleNamespace
from typing import Any

import httpx
from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import activity, after, chart_from, durable, event
from durable_fsm.console.context import ConsoleContext, ConsoleOptions
from durable_fsm.console.logins import ActingOptions
from durable_fsm.console.operators import Operator, OperatorBook, hash_password
from durable_fsm.console.reading import DeployedChart, KnownChart
from durable_fsm.console.site import site_of
from durable_fsm.core.interchange import chart_from_json, chart_to_json
from durable_fsm.core.redact import Redaction

SECRET = "a-secret-of-the-operators"
CARD = "4111-2222"


class Cup(BaseModel):
    sugar: int = Field(0, ge=0, description="spoons")
    kind: str = "black"
    milk: bool = False
    card: str = ""


async def brew(ctx: object, data: Cup) -> str:
    raise NotImplementedError


@durable(redact=("card",))
class Teapot(StateChart[Cup]):
    """Makes tea."""

    empty = State(initial=True)
    brewing = State(invoke=activity(brew))
    ready = State()
    cold = State(final=True)

    order = event(empty.to(brewing), Cup)
    done_invoke_brewing = brewing.to(ready)
    error_invoke_brewing = brewing.to(empty)
    stop = event(brewing.to(empty))
    chill = after(timedelta(minutes=5), ready.to(cold))

    def on_order(self, data: Cup, payload: Cup) -> None:
        data.sugar, data.card = payload.sugar, payload.card


CODE = chart_from(Teapot)
CARRIED = chart_from_json(json.loads(json.dumps(chart_to_json(CODE))))
KNOWN = KnownChart("Teapot", CARRIED, "", Redaction.of(("card",)), (DeployedChart("dp_1", "2030", CARRIED),))
HOSTILE = "<script>alert(1)</script>\"'&"


def stored(**members: Any) -> dict[str, Any]:
    found = {
        "format": 1, "chart": "Teapot", "version": "1", "digest": CODE.digest, "life": "abc", "seq": 3,
        "status": "running", "configuration": ["empty"], "data": {"sugar": 0, "kind": "black", "milk": False, "card": CARD},
    }  # fmt: skip
    return found | members


BREWING = {
    "configuration": ["brewing"],
    "activities": [{"token": "abc.2.1", "id": "brewing", "state": "brewing", "entry": 2}],
}


@dataclass
class Kitchen:
    """A console and its browser; the server is a dictionary of snapshots, and a list of what it was asked to do."""

    machines: dict[str, dict[str, Any]]
    options: ActingOptions
    hide_data: bool = False
    now: float = 0.0
    calls: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    refusal: Exception | None = None

    def __post_init__(self) -> None:
        options = ConsoleOptions(
            "http://nowhere",
            hide_data=self.hide_data,
            hosts=frozenset({"localhost", "fsm.example"}),
            acting=self.options,
        )
        context = ConsoleContext(options)
        context.logins._clock = lambda: self.now
        context.reader = self  # type: ignore[assignment]
        context._client = self  # type: ignore[assignment]
        self.context = context
        self.cookies = httpx.Cookies()

    # ── as the server ─────────────────────────────────────────────────────────────────────────────────────────────

    def chart(self, name: str) -> KnownChart | None:
        return KNOWN if name == "Teapot" else None

    def texts(self, chart: str, keys: list[str]) -> Mapping[str, Mapping[tuple[str, str], str]]:
        return {key: {("", "snapshot"): json.dumps(self.machines[key])} for key in keys if key in self.machines}

    def charts(self) -> dict[str, KnownChart]:
        return {"Teapot": KNOWN}

    def remembered(self, name: str, seconds: float, read: Callable[[], Any]) -> Any:
        return read()

    def stuck(self, chart: str, key: str) -> str:
        return ""

    # ── as the client ─────────────────────────────────────────────────────────────────────────────────────────────

    def as_operator(self, name: str, secret: str) -> Kitchen:
        assert secret == SECRET
        self.signer = name
        return self

    def machine(self, chart: str, key: str) -> Any:
        def at(seq: int) -> Any:
            async def act(*what: Any, **more: Any) -> None:
                more.pop("idempotency_key", None)
                if self.refusal is not None:
                    raise self.refusal
                self.calls.append((self.signer, key, seq, *what, more))

            return SimpleNamespace(
                send=act,
                repair=lambda **more: act("repair", **more),
                create=lambda data: act("create", data),
                delete=lambda **more: act("delete", **more),
                cancel=lambda about: act("cancel", about),
            )

        return SimpleNamespace(if_seq=at)

    # ── as the browser ────────────────────────────────────────────────────────────────────────────────────────────

    def ask(self, method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        async def asked() -> httpx.Response:
            base = f"http://{headers.pop('host_', 'localhost')}"
            transport = httpx.ASGITransport(site_of(self.context))
            async with httpx.AsyncClient(transport=transport, base_url=base, cookies=self.cookies) as client:
                given = {name.replace("_", "-"): value for name, value in headers.items()}
                if method == "POST" and "sec-fetch-site" not in given and "origin" not in given:
                    given["sec-fetch-site"] = "same-origin"
                answer = await client.request(method, path, data=form, headers=given)
                self.cookies = client.cookies
                return answer

        return asyncio.run(asked())

    def log_in(self, name: str = "ann", password: str = "tea at four", to: str = "") -> httpx.Response:
        return self.ask("POST", "/login", {"name": name, "password": password, "to": to})

    def hidden(self, path: str) -> dict[str, str]:
        """The hidden fields of the form on a page."""
        page = self.ask("GET", path).text
        found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.split('class="panel form')[-1])
        return {name: unescape(value) for name, value in found}


BOOK = OperatorBook(
    {
        "ann": (Operator.of_everything("ann"), hash_password("tea at four", cost=2)),
        "bob": (Operator("bob", frozenset({"send"}), frozenset({"Teapot"})), hash_password("coffee at six", cost=2)),
        "eve": (Operator("eve", frozenset({"send"}), frozenset({"Other"})), hash_password("nothing at all", cost=2)),
    }
)
ORDER = "/act/send?chart=Teapot&key=t-1&event=order"
REPAIR = "/act/repair?chart=Teapot&key=t-1"
BULK = "/act/bulk?chart=Teapot&event=stop&state=brewing"


def order(kitchen: Kitchen, **fields: str) -> httpx.Response:
    form = {
        **kitchen.hidden(ORDER),
        "f.sugar": "2",
        "f.kind": "green",
        "do": "send",
        "reason": "asked by phone",
        **fields,
    }
    return kitchen.ask("POST", ORDER, form)


def made() -> Kitchen:
    return Kitchen(
        {"t-1": stored(), HOSTILE: stored(data={"sugar": 0, "kind": HOSTILE, "milk": False, "card": CARD})},
        ActingOptions(SECRET, BOOK, charts={"Teapot": CODE}),
    )
