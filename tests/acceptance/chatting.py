"""The chat bot on a server: its users, the model, Slack and the flight agency, as the tests of R22 see them."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from durable_fsm.testing import RestateServer, ServiceProcess, wait_until
from machines.chat.slack_server import signed
from tests.acceptance.applications import PATIENCE, Application, Outside, serve, world
from tests.web import web

SECRET = "slack-secret-of-the-test"
_numbers = itertools.count(1)


@dataclass
class Services:
    """The services outside, which all tests share: each test has its own session, channel and route."""

    model: ServiceProcess
    slack: ServiceProcess
    agency: Outside


@contextmanager
def running(place: Path) -> Iterator[Services]:
    """Run the services outside."""
    with ExitStack() as stack:
        model, slack, agency = (
            stack.enter_context(world("chat", place, module, {"SLACK_SIGNING_SECRET": SECRET}))
            for module in ("model_server", "slack_server", "world")
        )
        yield Services(model, slack, Outside(agency))


@dataclass
class Chat(Application):
    """Sessions on one server, the model, Slack, and the flight agency."""

    outside: Services

    # ── users ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def own(self, name: str) -> str:
        """A session, a channel or a city of this server alone."""
        return f"{name}{self.server.ingress_url.rpartition(':')[2]}"

    def say(self, session: str, text: str) -> httpx.Response:
        """Say something, and wait for the answer."""
        url = f"{self.server.ingress_url}/chatMessage.workflow/m-{session}-{next(_numbers)}/run"
        return web.post(url, json={"session": session, "text": text})

    def ask(self, session: str, text: str) -> tuple[str, str]:
        """Say something; the answer, and what it quotes."""
        answer = self.say(session, text)
        assert answer.status_code == 200, answer.text
        return answer.json()["message"], answer.json()["quote"]

    def session(self, session: str) -> dict[str, Any]:
        found: dict[str, Any] = self.server.call("chatSession", session, "snapshot")
        return found

    def lines(self, session: str) -> list[tuple[str, str]]:
        return [(line["who"], line["text"]) for line in self.session(session)["data"]["history"]]

    def wait_line(self, session: str, text: str) -> dict[str, Any]:
        """The first line of a conversation that has this text."""

        def found() -> list[dict[str, Any]]:
            return [line for line in self.session(session)["data"]["history"] if line["text"] == text]

        return wait_until(found, PATIENCE, f"'{text}' in {session}")[0]

    # ── the model ───────────────────────────────────────────────────────────────────────────────────────────────────

    def requests(self, about: str) -> list[dict[str, Any]]:
        """What the model was asked, where the last message has this text."""
        found: list[dict[str, Any]] = web.get(f"{self.outside.model.url}/requests").json()
        return [one for one in found if about in one["last"]]

    def script(self, about: str, *steps: dict[str, object]) -> None:
        web.post(f"{self.outside.model.url}/script", json={"about": about, "steps": steps}).raise_for_status()

    def release(self, about: str) -> None:
        web.post(f"{self.outside.model.url}/release", json={"about": about}).raise_for_status()

    # ── flights ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def prices(self, origin: str, *prices: int) -> None:
        body = {"origin": origin, "destination": "Oslo", "prices": prices}
        key = {"idempotency-key": origin}
        web.post(f"{self.outside.agency.url}/script", json=body, headers=key).raise_for_status()

    def probes(self, origin: str) -> list[int]:
        """The prices that were asked for, and told."""
        return [one["answer"]["price"] for one in self.outside.agency.done("/prices", origin=origin)]

    # ── Slack ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def post(self, body: dict[str, Any], *, secret: str = SECRET, age: int = 0) -> httpx.Response:
        """Post an event as Slack does."""
        content = json.dumps(body).encode()
        headers = signed(content, secret, int(time.time()) - age)
        return web.post(f"{self.server.ingress_url}/slackbot.webhooks/message", content=content, headers=headers)

    def calls(self, channel: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = web.get(f"{self.outside.slack.url}/calls").json()
        return [call for call in found if call["channel"] == channel]

    def wait_update(self, channel: str) -> dict[str, Any]:
        """The first update of a message that was done."""

        def done() -> list[dict[str, Any]]:
            return [call for call in self.calls(channel) if (call["method"], call["status"]) == ("chat.update", 200)]

        return wait_until(done, PATIENCE, f"an answer in {channel}")[0]


@contextmanager
def opened(server: RestateServer, place: Path, services: Services) -> Iterator[Chat]:
    env = {
        "OPENAI_BASE_URL": f"{services.model.url}/v1",
        "OPENAI_API_KEY": "sk-of-the-test",
        "OPENAI_MODEL": "rules",
        "SLACK_API_URL": f"{services.slack.url}/api",
        "SLACK_SIGNING_SECRET": SECRET,
        "WORLD_URL": services.agency.url,
        "CHAT_PROBE_SECONDS": "0.2",
    }
    with serve("chat", server, place, env) as served:
        yield Chat("chat", served, server, services)
