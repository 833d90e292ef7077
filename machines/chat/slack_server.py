"""A part of Slack's Web API for this example, over real HTTP, with signed events. It is not Slack.

    POST /api/chat.postMessage   {"channel", "text"}: {"ok": true, "ts"}
    POST /api/chat.update        {"channel", "ts", "text", "blocks"}: replaces a message

Beside Slack's API, for tests and stories:

    POST /say        {"channel", "text", "user", "id", "webhook"}: post a signed event to the bot; returns its answer
    POST /trouble    {"channel", "method", "times"}: answer the next such calls with 503
    GET  /calls      every call, in order: {"method", "channel", "ts", "text", "blocks", "status"}
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import itertools
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

import httpx

from machines.json_answer import send_json

Object: TypeAlias = dict[str, Any]  # Any: JSON

_numbers = itertools.count(1)


def signed(body: bytes, secret: str, at: int) -> dict[str, str]:
    """The headers with which Slack signs a request."""
    digest = hmac.digest(secret.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hex()
    return {
        "x-slack-request-timestamp": str(at),
        "x-slack-signature": f"v0={digest}",
        "content-type": "application/json",
    }


def message_event(channel: str, text: str, user: str = "U-ada", id: str = "", **more: object) -> Object:
    """The event that Slack posts when a person writes into a channel."""
    ts = f"{time.time():.6f}"
    message = {"type": "message", "channel": channel, "user": user, "text": text, "ts": ts, **more}
    return {
        "type": "event_callback",
        "event_id": id or f"Ev{next(_numbers):08d}",
        "team_id": "T-local",
        "event": message,
    }


class Slack:
    """The calls, and what shall go wrong. Hold `lock` to call a method."""

    def __init__(self, webhook: str, secret: str) -> None:
        self.lock = threading.Lock()
        self.webhook, self.secret = webhook, secret
        self.calls: list[Object] = []
        self.troubles: dict[tuple[str, str], int] = {}

    def take(self, method: str, body: Object) -> tuple[int, Object]:
        channel = body["channel"]
        if self.troubles.get((channel, method), 0) > 0:
            self.troubles[channel, method] -= 1
            self.calls.append({**body, "method": method, "status": 503})
            return 503, {"ok": False, "error": "service_unavailable"}
        known = [call["ts"] for call in self.calls if call["channel"] == channel and call["status"] == 200]
        if method == "chat.update" and body["ts"] not in known:
            return 200, {"ok": False, "error": "message_not_found"}
        ts = body.get("ts") or f"{int(time.time())}.{next(_numbers):06d}"
        self.calls.append({"blocks": [], **body, "method": method, "ts": ts, "status": 200})
        return 200, {"ok": True, "channel": channel, "ts": ts}


class Server(ThreadingHTTPServer):
    daemon_threads = True


class Gate(BaseHTTPRequestHandler):
    """One request."""

    slack: Slack

    def do_GET(self) -> None:
        with self.slack.lock:
            send_json(self, 200, list(self.slack.calls))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/say":
            answer = self._post_event(body)
        else:
            with self.slack.lock:
                answer = self._take(body)
        try:
            send_json(self, *answer)
        except ConnectionError:
            self.close_connection = True  # who has asked is gone

    def _take(self, body: Object) -> tuple[int, Object]:
        slack = self.slack
        match self.path:
            case "/trouble":
                slack.troubles[body["channel"], body["method"]] = body.get("times", 1)
            case "/api/chat.postMessage" | "/api/chat.update":
                return slack.take(self.path.removeprefix("/api/"), body)
            case _:
                return 404, {"ok": False, "error": "unknown_method"}
        return 200, {"ok": True}

    def _post_event(self, said: Object) -> tuple[int, Object]:
        webhook = said.pop("webhook", self.slack.webhook)
        body = json.dumps(message_event(**said)).encode()
        headers = signed(body, self.slack.secret, int(time.time()))
        answer = httpx.post(webhook, content=body, headers=headers, timeout=30, trust_env=False)
        return answer.status_code, {"answer": answer.text}

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the list of calls is the log."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9200, help="port on the loopback interface; 9200 by default")
    parser.add_argument(
        "--webhook", default="http://localhost:8080/slackbot.webhooks/message", help="where the bot listens"
    )
    options = parser.parse_args()
    Gate.slack = Slack(options.webhook, os.environ.get("SLACK_SIGNING_SECRET", ""))
    Server(("127.0.0.1", options.port), Gate).serve_forever()


if __name__ == "__main__":
    main()
