"""The chat, rehearsed: a session with its tasks, one message, a Slack channel, and the rules of the stand-in model."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable_fsm import Incoming, Request, Response, TerminalError
from durable_fsm.testing import Rehearsal
from machines.chat.data import Command, Thought
from machines.chat.machine import ChatSession
from machines.chat.messages import ChatMessage
from machines.chat.model_server import answer
from machines.chat.slack import PATIENCE, REMEMBERED, SlackChannel, posted
from machines.chat.tasks import INTERVAL

BEGAN = datetime(2030, 1, 1, 8, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def think(prompt: list[dict[str, str]]) -> Thought:
    """Answer as the stand-in for the model does."""
    return Thought(command=Command.model_validate(answer(prompt)), tokens=10)


def session(**answers: Callable[..., Any]) -> Rehearsal:
    made = Rehearsal(ChatSession, key="ada", began=BEGAN, answers={"thinking": think, **answers})
    made.create()
    return made


def said(session: Rehearsal) -> list[str]:
    """The last answer of the assistant or of a task, and what it quotes."""
    line = session.data.history[-1]
    return [line.text, line.quote]


# ── a session ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_reminder_rings_and_is_gone() -> None:
    ada = session()

    ada.send("say", {"text": "remind me in 3 seconds to drink"})
    assert said(ada) == ["I will remind you: drink.", "reminder: drink"]
    assert ada.leaves == ("idle", "running")
    ada.send("say", {"text": "list"})
    assert said(ada) == ["You have one task.", "drink (reminder: drink)"]
    ada.advance(2 * SECOND)
    ada.send("say", {"text": "status drink"})
    assert said(ada) == ["This is how drink is:", "1 s left"]

    ada.advance(SECOND)
    assert said(ada) == ["It is time: drink", "drink"]
    assert (ada.leaves, ada.machines) == (("idle", "no_tasks"), {})


def test_a_flight_is_watched_until_it_is_cheap() -> None:
    prices = iter([900, 800, 450])
    ada = session(probing=lambda _: next(prices))

    ada.send("say", {"text": "watch flights from Turin to Oslo below 500"})
    ada.advance(INTERVAL)
    ada.send("say", {"text": "status oslo"})
    assert said(ada) == ["This is how turin-oslo is:", "last price 800"]

    ada.advance(INTERVAL)
    assert said(ada)[0] == "Turin to Oslo costs 450, which is not more than 500."
    assert ada.data.tasks == {}


def test_a_cancelled_task_says_so_and_its_timer_is_gone() -> None:
    ada = session()
    ada.send("say", {"text": "remind me in 1 hour to eat"})

    ada.send("say", {"text": "cancel eat"})

    assert [line.text for line in ada.data.history[-2:]] == ["I have cancelled eat.", "(cancelled)"]
    assert (ada.machines, ada.data.tasks) == ({}, {})


def test_a_task_that_fails_says_so() -> None:
    ada = session(probing=lambda _: (_ for _ in ()).throw(TerminalError("no such flight")))

    ada.send("say", {"text": "watch flights from Turin to Oslo below 500"})

    assert said(ada) == ["Task failed: no such flight", "turin-oslo"]


def test_a_second_task_of_a_name_is_refused() -> None:
    ada = session()
    for _ in range(2):
        ada.send("say", {"text": "remind me in 1 hour to eat"})

    assert said(ada) == ["There is a task called eat already.", ""]
    assert list(ada.machines) == ["reminder.eat"]


@pytest.mark.parametrize("text", ["cancel lunch", "status lunch"], ids=str)
def test_a_task_that_is_unknown_is_said_to_be_so(text: str) -> None:
    ada = session()

    ada.send("say", {"text": text})

    assert said(ada) == ["There is no task called lunch.", ""]


def test_messages_are_answered_one_after_the_other_and_a_task_may_ring_meanwhile() -> None:
    ada = Rehearsal(ChatSession, key="ada", began=BEGAN)
    ada.send("say", {"text": "remind me in 3 seconds to drink"})
    ada.finish("thinking", think([*system(BEGAN), {"role": "user", "content": "remind me in 3 seconds to drink"}]))

    ada.send("say", {"text": "one"})
    assert ada.send("say", {"text": "two"}).outcome == "deferred"
    ada.advance(3 * SECOND)
    ada.finish("thinking", {"command": {"action": "other", "message": "first"}})
    ada.finish("thinking", {"command": {"action": "other", "message": "second"}})

    assert [line.text for line in ada.data.history[2:]] == ["one", "It is time: drink", "first", "two", "second"]


def test_a_model_that_fails_is_an_error_and_the_session_goes_on() -> None:
    ada = Rehearsal(ChatSession, key="ada", began=BEGAN)
    ada.send("say", {"text": "hello"})
    ada.fail("thinking", "The model refuses: no key", code=401)

    assert (ada.data.history[-1].who, ada.data.history[-1].text) == ("error", "The model refuses: no key")
    assert ada.leaves == ("idle", "no_tasks")


def system(at: datetime) -> list[dict[str, str]]:
    return [{"role": "system", "content": f"Time: {at.isoformat()}\nActive tasks: {{}}"}]


# ── one message ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_caller_gets_the_answer_of_the_session() -> None:
    ada = session()
    message = Rehearsal(ChatMessage, key="m-1", beside=ada)

    message.create({"session": "ada", "text": "list"})

    assert message.output == {"message": "You have no tasks.", "quote": "no tasks"}


def test_a_caller_gets_the_error_of_the_model() -> None:
    ada = Rehearsal(ChatSession, key="ada", began=BEGAN)
    message = Rehearsal(ChatMessage, key="m-1", beside=ada)
    message.create({"session": "ada", "text": "list"})

    ada.fail("thinking", "The model refuses: no key", code=401)

    assert message.failure is not None
    assert (message.failure.code, message.failure.message) == (401, "The model refuses: no key")


# ── Slack ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def event(**more: object) -> bytes:
    message = {"type": "message", "channel": "C1", "user": "U1", "text": "list", **more}
    return json.dumps({"type": "event_callback", "event_id": "Ev1", "event": message}).encode()


def heard(id: str, text: str = "list") -> Incoming:
    return Incoming("hear", {"id": id, "channel": "C1", "text": text}, key="C1")


@pytest.fixture
def posts() -> list[Any]:
    return []


@pytest.fixture
def channel(posts: list[Any]) -> Rehearsal:
    def post(given: Any) -> str:
        posts.append(given)
        return f"ts-{len(posts)}"

    answers = {"thinking": think, "typing": post, "replying": post, "post_notice": post}
    channel = Rehearsal(SlackChannel, key="C1", began=BEGAN, answers=answers)
    Rehearsal(ChatSession, key="slack:C1", beside=channel, answers=answers)
    return channel


def test_a_message_in_slack_is_answered_in_its_place(channel: Rehearsal, posts: list[Any]) -> None:
    channel.receive(heard("Ev1"))

    assert [(post.ts, post.answer.message) for post in posts] == [("", ""), ("ts-1", "You have no tasks.")]
    assert channel.machines == {}


def test_an_event_of_slack_is_taken_once_a_day(channel: Rehearsal, posts: list[Any]) -> None:
    for _ in range(3):
        channel.receive(heard("Ev1"))
    assert len(posts) == 2

    channel.advance(REMEMBERED)
    assert channel.data.taken == []
    channel.receive(heard("Ev1"))
    assert len(posts) == 4


def test_a_message_that_is_never_answered_says_so(posts: list[Any]) -> None:
    def post(given: Any) -> str:
        posts.append(given)
        return "ts-1"

    channel = Rehearsal(SlackChannel, key="C1", began=BEGAN, answers={"typing": post, "replying": post})
    channel.receive(heard("Ev1"))

    channel.advance(PATIENCE)

    assert (posts[-1].ts, posts[-1].answer.error) == ("ts-1", "There is no answer.")


def test_a_task_rings_in_its_channel(channel: Rehearsal, posts: list[Any]) -> None:
    channel.receive(heard("Ev1", "remind me in 3 seconds to drink"))
    channel.advance(3 * SECOND)

    assert posts[-1] == {"channel": "C1", "text": ":alarm_clock: It is time: drink"}


def test_the_decoder_takes_what_people_write_and_nothing_else() -> None:
    def decode(body: bytes) -> object:
        return posted(Request("message", {}, body))

    assert decode(b'{"type": "url_verification", "challenge": "abc"}') == Response({"challenge": "abc"})
    taken = decode(event())
    assert isinstance(taken, Incoming)
    assert (taken.event, taken.key, taken.id) == ("hear", "C1", None)
    skipped = [
        event(bot_id="B1"),
        event(subtype="message_changed"),
        event(type="reaction_added"),
        event(user=""),
        event(text=""),
    ]
    assert [decode(one) for one in [*skipped, b'{"type": "app_rate_limited"}']] == [None] * 6


# ── the stand-in for a model ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("remind me to stretch in 2 hours", "create"),
        ("remind me to stretch", "other"),
        ("watch from Turin to Oslo under $500", "create"),
        ("watch a flight", "other"),
        ("What is the status of drink?", "status"),
        ("please cancel drink", "cancel"),
        ("what are my tasks", "list"),
        ("hello", "other"),
        ("tell me a\nstory", "other"),
    ],
    ids=str,
)
def test_every_rule_of_the_stand_in_gives_a_command(text: str, action: str) -> None:
    made = answer([*system(BEGAN), {"role": "user", "content": text}])

    assert Command.model_validate(made).action == action
