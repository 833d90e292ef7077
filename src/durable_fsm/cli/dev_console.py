"""The console of `durable-fsm dev`: it starts when its link is opened for the first time, which lets the developer act."""

from __future__ import annotations

import os
import secrets
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from durable_fsm.cli import ports
from durable_fsm.cli.console import INVITATION, is_installed
from durable_fsm.cli.settings import SECRETS
from durable_fsm.local.process import HOST, ServiceProcess, free_port
from durable_fsm.local.server import RestateServer

READY_SECONDS = 60.0

MakeProcess = Callable[[list[str], int, dict[str, str]], ServiceProcess]


class DevConsole:
    """A link that starts the console.

    Attributes:
        secrets: with the first of them the console signs for the developer; the service has to know it.
    """

    def __init__(self) -> None:
        self.secrets = os.environ.get(SECRETS) or secrets.token_urlsafe(24)
        self._token = secrets.token_urlsafe(24)
        self._wanted, self._answered = threading.Event(), threading.Event()
        self._process: ServiceProcess | None = None
        self._server: ThreadingHTTPServer | None = None

    @property
    def link(self) -> str:
        """The address to open, which counts once; or how to get the console."""
        if self._server is None:
            return "pip install 'durable-fsm[console]'"
        return f"http://{HOST}:{self._server.server_port}/enter?token={self._token}"

    def listen(self) -> None:
        """Wait for the first visitor, if the console is installed."""
        if not is_installed():
            return
        console = self

        class Door(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                console._wanted.set()
                console._answered.wait(READY_SECONDS)
                process = console._process
                if process is None or not process.alive:
                    self.send_error(503, "The console has not started; see .durable_fsm/console.log")
                    return
                self.send_response(302)
                self.send_header("location", f"{process.url}{self.path}")
                self.send_header("cache-control", "no-store")
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None: ...  # Any: whatever the server tells

        self._server = ThreadingHTTPServer((HOST, ports.chosen("console", None)), Door)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def is_wanted(self) -> bool:
        """Whether there is a visitor, and the console has not started yet."""
        return self._wanted.is_set() and self._process is None

    def start(self, make: MakeProcess, server: RestateServer, target: str) -> None:
        """Start the console; the caller's thread must live as long as the process."""
        port = free_port()
        places = ["--bind", f"{HOST}:{port}", "--ingress", server.ingress_url, "--admin", server.admin_url]
        command = [sys.executable, "-m", "durable_fsm.cli", "console", target, *places]
        self._process = make(command, port, {SECRETS: self.secrets, INVITATION: self._token})
        self._process.start()
        threading.Thread(target=self._tell_when_ready, daemon=True).start()

    def _tell_when_ready(self) -> None:
        assert self._process is not None
        try:
            self._process.wait_ready()
        finally:
            self._answered.set()

    @property
    def process(self) -> ServiceProcess | None:
        return self._process

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
