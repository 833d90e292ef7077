"""A stand-in for a language model: an OpenAI-compatible server that follows a few rules. It is not a language model.

    POST /v1/chat/completions   answers the last message of the user with a command, by these rules:

        remind me in 3 seconds to drink        remind me to stretch in 2 hours
        watch flights from Turin to Oslo below 500
        list      status of drink      cancel drink      and everything else is small talk

It reads the time and the active tasks in the prompt, as a real model would have to. A request that repeats the
`Idempotency-Key` of another one is answered as that one was. Beside the API, for tests and stories:

    POST /script     {"about", "steps": [{"status": 500}, {"content": "…"}, {"hold": true}, {"seconds": 2}]}: how to treat
                     the next requests whose last message contains the text; one after the other, then by the rules again
    POST /release    {"about"}: answer what was held
    GET  /requests   every request, in order: {"key", "repeats", "status", "last", "messages"}; `repeats` says that its
                     key was known
"""

from __future__ import annotations

import argparse
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from machines.json_answer import send_json

Object: TypeAlias = dict[str, Any]  # Any: JSON

UNITS = {"s": 1, "second": 1, "sec": 1, "minute": 60, "min": 60, "m": 60, "hour": 3600, "h": 3600, "day": 86400}
TIME = r"in (?P<count>\d+(?:\.\d+)?) ?(?P<unit>seconds?|secs?|s|minutes?|mins?|m|hours?|h|days?)"
REFUSALS = {400: "bad_request", 401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


# ── the rules ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Prompt:
    """The parts of a prompt that the rules look at."""

    said: str
    now: datetime
    tasks: Object

    @classmethod
    def read(cls, messages: list[Object]) -> Prompt:
        system = "\n".join(one["content"] for one in messages if one["role"] == "system")
        said = next(one["content"] for one in reversed(messages) if one["role"] == "user")
        now = datetime.fromisoformat(re.findall(r"^Time: (\S+)$", system, re.MULTILINE)[-1])
        return cls(said.strip(), now, json.loads(re.findall(r"^Active tasks: (.*)$", system, re.MULTILINE)[-1]))


def remind(prompt: Prompt, found: re.Match[str]) -> Object:
    due = prompt.now + timedelta(seconds=float(found["count"]) * UNITS[found["unit"].rstrip("s") or "s"])
    spec = {"timestamp": due.isoformat(), "description": found["what"]}
    message = f"I will remind you: {found['what']}."
    return command("create", message, task_name=named(found["what"]), task_type="reminder", task_spec=spec)


def ask_when(prompt: Prompt, found: re.Match[str]) -> Object:
    return command("other", "When shall I remind you? Say: remind me in 10 minutes to …")


def watch(prompt: Prompt, found: re.Match[str]) -> Object:
    spec = {"origin": found["origin"], "destination": found["destination"], "max_price": int(found["price"])}
    name = f"{found['origin']}-{found['destination']}".lower()
    message = f"I watch flights from {found['origin']} to {found['destination']} for you."
    return command("create", message, task_name=name, task_type="flight_watch", task_spec=spec)


def ask_for_flight(prompt: Prompt, found: re.Match[str]) -> Object:
    return command("other", "Which flight? Say: watch flights from Turin to Oslo below 500")


def cancel(prompt: Prompt, found: re.Match[str]) -> Object:
    name = known(prompt, found["name"])
    return command("cancel", f"I have cancelled {name}.", task_name=name)


def status(prompt: Prompt, found: re.Match[str]) -> Object:
    name = known(prompt, found["name"])
    return command("status", f"This is how {name} is:", task_name=name)


def list_tasks(prompt: Prompt, found: re.Match[str]) -> Object:
    count = len(prompt.tasks)
    return command("list", "You have one task." if count == 1 else f"You have {count or 'no'} tasks.")


def greet(prompt: Prompt, found: re.Match[str]) -> Object:
    return command("other", "Hello! I can remind you of things, and watch the price of a flight.")


def talk(prompt: Prompt, found: re.Match[str]) -> Object:
    return command("other", f"You said: {prompt.said}. I only follow rules; try: remind me in 10 seconds to drink")


RULES: tuple[tuple[str, Callable[[Prompt, re.Match[str]], Object]], ...] = (
    (rf"remind me {TIME} (?:to |of )?(?P<what>.+)", remind),
    (rf"remind me (?:to |of )?(?P<what>.+?) {TIME}", remind),
    (r"remind me\b.*", ask_when),
    (
        r"watch (?:flights? )?from (?P<origin>\w+) to (?P<destination>\w+) (?:below|under|for) \$?(?P<price>\d+).*",
        watch,
    ),
    (r"watch\b.*", ask_for_flight),
    (r"(?:please )?cancel (?P<name>.+)", cancel),
    (r"(?:what is the |what's the )?status (?:of )?(?P<name>.+?)\??", status),
    (r"(?:please )?(?:list|what are)\b.*", list_tasks),
    (r"(?:hi|hello|hey|good \w+)\b.*", greet),
    (r"(?s:.*)", talk),
)


def answer(messages: list[Object]) -> Object:
    """The command for the last message of the user."""
    prompt = Prompt.read(messages)
    found = ((rule, re.fullmatch(pattern, prompt.said, re.IGNORECASE)) for pattern, rule in RULES)
    return next(rule(prompt, match) for rule, match in found if match)


def command(action: str, message: str, **more: object) -> Object:
    return {"action": action, "message": message, **more}


def named(what: str) -> str:
    """A short name for a task: its first words."""
    return " ".join(re.findall(r"[\w']+", what.lower())[:3]) or "task"


def known(prompt: Prompt, name: str) -> str:
    """The task that is meant: one of this name, or one whose name begins or ends with it."""
    wanted = name.strip(" .").lower()
    fitting = [one for one in prompt.tasks if one == wanted or one.startswith(wanted) or one.endswith(wanted)]
    return fitting[0] if fitting else named(name)


# ── the server ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Model:
    """The requests so far, and how to treat the next ones. Hold `lock` to call a method."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.requests: list[Object] = []
        self.answers: dict[str, Object] = {}
        self.scripts: dict[str, list[Object]] = {}
        self.held: set[str] = set()

    def take(self, body: Object, key: str) -> tuple[int, Object]:
        """Answer a request for a completion."""
        messages: list[Object] = body["messages"]
        last: str = messages[-1]["content"]
        seen: Object = {"key": key, "repeats": key in self.answers, "status": 200, "last": last, "messages": messages}
        self.requests.append(seen)
        about, step = next(
            ((text, steps.pop(0)) for text, steps in self.scripts.items() if text in last and steps), ("", {})
        )
        if seen["repeats"]:
            return 200, self.answers[key]
        if (status := step.get("status", 200)) != 200:
            seen["status"] = status
            error = {
                "message": f"the script says {status}",
                "type": "error",
                "code": REFUSALS.get(status, "server_error"),
            }
            return status, {"error": error}
        content = step.get("content") or json.dumps(answer(messages), ensure_ascii=False)
        said = completion(body["model"], content, messages)
        if key:
            self.answers[key] = said
        if step.get("hold"):
            self.held.add(about)
            self.lock.notify_all()
            self.lock.wait_for(lambda: about not in self.held)
        if seconds := step.get("seconds"):
            self.lock.wait(seconds)
        return 200, said


def completion(model: str, content: str, messages: list[Object]) -> Object:
    """The answer as OpenAI's API has it. Tokens are counted as words."""
    asked, said = sum(len(one["content"].split()) for one in messages), len(content.split())
    return {
        "id": f"chatcmpl-{time.time_ns()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}],
        "usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said},
    }


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


class Gate(BaseHTTPRequestHandler):
    """One request."""

    model: Model

    def do_GET(self) -> None:
        with self.model.lock:
            send_json(self, 200, list(self.model.requests))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model, status = self.model, 200
        said: Object = {}
        with model.lock:
            match self.path:
                case "/script":
                    model.scripts[body["about"]] = body["steps"]
                case "/release":
                    model.held.discard(body["about"])
                    model.lock.notify_all()
                case "/v1/chat/completions":
                    status, said = model.take(body, self.headers.get("idempotency-key", ""))
                case _:
                    status, said = 404, {"error": {"message": f"there is no {self.path}"}}
        try:
            send_json(self, status, said)
        except ConnectionError:
            self.close_connection = True  # who has asked is gone

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the list of requests is the log."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9100, help="port on the loopback interface; 9100 by default")
    Gate.model = Model()
    Server(("127.0.0.1", parser.parse_args().port), Gate).serve_forever()


if __name__ == "__main__":
    main()
