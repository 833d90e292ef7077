"""The outside work: the language model, the prices of flights, and Slack.

The clients are services of the application: `service.py` makes them from the environment, and a rehearsal gives its own.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeAlias

import httpx
import openai
from openai import AsyncOpenAI
from pydantic import BaseModel, ValidationError

from durable_fsm import ActivityContext, Retry, TerminalError
from machines.chat.data import Answer, Command, Thought
from machines.chat.world import fetch_price

Prompt: TypeAlias = list[dict[str, str]]

PATIENT = Retry(attempts=8, initial=timedelta(milliseconds=200), maximum=timedelta(seconds=30))
ATTEMPT = timedelta(seconds=60)

RETRIED = {408, 409, 425, 429}
"""Statuses of the model, beside 5xx, that another attempt may change; all others are final."""


# ── the model ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Model:
    """A language model behind an OpenAI-compatible API. The library does not retry: the activity does."""

    def __init__(self, client: AsyncOpenAI, name: str) -> None:
        self.client, self.name = client, name

    async def complete(self, messages: Prompt, key: str) -> tuple[str, int]:
        """Ask for one answer; returns it with the tokens that it took. A repeated request has the same key."""
        said: Any = messages  # Any: the library types each role of a message on its own
        try:
            answer = await self.client.chat.completions.create(
                model=self.name,
                messages=said,
                temperature=0.2,
                response_format={"type": "json_object"},
                extra_headers={"Idempotency-Key": key},
            )
        except openai.APIStatusError as refused:
            if refused.status_code in RETRIED or refused.status_code >= 500:
                raise
            raise TerminalError(f"The model refuses: {refused.message}", code=refused.status_code) from refused
        return answer.choices[0].message.content or "", answer.usage.total_tokens if answer.usage else 0


async def ask_model(ctx: ActivityContext, prompt: Prompt, *, model: Model) -> Thought:
    """Ask the model once. An answer that is not a command is an error, and is not asked for again."""
    content, tokens = await ctx.run("ask", model.complete, prompt, ctx.stable_id)
    try:
        return Thought(command=Command.model_validate_json(content), tokens=tokens)
    except ValidationError as wrong:
        raise TerminalError(f"The model did not answer with a command: {_first(wrong)}", code=502) from wrong


def _first(wrong: ValidationError) -> str:
    found = wrong.errors()[0]
    return ": ".join([*(str(part) for part in found["loc"]), found["msg"]])


# ── flights ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Watch(BaseModel):
    """A flight, and the most that it may cost."""

    origin: str
    destination: str
    max_price: int
    last_price: int | None = None


async def probe_price(ctx: ActivityContext, data: Watch) -> int:
    """Ask what the flight costs now."""
    return await ctx.run("price", fetch_price, data.origin, data.destination, ctx.stable_id)


# ── Slack ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Slack:
    """Slack's Web API."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def call(self, method: str, body: dict[str, Any]) -> str:
        """Call a method; returns the `ts` of the message.

        Raises:
            TerminalError: Slack refuses for good.
        """
        answer = await self.http.post(method, json=body)
        answer.raise_for_status()
        said = answer.json()
        if not said["ok"]:
            raise TerminalError(f"Slack refuses {method}: {said['error']}")
        ts: str = said["ts"]
        return ts


class SlackText(BaseModel):
    """A message in a channel. With `ts` it is there already, and is replaced."""

    channel: str
    ts: str = ""
    answer: Answer = Answer(message="")


async def post_typing(ctx: ActivityContext, data: SlackText, *, slack: Slack) -> str:
    body = {"channel": data.channel, "text": "_typing…_"}
    return await ctx.run("post", slack.call, "chat.postMessage", body)


async def update_message(ctx: ActivityContext, data: SlackText, *, slack: Slack) -> str:
    """Replace the typing message by the answer, or by a block that says what went wrong."""
    body = {"channel": data.channel, "ts": data.ts, "text": data.answer.message, "blocks": blocks(data.answer)}
    return await ctx.run("update", slack.call, "chat.update", body)


async def post_notice(ctx: ActivityContext, notice: dict[str, str], *, slack: Slack) -> str:
    return await ctx.run("post", slack.call, "chat.postMessage", notice)


def blocks(answer: Answer) -> list[dict[str, Any]]:
    """The answer in Slack's blocks."""
    if answer.error:
        return [_section(f":warning: *That did not work.*\n{answer.error}")]
    return [_section(answer.message), *([_section(f">{answer.quote}")] if answer.quote else [])]


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}
