"""Slack: the decoder of its events, a channel, and one message of a channel."""

from __future__ import annotations

import json
from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import (
    Effects,
    Incoming,
    Request,
    Response,
    SlackSignature,
    Webhook,
    activity,
    after,
    defer,
    durable,
    event,
    machine,
)
from machines.chat.activities import PATIENT, SlackText, post_notice, post_typing, update_message
from machines.chat.data import LONGEST, Answer
from machines.chat.machine import ChatSession

REMEMBERED = timedelta(hours=24)
"""How long a channel knows the events that it has taken: Slack repeats one for some hours."""


PATIENCE = timedelta(minutes=30)
"""How long a message waits for its answer; longer than the model is asked again and again."""


class SlackMessage(BaseModel):
    id: str
    channel: str
    text: str


def posted(request: Request) -> Incoming | Response | None:
    """Turn a message of a person into an event of its channel. Updates, other events and our own messages are skipped."""
    said = json.loads(request.body)
    if said["type"] == "url_verification":
        return Response({"challenge": said["challenge"]})
    message = said.get("event", {})
    is_message = said["type"] == "event_callback" and message.get("type") == "message" and "subtype" not in message
    if not is_message or "bot_id" in message or not message.get("user") or not message.get("text"):
        return None
    heard = SlackMessage(id=said["event_id"], channel=message["channel"], text=message["text"][:LONGEST])
    return Incoming("hear", heard, key=heard.channel)


@durable(version="1")
class SlackReply(StateChart[SlackText]):
    """One message: says that it is typing, waits for the session, and replaces that by the answer."""

    typing = State(initial=True, invoke=activity(post_typing, retry=PATIENT))
    chatting = State()
    replying = State(invoke=activity(update_message, retry=PATIENT))
    replied = State(final=True)
    errored = State(final=True)

    done_invoke_typing = event(typing.to(chatting), str)
    error_invoke_typing = typing.to(errored)
    answered = event(chatting.to(replying), Answer, public=False)
    give_up = after(PATIENCE, chatting.to(replying))
    done_invoke_replying = replying.to(errored, cond="is_error") | replying.to(replied)
    error_invoke_replying = replying.to(errored)

    defer(typing, "answered")

    def is_error(self, data: SlackText) -> bool:
        return bool(data.answer.error)

    def on_done_invoke_typing(self, data: SlackText, result: str) -> None:
        data.ts = result

    def on_answered(self, data: SlackText, payload: Answer) -> None:
        data.answer = payload

    def on_give_up(self, data: SlackText) -> None:
        data.answer = Answer(message="", error="There is no answer.")


class ChannelData(BaseModel):
    channel: str = ""
    taken: list[str] = []


@durable(
    name="slackbot",
    version="1",
    work=[activity(post_notice, retry=PATIENT)],
    webhooks=[
        Webhook("message", decode=posted, signature=SlackSignature(secret="SLACK_SIGNING_SECRET"), events=("hear",))
    ],
)
class SlackChannel(StateChart[ChannelData]):
    """A channel. It processes each event of Slack once, and receives what the tasks of its session have to say."""

    listening = State(initial=True, invoke=machine(SlackReply, id="reply", on_demand=True))

    hear = event(
        listening.to.itself(internal=True, cond="is_taken") | listening.to.itself(internal=True, on="take"),
        SlackMessage,
        public=False,
    )
    forget = event(listening.to.itself(internal=True), str, public=False)
    answered = event(listening.to.itself(internal=True), Answer)
    notify = event(listening.to.itself(internal=True), dict[str, str])
    done_invoke_reply = listening.to.itself(internal=True)
    error_invoke_reply = listening.to.itself(internal=True)

    def is_taken(self, data: ChannelData, payload: SlackMessage) -> bool:
        return payload.id in data.taken

    def take(self, data: ChannelData, payload: SlackMessage, effects: Effects) -> None:
        data.channel = payload.channel
        data.taken.append(payload.id)
        effects.send("forget", payload.id, after=REMEMBERED)
        effects.start("reply", {"channel": payload.channel}, name=payload.id)
        said = {"text": payload.text, "reference": payload.id, "follow": True}
        effects.send("say", said, to=(ChatSession, f"slack:{payload.channel}"))

    def on_forget(self, data: ChannelData, payload: str) -> None:
        data.taken.remove(payload)

    def on_answered(self, payload: Answer, effects: Effects) -> None:
        effects.send("answered", payload.model_dump(mode="json"), to=f"#_reply.{payload.reference}")

    def on_notify(self, data: ChannelData, payload: dict[str, str], effects: Effects) -> None:
        effects.start("post_notice", {"channel": data.channel, "text": f":alarm_clock: {payload['text']}"})
