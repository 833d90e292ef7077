"""A small world outside: an HTTP service in a process of its own that does what it is asked once, and remembers it.

    POST /<something>   with an idempotency-key header: 201 with an answer; 409 with the first one, if it knows the key
    GET  /ledger        all that was done, in order: [{"path", "key", "body", "answer"}]
    POST /trouble       {"path", "status", "reason", "times"}: the next so many requests there are refused
    POST /withhold      {"path", "after"}: the request there after so many others is done, and its answer withheld

Applications say what can be asked for, and what is answered: `serve({"/charges": charge})`. `ask` is their way to it.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

import httpx

from durable_fsm import TerminalError

Answer: TypeAlias = tuple[int, dict[str, Any]]
Deed: TypeAlias = Callable[["World", str, dict[str, Any]], Answer]
"""What is done for a request, given its key and its body."""

FINAL = {400, 402, 404, 410}
"""Refusals that stay the same however often one asks; everything else is tried again."""


async def ask(path: str, body: Mapping[str, object], *, key: str) -> Any:  # Any: JSON
    """Ask the world at WORLD_URL; return its answer, also where it knows this key.

    Raises:
        TerminalError: it refuses for good.
        httpx.HTTPError: it refuses for now, or cannot be reached.
    """
    async with httpx.AsyncClient(base_url=os.environ["WORLD_URL"], timeout=30, trust_env=False) as world:
        answer = await world.post(path, json=body, headers={"idempotency-key": key})
    if answer.status_code in FINAL:
        raise TerminalError(answer.json()["reason"], code=answer.status_code)
    if answer.status_code not in (201, 409):
        answer.raise_for_status()
    return answer.json()


class World:
    """What can be done, what was done, and what is to go wrong. Every method is called under `lock`."""

    def __init__(self, deeds: Mapping[str, Deed]) -> None:
        self.deeds = deeds
        self.lock = threading.Lock()
        self.ledger: list[dict[str, Any]] = []
        self.refusals: list[dict[str, Any]] = []
        self.withheld: dict[str, int] = {}

    def count(self, path: str) -> int:
        """How often this was done."""
        return sum(done["path"] == path for done in self.ledger)

    def take(self, path: str, key: str, body: dict[str, Any]) -> Answer:
        """Do what a request asks for, unless it was done before, or is to be refused."""
        if path not in self.deeds or not key:
            return 400, {
                "reason": "an idempotency-key header is needed" if path in self.deeds else f"there is no {path}"
            }
        for done in self.ledger:
            if (done["path"], done["key"]) == (path, key):
                return 409, done["answer"]
        for refusal in self.refusals:
            if refusal["path"] == path and refusal["times"] > 0:
                refusal["times"] -= 1
                return refusal["status"], {"reason": refusal["reason"]}
        status, answer = self.deeds[path](self, key, body)
        if status == 201:
            self.ledger.append({"path": path, "key": key, "body": body, "answer": answer})
        return status, answer

    def keeps_silent(self, path: str) -> bool:
        """Whether what was just done there is not to be answered."""
        left = self.withheld.pop(path, None)
        if left:
            self.withheld[path] = left - 1
        return left == 0


def serve(deeds: Mapping[str, Deed], description: str | None) -> None:
    """Serve these deeds on the port that the command line names."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9090, help="where to listen on the loopback; 9090 if not given")
    Gate.world = World(deeds)
    ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Gate).serve_forever()


class Gate(BaseHTTPRequestHandler):
    """One request."""

    world: World

    def do_GET(self) -> None:
        with self.world.lock:
            self._answer(200, self.world.ledger)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        silent = False
        with self.world.lock:
            if self.path == "/trouble":
                self.world.refusals.append({"reason": "not now", "times": 1, **body})
                answer: Answer = (201, {})
            elif self.path == "/withhold":
                self.world.withheld[body["path"]] = body.get("after", 0)
                answer = (201, {})
            else:
                answer = self.world.take(self.path, self.headers.get("idempotency-key", ""), body)
                silent = answer[0] == 201 and self.world.keeps_silent(self.path)
        if silent:
            self.connection.recv(1)  # until the caller goes away: it shall not learn of what was done
            return
        self._answer(*answer)

    def _answer(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the ledger is the log."""
