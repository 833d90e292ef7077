"""The calculator, a real HTTP service in a separate process. It is slow, and notes what it does.

    POST /additions   {"left", "right"}: 201 with {"sum"} after CALCULATOR_SECONDS, 5 by default; 400 for huge numbers
    GET  /ledger      what it did, in order: [{"key", "left", "what"}], where what is "begin", "end" or "hung up"
    POST /hold        additions do not end from now on
    POST /release     ... until now; with {"left": n}, only the addition of n ends

It stops an addition when its caller hangs up. `python -m machines.priority_queue.world` serves it.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from machines.json_answer import send_json

SECONDS = float(os.environ.get("CALCULATOR_SECONDS", "5"))
HUGE = 1e15


class Calculator:
    """The additions under way, by their connections, and the ledger."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.ledger: list[dict[str, Any]] = []
        self.under_way: dict[socket.socket, dict[str, Any]] = {}
        self.is_held = False
        self.released: set[float] = set()

    def begin(self, caller: socket.socket, note: dict[str, Any]) -> None:
        with self.changed:
            for other in [other for other in self.under_way if has_hung_up(other)]:
                self.end(other, "hung up")
            self.under_way[caller] = note
            self.ledger.append({**note, "what": "begin"})

    def end(self, caller: socket.socket, what: str) -> None:
        with self.changed:
            note = self.under_way.pop(caller, None)
            if note is not None:
                self.ledger.append({**note, "what": what})

    def hold(self) -> None:
        with self.changed:
            self.is_held = True
            self.released.clear()

    def release(self, only: float | None) -> None:
        with self.changed:
            self.is_held = self.is_held and only is not None
            self.released |= set() if only is None else {only}
            self.changed.notify_all()

    def wait_released(self, caller: socket.socket, left: float) -> None:
        with self.changed:
            while self.is_held and left not in self.released and not has_hung_up(caller):
                self.changed.wait(0.05)


def has_hung_up(caller: socket.socket, seconds: float = 0) -> bool:
    """Whether the caller hangs up within this time."""
    readable, _, _ = select.select([caller], [], [], seconds)
    return bool(readable) and not caller.recv(1, socket.MSG_PEEK)


CALCULATOR = Calculator()


class Desk(BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        with CALCULATOR.changed:
            send_json(self, 200, CALCULATOR.ledger)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"] or 0)) or b"{}")
        if self.path == "/hold":
            CALCULATOR.hold()
        elif self.path == "/release":
            CALCULATOR.release(body.get("left"))
        else:
            self._add(body)
            return
        send_json(self, 201, {})

    def _add(self, body: dict[str, float]) -> None:
        numbers = (body["left"], body["right"])
        CALCULATOR.begin(self.connection, {"key": self.headers["idempotency-key"], "left": body["left"]})
        gone = has_hung_up(self.connection, SECONDS)
        CALCULATOR.wait_released(self.connection, body["left"])
        gone = gone or has_hung_up(self.connection)
        CALCULATOR.end(self.connection, "hung up" if gone else "end")
        if not gone and max(map(abs, numbers)) > HUGE:
            send_json(self, 400, {"reason": "the numbers are too large"})
        elif not gone:
            send_json(self, 201, {"sum": sum(numbers)})

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the ledger is the log."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9090, help="port on the loopback interface; 9090 by default")
    Server(("127.0.0.1", parser.parse_args().port), Desk).serve_forever()
