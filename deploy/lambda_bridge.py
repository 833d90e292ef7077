"""Imitate AWS Lambda on this machine: each HTTP request becomes an event, handled by a separate process.

    python deploy/lambda_bridge.py machines.greeter.service:app --port 9080
    durable-fsm register http://localhost:9080

The module is imported once, with AWS_LAMBDA_FUNCTION_NAME set, as Lambda does. A fork of that process then handles each event,
and ends with its answer. So only Restate can keep anything between two events.
"""

from __future__ import annotations

import base64
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from pathlib import Path
from socketserver import ForkingMixIn
from typing import Any

import click

SECONDS = 30
"""Time limit of one event, like the timeout of a Lambda function."""


class Bridge(ForkingMixIn, HTTPServer):
    """The server, and the function that it calls."""

    max_children = 1_000
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], function: Any) -> None:
        super().__init__(address, Event)
        self.function = function


class Event(BaseHTTPRequestHandler):
    """One request."""

    server: Bridge
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.1"
    """For requests that are not understood. An HTTP/2 request gets 505, so that Restate asks again over HTTP/1.1."""

    def do_GET(self) -> None:
        self.call()

    def do_POST(self) -> None:
        self.call()

    def call(self) -> None:
        """Turn the request into an event, call the function with it, and send the result."""
        signal.alarm(SECONDS)
        body = b"".join(self.chunks())
        answer = self.server.function(
            {
                "httpMethod": self.command,
                "path": self.path,
                "headers": dict(self.headers.items()),
                "body": base64.b64encode(body).decode(),
                "isBase64Encoded": True,
            },
            None,
        )
        content = answer.get("body") or ""
        sent = base64.b64decode(content) if answer.get("isBase64Encoded") else content.encode()
        self.send_response(answer["statusCode"])
        for name, value in answer["headers"].items():
            if name.lower() not in ("content-length", "connection"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(sent)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(sent)
        self.close_connection = True

    def chunks(self) -> Iterator[bytes]:
        """The request's body, which Restate sends in chunks."""
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            yield self.rfile.read(int(self.headers.get("content-length", "0")))
            return
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        if self.command:
            print(f"{os.getpid()} {self.command} {self.path}", flush=True)

    def log_message(self, format: str, *args: object) -> None:
        print(f"{os.getpid()} {format % args}", flush=True)


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.argument("target", metavar="MODULE:APP")
@click.option("--port", type=int, default=9080, show_default=True)
def main(target: str, port: int) -> None:
    module, _, name = target.partition(":")
    os.environ.setdefault("AWS_LAMBDA_FUNCTION_NAME", name)
    sys.path.insert(0, str(Path.cwd()))
    function = getattr(import_module(module), name)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), Bridge(("127.0.0.1", port), function) as bridge:
        print(f"Calling {target} for every request to http://127.0.0.1:{port}. Ctrl-C ends it.", flush=True)
        bridge.serve_forever()


if __name__ == "__main__":
    main()
