"""A proxy between Restate and a service, which knows the requests of Restate: those that are over, and those it still holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from durable_fsm.testing import ServiceProcess


@dataclass
class Proxy:
    """HTTP/1.1, for one service. `url` is for Restate."""

    service: ServiceProcess
    url: str = ""
    begun: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def held(self, path: str) -> int:
        """How many requests to this path have no answer yet."""
        return self.begun.count(path) - self.ended.count(path)


@contextmanager
def proxied(service: ServiceProcess) -> Iterator[Proxy]:
    """Run a proxy for this service."""
    proxy = Proxy(service)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.pass_on()

        def do_POST(self) -> None:
            self.pass_on()

        def pass_on(self) -> None:
            proxy.begun.append(self.path)
            upstream = HTTPConnection("127.0.0.1", proxy.service.port)
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"}
                upstream.request(self.command, self.path, self.body(), headers)
                answer = upstream.getresponse()
                body = answer.read()
            except OSError:  # it was killed
                self.close_connection = True
                return
            finally:
                upstream.close()
                proxy.ended.append(self.path)
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def body(self) -> bytes:
            if "content-length" in self.headers:
                return self.rfile.read(int(self.headers["content-length"]))
            read = b""
            if "transfer-encoding" in self.headers:
                while size := int(self.rfile.readline(), 16):
                    read += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            return read

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: `begun` and `ended` are the log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
