"""The chat with everything around it, as `make chat` runs it.

    python -m machines.chat.demo [--story]

Restate, the application, the page, and stand-ins for the model, for Slack and for the flight agency are separate processes
on free ports of the loopback interface. If OPENAI_BASE_URL is set, that model answers, except in the story, which needs one
that follows a script. The story kills the application with SIGKILL, and ends with what each of the others has counted.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from durable_fsm.testing import wait_until
from machines.stage import Stage, is_asked, keep, perform, tell

SECRET = "local-signing-secret"
PATIENCE = timedelta(seconds=60)
CHANNEL = "C-general"
DRINK = os.environ.get("CHAT_STORY_SECONDS", "12")
"""The seconds after which the reminder of the story rings."""


class Bot:
    """All processes, and the requests of a user."""

    def __init__(self, stage: Stage, *, scripted: bool) -> None:
        self.ingress = stage.server.ingress_url
        webhook = f"{self.ingress}/slackbot.webhooks/message"
        secret = {"SLACK_SIGNING_SECRET": SECRET}
        self.model = stage.outside("machines.chat.model_server")
        self.slack = stage.outside("machines.chat.slack_server", "--webhook", webhook, env=secret)
        self.agency = stage.outside("machines.chat.world")
        probes = {"CHAT_PROBE_SECONDS": os.environ.get("CHAT_PROBE_SECONDS", "3")}
        env = {"SLACK_API_URL": f"{self.slack.url}/api", "WORLD_URL": self.agency.url, **probes, **secret}
        stand_in = {"OPENAI_BASE_URL": f"{self.model.url}/v1", "OPENAI_API_KEY": "none", "OPENAI_MODEL": "rules"}
        rules = scripted or "OPENAI_BASE_URL" not in os.environ
        self.served = stage.serve("machines.chat.service:app", {**env, **(stand_in if rules else {})})
        named = {"OPENAI_MODEL": "rules"} if rules else {}
        self.page = stage.page("machines.chat.page:app", {"RESTATE_INGRESS_URL": self.ingress, **named})
        self.asked = 0

    def say(self, text: str, session: str = "ada") -> httpx.Response:
        """Say something, and wait for the answer."""
        self.asked += 1
        url = f"{self.ingress}/chatMessage.workflow/story-{self.asked}/run"
        return httpx.post(url, json={"session": session, "text": text}, timeout=60, trust_env=False)

    def ask(self, text: str) -> str:
        answer = self.say(text)
        answer.raise_for_status()
        return answer.json()["quote"] or answer.json()["message"]

    def post(self, url: str, body: object) -> Any:
        return httpx.post(url, json=body, timeout=30, trust_env=False).raise_for_status().json()

    def read(self, url: str) -> Any:
        return httpx.get(url, timeout=30, trust_env=False).json()

    def session(self, session: str = "ada") -> dict[str, Any]:
        return self.post(f"{self.ingress}/chatSession/{session}/snapshot", None)["data"]

    def wait_line(self, text: str) -> None:
        wait_until(lambda: text in [line["text"] for line in self.session()["history"]], PATIENCE, f"'{text}'")

    def calls(self) -> list[dict[str, Any]]:
        return self.read(f"{self.slack.url}/calls")


# ── the story ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def ada_says_hello(bot: Bot) -> None:
    assert bot.ask("hello").startswith("Hello!")


def she_asks_for_a_reminder_and_for_a_flight(bot: Bot) -> None:
    bot.ask(f"remind me in {DRINK} seconds to drink")
    bot.ask("watch flights from Turin to Oslo below 700")
    assert len(bot.session()["tasks"]) == 2


def she_asks_how_the_flight_is(bot: Bot) -> None:
    wait_until(lambda: "last price" in bot.ask("status oslo"), PATIENCE, "a price")


def she_cancels_another_reminder(bot: Bot) -> None:
    bot.ask("remind me in 2 hours to eat")
    bot.ask("cancel eat")
    bot.wait_line("(cancelled)")


def the_model_is_overloaded_twice_and_answers_then(bot: Bot) -> None:
    bot.post(f"{bot.model.url}/script", {"about": "good morning", "steps": [{"status": 500}, {"status": 429}]})
    assert bot.ask("good morning").startswith("Hello!")


def the_model_answers_nonsense_and_the_conversation_goes_on(bot: Bot) -> None:
    bot.post(f"{bot.model.url}/script", {"about": "good evening", "steps": [{"content": "Certainly! {"}]})
    assert bot.say("good evening").status_code == 502
    assert bot.ask("good evening").startswith("Hello!")


def slack_posts_one_event_three_times(bot: Bot) -> None:
    trouble = {"channel": CHANNEL, "method": "chat.update", "times": 2}
    bot.post(f"{bot.slack.url}/trouble", trouble)
    for _ in range(3):
        bot.post(f"{bot.slack.url}/say", {"channel": CHANNEL, "text": "hello from Slack", "id": "Ev1"})


def the_application_is_killed_before_slack_takes_the_answer(bot: Bot) -> None:
    wait_until(lambda: [call for call in bot.calls() if call["status"] == 503], PATIENCE, "Slack to refuse")
    bot.served.kill()


def it_comes_back_and_the_answer_replaces_the_typing_message(bot: Bot) -> None:
    bot.served.restart()
    wait_until(lambda: bot.calls()[-1]["text"].startswith("Hello!"), PATIENCE, "the answer in Slack")


def it_is_time_to_drink(bot: Bot) -> None:
    bot.wait_line("It is time: drink")


def the_flight_is_cheap_enough(bot: Bot) -> None:
    bot.wait_line("Turin to Oslo costs 700, which is not more than 700.")


STORY = (
    ada_says_hello,
    she_asks_for_a_reminder_and_for_a_flight,
    she_asks_how_the_flight_is,
    she_cancels_another_reminder,
    the_model_is_overloaded_twice_and_answers_then,
    the_model_answers_nonsense_and_the_conversation_goes_on,
    slack_posts_one_event_three_times,
    the_application_is_killed_before_slack_takes_the_answer,
    it_comes_back_and_the_answer_replaces_the_typing_message,
    it_is_time_to_drink,
    the_flight_is_cheap_enough,
)


def show(bot: Bot, console: Console) -> bool:
    """Print what was said and what it took; True if nothing was done twice."""
    requests = bot.read(f"{bot.model.url}/requests")
    answered = [one for one in requests if one["status"] == 200]
    keys = {one["key"] for one in requests}
    done = [call["method"] for call in bot.calls() if call["status"] == 200]
    probes = [one["answer"]["price"] for one in bot.read(f"{bot.agency.url}/ledger")]
    lines = bot.session()["history"]
    rows = (
        ("messages of ada", sum(line["who"] == "user" for line in lines), "and one in Slack, posted three times"),
        ("requests to the model", len(requests), "two of them refused for a while"),
        ("answers of the model", len(answered), f"to {len(keys)} messages: one each, through the kill"),
        (
            "answers that are not a command",
            sum(line["who"] == "error" for line in lines),
            "an error, and the chat continued",
        ),
        ("messages in Slack", len(done), "one typing message, and its replacement"),
        ("probes of the price", len(probes), ", ".join(map(str, probes))),
        ("tasks that have ended", sum(line["who"] == "task" for line in lines), "rung, cancelled, found"),
        ("tasks that still run", len(bot.session()["tasks"]), ""),
    )
    table = Table(title="A minute of chat, as the others have counted it")
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_column("")
    for what, count, note in rows:
        table.add_row(what, str(count), note)
    console.print(table)
    is_well = len(answered) == len(keys) and done == ["chat.postMessage", "chat.update"]
    if is_well:
        console.print("Each message was answered once, and the model was asked once for each answer.")
    else:
        console.print("The story did not end as it must.", style="red")
    return is_well


def main() -> int:
    story = is_asked("story", "plays the story and ends", __doc__)

    def act(stage: Stage, console: Console) -> int:
        bot = Bot(stage, scripted=story)
        if story:
            tell(STORY, bot, console)
            return 0 if show(bot, console) else 1
        addresses = {
            "chat": bot.page.url,
            "terminal": f"python -m machines.chat.client --ingress {bot.ingress}",
            "slack": f'curl {bot.slack.url}/say --json \'{{"channel": "{CHANNEL}", "text": "hello"}}\'',
            "slack's side": f"{bot.slack.url}/calls",
            "model's side": f"{bot.model.url}/requests",
            "restate": f"{stage.server.admin_url}/ui/",
        }
        return keep(addresses, console)

    return perform(act)


if __name__ == "__main__":
    sys.exit(main())
