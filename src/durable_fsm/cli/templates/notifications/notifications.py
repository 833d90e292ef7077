"""A notification service to try {{Name}} with: it prints messages, and refuses about half of those for Alice.

python notifications.py
"""

from __future__ import annotations

import json
import random
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Notifications(BaseHTTPRequestHandler):
    """Take `POST /notifications` and `POST /reminders`."""

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        refused = message["name"] == "Alice" and random.random() < 0.5
        outcome = "refused" if refused else "sent"
        print(f"{self.path} for {message['name']}: {outcome}", flush=True)
        self.send_response(503 if refused else 204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Print only the messages."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", 9090), Notifications).serve_forever()
