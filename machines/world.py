"""An outside service for the examples, in a separate process: it does each request once, and records it.

    POST /<something>   with an idempotency-key header: 201 with an answer; 409 with the first one, if it knows the key
    GET  /ledger        everything it did, in order: [{"path", "key", "body", "answer"}]
    GET  /refused       the requests that it refused because of trouble: [{"path", "key", "body"}]
    POST /trouble       {"path", "status", "reason", "times"}: it refuses the next requests to that path
    POST /withhold      {"path", "after"}: it does a request to that path, but sends no answer
    POST /hold          {"path"}: requests to that path wait from now on, and are done after POST /release {"path"}
    GET  /held          the requests that wait: {path: [body]}

It can tell what it does in its terminal, a line for each request.
An application defines the paths and the answers: `serve({"/charges": charge})`. Its activities call `ask`. A request may
take a while; if its caller hangs up meanwhile, it is not done.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

import httpx

from durable_fsm import TerminalError
from machines.json_answer import send_json

Answer: TypeAlias = tuple[int, dict[str, Any]]
Deed: TypeAlias = Callable[["World", str, dict[str, Any]], Answer]
"""Handles a request, given its key and its body."""
Seconds: TypeAlias = Callable[[dict[str, Any]], float]
"""How long a request takes, given its body."""

FINAL = {400, 402, 404, 410}
"""Statuses that a retry does not change; all others are retried."""


async def ask(path: str, body: Mapping[str, object], *, key: str) -> Any:  # Any: JSON
    """Send a request to WORLD_URL; return the answer, also the first answer if the key is known.

    Raises:
        TerminalError: the service refuses for good.
        httpx.HTTPError: the service refuses for now, or cannot be reached.
    """
    url = os.environ["WORLD_URL"]
    certificates = url.startswith("https:")  # reading them takes longer than the request
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False, verify=certificates) as world:
        answer = await world.post(path, json=body, headers={"idempotency-key": key})
    if answer.status_code in FINAL:
        raise TerminalError(answer.json()["reason"], code=answer.status_code)
    if answer.status_code not in (201, 409):
        answer.raise_for_status()
    return answer.json()


class World:
    """The handlers, the ledger, and the requests to refuse. Hold `lock` to call a method."""

    def __init__(
        self, deeds: Mapping[str, Deed], takes: Mapping[str, Seconds], tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self.deeds = deeds
        self.takes = takes
        self.tell = tell
        self.lock = threading.Lock()
        self.released = threading.Condition(self.lock)
        self.ledger: list[dict[str, Any]] = []
        self.refusals: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.withheld: dict[str, int] = {}
        self.held: dict[str, list[dict[str, Any]]] = {}

    def count(self, path: str) -> int:
        """Count the requests to *path* that were done."""
        return sum(done["path"] == path for done in self.ledger)

    def take(self, path: str, key: str, body: dict[str, Any]) -> Answer:
        """Do what a request asks for, unless it was done before, or must be refused."""
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
                self.refused.append({"path": path, "key": key, "body": body})
                return refusal["status"], {"reason": refusal["reason"]}
        status, answer = self.deeds[path](self, key, body)
        if status == 201:
            self.ledger.append({"path": path, "key": key, "body": body, "answer": answer})
        return status, answer

    def wait(self, path: str, key: str, body: dict[str, Any]) -> None:
        """Wait until requests to *path* are not held any longer."""
        if path in self.held:
            self.held[path].append(body)
            self.tell(f"{path} {key} {json.dumps(body)}: waits")
            self.released.wait_for(lambda: path not in self.held)

    def answer(self, path: str, key: str, body: dict[str, Any]) -> Answer:
        """Do what a request asks for, once it is not held any longer, and tell it."""
        self.wait(path, key, body)
        status, answer = self.take(path, key, body)
        outcome = {201: "done", 409: "was done before"}.get(status, f"refused, {answer.get('reason')}")
        self.tell(f"{path} {key} {json.dumps(body)}: {outcome}")
        return status, answer

    def keeps_silent(self, path: str) -> bool:
        """True if the answer to the request just done must be withheld."""
        left = self.withheld.pop(path, None)
        if left:
            self.withheld[path] = left - 1
        return left == 0


def serve(
    deeds: Mapping[str, Deed],
    description: str | None,
    takes: Mapping[str, Seconds] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the handlers on the port of the command line. A path in *takes* does its requests slowly.

    *tell* gets a line for each request.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9090, help="port on the loopback interface; 9090 by default")
    Gate.world = World(deeds, takes or {}, tell)
    Server(("127.0.0.1", parser.parse_args().port), Gate).serve_forever()


class Server(ThreadingHTTPServer):
    request_queue_size = 512


class Gate(BaseHTTPRequestHandler):
    """One request."""

    world: World

    def do_GET(self) -> None:
        with self.world.lock:
            lists = {"/held": self.world.held, "/refused": self.world.refused}
            send_json(self, 200, lists.get(self.path, self.world.ledger))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        silent = False
        if self._is_given_up(self.world.takes.get(self.path, lambda _: 0)(body)):
            return
        with self.world.lock:
            if self.path == "/trouble":
                self.world.refusals.append({"reason": "not now", "times": 1, **body})
                answer: Answer = (201, {})
            elif self.path == "/withhold":
                self.world.withheld[body["path"]] = body.get("after", 0)
                answer = (201, {})
            elif self.path == "/hold":
                self.world.held[body["path"]] = []
                answer = (201, {})
            elif self.path == "/release":
                self.world.held.pop(body["path"], None)
                self.world.released.notify_all()
                answer = (201, {})
            else:
                answer = self.world.answer(self.path, self.headers.get("idempotency-key", ""), body)
                silent = answer[0] == 201 and self.world.keeps_silent(self.path)
        if silent:
            self.connection.recv(1)  # wait until the caller hangs up: it must not learn that the request was done
            return
        send_json(self, *answer)

    def _is_given_up(self, seconds: float) -> bool:
        """Wait so long; True as soon as the caller has hung up, which is all that can arrive from it."""
        return bool(seconds and select.select([self.connection], [], [], seconds)[0])

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the ledger is the log."""
