"""R22, a chat bot: what it is told it does once, its tasks go on when it is killed, and the model is asked once.

The model is a stand-in that follows rules, behind OpenAI's API; the requests are counted there. Slack and the flight agency
are processes of their own, too.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import openai
import pytest

from durable_fsm.testing import Rehearsal, ServiceProcess, wait_until
from machines.chat.data import Command, Thought
from machines.chat.machine import ChatSession
from machines.chat.model_server import answer
from machines.chat.slack import SlackReply
from machines.chat.slack_server import message_event
from machines.chat.tasks import FlightWatch, Reminder
from tests.acceptance.applications import PATIENCE, ROOT, edges, hosted, rehearsed
from tests.acceptance.chatting import Chat, Services, opened, running
from tests.browsing import looked_at
from tests.web import web

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.server

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with running(tmp_path_factory.mktemp("services")) as services:
        yield services


chat_awake, chat_replaying, chat = hosted("chat", opened, "services")


# ── the model ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_library_of_openai_understands_the_stand_in_for_the_model(services: Services) -> None:
    system = {"role": "system", "content": "Time: 2030-01-01T08:00:00+00:00\nActive tasks: {}"}
    messages: Any = [system, {"role": "user", "content": "hello, library"}]

    with openai.OpenAI(base_url=f"{services.model.url}/v1", api_key="sk-test", max_retries=0) as client:
        completion = client.chat.completions.create(model="rules", messages=messages)
        web.post(f"{services.model.url}/script", json={"about": "library", "steps": [{"status": 429}, {"status": 401}]})
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="rules", messages=messages)
        with pytest.raises(openai.AuthenticationError, match="the script says 401"):
            client.chat.completions.create(model="rules", messages=messages)

    assert Command.model_validate_json(completion.choices[0].message.content or "").action == "other"
    assert completion.usage is not None
    assert completion.usage.total_tokens > 0


# ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_reminder_is_listed_and_rings_in_time(chat: Chat) -> None:
    ada = chat.own("ada")

    assert chat.ask(ada, "remind me in 3 seconds to drink") == ("I will remind you: drink.", "reminder: drink")
    assert chat.ask(ada, "list") == ("You have one task.", "drink (reminder: drink)")
    rang = chat.wait_line(ada, "It is time: drink")

    session = chat.session(ada)
    began = session["data"]["history"][0]["at"]
    assert datetime.fromisoformat(rang["at"]) - datetime.fromisoformat(began) >= timedelta(seconds=3)
    assert (session["data"]["tasks"], session["machines"], session["leaves"]) == ({}, [], ["idle", "no_tasks"])
    [asked] = [one for one in chat.requests("list") if any("drink" in said["content"] for said in one["messages"][1:])][
        -1:
    ]
    assert [said["role"] for said in asked["messages"]] == ["system", "user", "assistant", "user"]
    assert '"drink": {"type": "reminder"' in asked["messages"][0]["content"]


def test_a_flight_is_watched_until_its_price_is_low_enough(chat: Chat) -> None:
    ben, turin = chat.own("ben"), chat.own("Turin")
    chat.prices(turin, 900, 800, 450)

    with chat.outside.agency.holding("/prices"):
        chat.ask(ben, f"watch flights from {turin} to Oslo below 500")
        assert chat.ask(ben, "status oslo")[1] == "no price yet"
    found = chat.wait_line(ben, f"{turin} to Oslo costs 450, which is not more than 500.")

    assert found["quote"] == f"{turin}-oslo".lower()
    assert chat.probes(turin) == [900, 800, 450]
    assert chat.session(ben)["data"]["tasks"] == {}


def test_midway_the_status_of_a_flight_is_its_last_price_and_a_cancelled_watch_probes_no_more(chat: Chat) -> None:
    cem, ghent = chat.own("cem"), chat.own("Ghent")
    chat.prices(ghent, 900, 800, 700)
    chat.ask(cem, f"watch flights from {ghent} to Oslo below 500")
    wait_until(lambda: 800 in chat.probes(ghent), PATIENCE, "the second price")

    with chat.outside.agency.holding("/prices") as held:
        wait_until(lambda: any(body["origin"] == ghent for body in held()), PATIENCE, "a probe that is held")
        last, probes = chat.probes(ghent)[-1], len(chat.probes(ghent))
        wait_until(lambda: chat.ask(cem, "status oslo")[1] == f"last price {last}", PATIENCE, "the price in the status")
        assert chat.ask(cem, "cancel oslo")[0] == f"I have cancelled {ghent}-oslo.".replace(ghent, ghent.lower())
        assert chat.wait_line(cem, "(cancelled)")["quote"] == f"{ghent}-oslo".lower()

    scheduled = (
        "SELECT id FROM sys_invocation WHERE status = 'scheduled' AND target_handler_name = '_deliver'"
        f" AND target_service_name = 'FlightWatch' AND target_service_key LIKE '{cem}/%'"
    )
    wait_until(lambda: not chat.server.query(scheduled), PATIENCE, "every timer of the watch to be gone")
    assert (len(chat.probes(ghent)) <= probes + 1, chat.session(cem)["machines"]) == (True, [])


def test_cancelling_a_reminder_cancels_its_timer(chat: Chat) -> None:
    dora = chat.own("dora")
    timers = (
        "SELECT id FROM sys_invocation WHERE status = 'scheduled' AND target_handler_name = '_deliver'"
        f" AND target_service_name = 'Reminder' AND target_service_key LIKE '{dora}/%'"
    )
    chat.ask(dora, "remind me in 2 hours to eat")
    wait_until(lambda: chat.server.query(timers), PATIENCE, "the timer of the reminder")

    chat.ask(dora, "cancel eat")

    chat.wait_line(dora, "(cancelled)")
    wait_until(lambda: not chat.server.query(timers), PATIENCE, "the timer to be gone")


# ── kills ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_model_is_asked_once_although_the_service_is_killed_before_its_answer_is_delivered(
    chat_awake: Chat,
) -> None:
    """Slack refuses the answer to one message when the service is killed, and the model is answering another one.

    The answer to the first is known to Restate, and the model is not asked again. The second is asked again under its key,
    by which the model can tell. A reminder goes on, too.
    """
    chat = chat_awake
    channel, eve = chat.own("C-kill"), chat.own("eve")
    trouble = {"channel": channel, "method": "chat.update", "times": 2}
    web.post(f"{chat.outside.slack.url}/trouble", json=trouble).raise_for_status()
    chat.script(f"greet {eve}", {"hold": True})
    with ThreadPoolExecutor(1) as users:
        second = users.submit(chat.ask, eve, f"greet {eve}")
        wait_until(lambda: chat.requests(f"greet {eve}"), PATIENCE, "the model to be asked")
        chat.post(message_event(channel, f"remind me in 2 seconds to survive {channel}"))
        wait_until(lambda: [call for call in chat.calls(channel) if call["status"] == 503], PATIENCE, "Slack to refuse")

        chat.restart()

        assert second.result()[0].startswith(f"You said: greet {eve}")
    chat.release(f"greet {eve}")
    typing = next(call for call in chat.calls(channel) if call["method"] == "chat.postMessage")
    update = chat.wait_update(channel)
    assert (update["ts"], update["text"]) == (typing["ts"], f"I will remind you: survive {channel}.")
    rang = f":alarm_clock: It is time: survive {channel}"
    wait_until(lambda: rang in [call["text"] for call in chat.calls(channel)], PATIENCE, "the reminder in Slack")
    assert [one["repeats"] for one in chat.requests(channel)] == [False]
    requests = chat.requests(f"greet {eve}")
    assert [one["repeats"] for one in requests] == [False, True]
    assert requests[0]["key"] == requests[1]["key"] != ""
    assert [who for who, _ in chat.lines(eve)] == ["user", "assistant"]


# ── a model that fails ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_model_that_is_overloaded_is_asked_again_and_answers_once(chat: Chat) -> None:
    fay = chat.own("fay")
    chat.script(f"hi {fay}", {"status": 500}, {"status": 500})

    assert chat.ask(fay, f"hi {fay}")[0].startswith("Hello!")

    assert [one["status"] for one in chat.requests(f"hi {fay}")] == [500, 500, 200]
    assert [who for who, _ in chat.lines(fay)] == ["user", "assistant"]


@pytest.mark.parametrize("status", [400, 401, 404], ids=str)
def test_a_model_that_refuses_is_not_asked_again_and_the_session_goes_on(chat: Chat, status: int) -> None:
    gil = chat.own(f"gil{status}")
    chat.script(f"hi {gil}", {"status": status})

    refused = chat.say(gil, f"hi {gil}")

    assert refused.status_code == status
    assert f"the script says {status}" in refused.json()["message"]
    assert len(chat.requests(f"hi {gil}")) == 1
    assert chat.ask(gil, f"hi {gil}")[0].startswith("Hello!")
    assert [who for who, _ in chat.lines(gil)] == ["user", "error", "user", "assistant"]


@pytest.mark.parametrize(
    "content",
    ["Sure! {", '{"action": "dance", "message": ""}', '{"action": "create", "message": "", "task_name": "x"}'],
    ids=["no JSON", "unknown action", "incomplete"],
)
def test_an_answer_that_is_not_a_command_is_an_error_and_the_session_goes_on(chat_awake: Chat, content: str) -> None:
    chat, hua = chat_awake, f"hua{next(_numbers)}"
    chat.script(f"hi {hua}", {"content": content})

    wrong = chat.say(hua, f"hi {hua}")

    assert wrong.status_code == 502
    assert "did not answer with a command" in wrong.json()["message"]
    assert len(chat.requests(f"hi {hua}")) == 1
    assert chat.ask(hua, f"hi {hua}")[0].startswith("Hello!")


def test_two_messages_at_once_are_answered_one_after_the_other(chat: Chat) -> None:
    ida = chat.own("ida")
    chat.script(f"first {ida}", {"hold": True})
    with ThreadPoolExecutor(2) as users:
        first = users.submit(chat.ask, ida, f"first {ida}")
        wait_until(lambda: chat.requests(f"first {ida}"), PATIENCE, "the model to be asked")
        second = users.submit(chat.ask, ida, f"second {ida}")
        wait_until(lambda: chat.session(ida)["deferred"], PATIENCE, "the second message to wait")
        assert chat.requests(f"second {ida}") == []
        chat.release(f"first {ida}")
        answers = first.result()[0], second.result()[0]

    said = [text for _, text in chat.lines(ida)]
    assert said == [f"first {ida}", answers[0], f"second {ida}", answers[1]]


# ── Slack ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_slack_is_answered_in_place_of_a_typing_message_once_for_each_event(chat: Chat) -> None:
    channel = chat.own("C-once")
    event = message_event(channel, f"hello {channel}")

    answers = [chat.post(event) for _ in range(3)]

    assert [(one.status_code, one.json()["outcome"]) for one in answers] == [(200, "accepted")] * 3
    update = chat.wait_update(channel)
    ended = (
        "SELECT completion_result FROM sys_invocation WHERE target_service_name = 'slackbot' AND status = 'completed'"
    )
    ended += f" AND target_handler_name = '_incoming' AND target_service_key = '{channel}'"
    wait_until(lambda: len(chat.server.query(ended)) == 3, PATIENCE, "all three to be taken")
    assert [(call["method"], call["ts"]) for call in chat.calls(channel)] == [
        ("chat.postMessage", update["ts"]),
        ("chat.update", update["ts"]),
    ]
    assert chat.calls(channel)[0]["text"] == "_typing…_"
    assert update["text"].startswith("Hello!")
    assert len(chat.requests(f"hello {channel}")) == 1


def test_a_request_that_slack_has_not_signed_now_is_refused(chat: Chat) -> None:
    event = message_event(chat.own("C-forged"), "hello")

    forged, stale = chat.post(event, secret="guessed"), chat.post(event, age=600)

    assert (forged.status_code, stale.status_code) == (400, 400)
    assert "the signature in header 'X-Slack-Signature' is wrong" in forged.json()["message"]
    assert "it was signed too long ago" in stale.json()["message"]
    assert chat.server.state("slackbot", chat.own("C-forged")) == {}


def test_the_challenge_of_slack_is_echoed(chat: Chat) -> None:
    answer = chat.post({"type": "url_verification", "challenge": "3eZbrw1a"})

    assert (answer.status_code, answer.json()) == (200, {"challenge": "3eZbrw1a"})


def test_what_the_bot_itself_has_written_is_skipped(chat: Chat) -> None:
    channel = chat.own("C-own")
    own = message_event(channel, "hello", bot_id="B-1")
    changed = message_event(channel, "hello", subtype="message_changed")
    other = {"type": "event_callback", "event_id": "Ev-x", "event": {"type": "reaction_added", "user": "U-1"}}

    assert [chat.post(one).json() for one in (own, changed, other)] == [{"outcome": "skipped"}] * 3
    assert chat.server.state("slackbot", channel) == {}


def test_an_error_becomes_a_block_in_slack(chat: Chat) -> None:
    channel = chat.own("C-error")
    chat.script(f"hello {channel}", {"status": 401})

    chat.post(message_event(channel, f"hello {channel}"))

    update = chat.wait_update(channel)
    assert update["blocks"][0]["text"]["text"].startswith(":warning: *That did not work.*")
    assert "the script says 401" in update["blocks"][0]["text"]["text"]
    assert update["ts"] == chat.calls(channel)[0]["ts"]


# ── the page and the terminal ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def site(chat_awake: Chat, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    env = {"RESTATE_INGRESS_URL": chat_awake.server.ingress_url, "OPENAI_MODEL": "rules"}
    log = tmp_path_factory.mktemp("page") / "log"
    app = "machines.chat.page:app"
    with ServiceProcess.serving(app, log=log, app_dir=ROOT, env=env, fork=True, by="uvicorn") as served:
        yield served.url


def test_a_reminder_arrives_on_the_page_while_one_looks_at_it(chat_awake: Chat, site: str, page: Page) -> None:
    oslo = chat_awake.own("Oslo")
    chat_awake.script("<b>fail</b>", {"status": 401})
    page.goto(site)
    page.wait_for_url("**/sessions/*")
    message = page.get_by_label("Message")
    message.press_sequentially("hello")
    page.keyboard.press("Enter")
    page.get_by_text("Hello! I can remind you").wait_for()
    page.locator(".is-active[data-state=no_tasks]").wait_for()

    message.fill("remind me in 2 seconds to drink")
    page.keyboard.press("Enter")
    page.locator("#tasks").get_by_text("0:0").wait_for()
    page.locator(".is-active[data-state=running]").wait_for()
    page.get_by_text("It is time: drink").wait_for()
    page.locator(".is-active[data-state=no_tasks]").wait_for()
    page.get_by_text("No task is running").wait_for()

    for text in ("<b>fail</b>", "remind me in 1 hour to eat", f"watch flights from {oslo} to Turin below 50"):
        message.fill(text)
        page.get_by_role("button", name="Send").click()
    page.get_by_text("the script says 401").wait_for()
    page.locator("#tasks").get_by_text("last price").wait_for()
    page.locator(".is-active[data-state=idle]").wait_for()
    assert page.get_by_text("<b>fail</b>").is_visible()
    with chat_awake.outside.agency.holding("/prices"):
        assert looked_at(page, "chat") == []

    page.get_by_role("button", name="Cancel eat").click()
    page.get_by_role("button", name=f"Cancel {oslo.lower()}-turin").click()
    page.get_by_text("No task is running").wait_for()


def test_the_page_works_without_javascript(site: str) -> None:
    navigation = {"sec-fetch-mode": "navigate", "sec-fetch-site": "same-origin"}

    begun = web.get(site)
    said = web.post(f"{site}/sessions/plain/messages", data={"text": "hello"}, headers=navigation)

    assert (begun.status_code, begun.headers["location"].startswith("/sessions/")) == (303, True)
    assert (said.status_code, said.headers["location"]) == (303, "/sessions/plain")
    shown = wait_until(
        lambda: "Hello! I can" in web.get(f"{site}/sessions/plain").text, PATIENCE, "the answer on the page"
    )
    assert shown
    assert web.get(f"{site}/sessions/no.session").status_code == 404


def test_the_terminal_prints_what_the_session_says(chat_awake: Chat) -> None:
    command = [sys.executable, "-m", "machines.chat.client", "--session", chat_awake.own("lea")]
    command += ["--ingress", chat_awake.server.ingress_url]

    told = subprocess.run(
        command, cwd=ROOT, input="hello\nlist\n", capture_output=True, text=True, check=True, timeout=60
    )

    assert told.stdout.splitlines() == [
        "> hello",
        "< Hello! I can remind you of things, and watch the price of a flight.",
        "> list",
        "< You have no tasks. [no tasks]",
    ]


# ── the charts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_charts_have_the_states_and_edges_of_the_story() -> None:
    acting = ("creating", "cancelling", "listing", "reporting", "talking")
    assert set(edges(ChatSession)) >= {
        ("idle", "say", ("thinking",)),
        *(("thinking", "done.invoke.thinking", (state,)) for state in acting),
        ("thinking", "error.invoke.thinking", ("apologizing",)),
        ("running", "done.invoke.reminder", ()),
        ("running", "done.invoke.flight_watch", ()),
    }
    assert set(edges(Reminder)) == {("waiting", "ring", ("due",)), ("waiting", "call_off", ("cancelled",))}
    assert set(edges(FlightWatch)) >= {
        ("probing", "done.invoke.probing", ("found",)),
        ("probing", "done.invoke.probing", ("sleeping",)),
        ("sleeping", "probe_again", ("probing",)),
        ("sleeping", "call_off", ("cancelled",)),
        ("probing", "call_off", ("cancelled",)),
    }
    assert set(edges(SlackReply)) >= {
        ("typing", "done.invoke.typing", ("chatting",)),
        ("chatting", "answered", ("replying",)),
        ("replying", "done.invoke.replying", ("replied",)),
        ("replying", "done.invoke.replying", ("errored",)),
    }


def test_the_server_does_what_the_rehearsal_does(chat: Chat) -> None:
    said = ("hello", "remind me in 1 hour to eat", "list", "status eat", "cancel eat")

    def think(prompt: list[dict[str, str]]) -> Thought:
        return Thought(command=Command.model_validate(answer(prompt)))

    session = Rehearsal(ChatSession, key="jan", began=datetime(2030, 1, 1, tzinfo=UTC), answers={"thinking": think})
    for text in said:
        session.send("say", {"text": text})

    jan = chat.own("jan")
    for text in said:
        chat.ask(jan, text)
    chat.wait_line(jan, "(cancelled)")

    assert chat.recorded("chatSession", jan) == rehearsed(session)


def test_restate_has_completed_the_requests(chat: Chat) -> None:
    kim = chat.own("kim")
    chat.ask(kim, "remind me in 1 hour to eat")
    chat.ask(kim, "cancel eat")
    chat.wait_line(kim, "(cancelled)")

    done = chat.server.query(
        "SELECT target_service_name, target_handler_name, completion_result FROM sys_invocation WHERE status = 'completed'"
        f" AND (target_service_key = '{kim}' OR target_service_key LIKE '{kim}/%' OR target_service_key LIKE 'm-{kim}-%')"
    )
    answered = {(row["target_service_name"], row["target_handler_name"], row["completion_result"]) for row in done}
    assert {
        ("chatMessage.workflow", "run", "success"),
        ("chatSession", "_mail", "success"),
        ("Reminder", "_begin", "success"),
    } <= answered


def test_the_commands_of_the_readme_do_what_it_says(chat_awake: Chat) -> None:
    chat, addresses = chat_awake, chat_awake.outside
    webhook = f"{chat.server.ingress_url}/slackbot.webhooks/message"
    instead = {"ada": chat.own("page"), "C1": chat.own("C-page"), '"Ev1"': f'"Ev1", "webhook": "{webhook}"'}
    commands = chat.run_readme(
        {**instead, "localhost:9100": addresses.model.url, "localhost:9200": addresses.slack.url}
    )

    assert next(commands) == {"message": "I will remind you: drink.", "quote": "reminder: drink"}
    assert next(commands) == {"message": "You have one task.", "quote": "drink (reminder: drink)"}
    assert next(commands)["message"] == "I have cancelled drink."
    chat.wait_line(chat.own("page"), "(cancelled)")
    assert next(commands)["data"]["history"][-1]["text"] == "(cancelled)"
    assert "accepted" in next(commands)["answer"]
