"""Three ASGI servers, set up to run in this event loop without signal handlers, processes and limits of their own."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from durable_fsm.serving.drain import Draining

if TYPE_CHECKING:
    from collections.abc import Generator

ServerName: TypeAlias = Literal["hypercorn", "uvicorn", "granian"]

DEFAULT: ServerName = "uvicorn"
"""The fastest; docs/performance.md has the figures."""

UNLIMITED = 2**31 - 1
"""Restate sends everything through one connection, so a limit per connection would stall it."""

LONGEST_HEADERS = 16 * 1024 * 1024
"""Restate sends the key of a machine as a header. A server that does not take it would end the connection that all share,
and the invocation would be tried again for ever; our handlers answer instead that the key is too long."""

GRACE = 2.0
"""Seconds for a server to close its connections, once no request is open."""


class NotInstalled(Exception):
    """The server is not installed. The message says how to install it."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where to listen, by which server.

    `cert` and `key` are PEM files, for TLS. `shared` allows several processes at one address; the kernel distributes
    the connections.
    """

    host: str = "127.0.0.1"
    port: int = 9080
    server: ServerName = DEFAULT
    cert: Path | None = None
    key: Path | None = None
    shared: bool = False

    @property
    def url(self) -> str:
        """`http://127.0.0.1:9080`"""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.cert else 'http'}://{host}:{self.port}"

    def bound(self) -> socket.socket:
        """Return a socket that is bound to the address.

        Raises:
            OSError: It cannot be bound, mostly because another process listens there.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        made = socket.socket(
            family, socket.SOCK_STREAM, socket.IPPROTO_TCP
        )  # unless TCP is named, asyncio leaves Nagle's delay on
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self.shared:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            made.bind((self.host, self.port))
        except OSError:
            made.close()
            raise
        made.set_inheritable(True)
        return made


def ensure_installed(server: ServerName) -> None:
    """Check that a server can be imported.

    Raises:
        NotInstalled: It cannot.
    """
    if importlib.util.find_spec(server) is None:
        raise NotInstalled(f"{server} is not installed. Run `pip install 'durable_fsm[{server}]'`.")


def loop_for(server: ServerName) -> asyncio.AbstractEventLoop:
    """Return the event loop that suits a server: uvloop for uvicorn, if it is installed."""
    if server == "uvicorn" and importlib.util.find_spec("uvloop") is not None:
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


async def hypercorn(app: Draining, listener: Listener, stop: asyncio.Event) -> None:
    """Serve by hypercorn: HTTP/2 and HTTP/1.1."""
    import hypercorn.asyncio
    from h2.connection import H2Connection
    from hypercorn.config import Config

    config = Config()
    config.loglevel = "WARNING"
    config.keep_alive_max_requests = UNLIMITED
    config.h2_max_concurrent_streams = UNLIMITED
    config.h2_max_header_list_size = LONGEST_HEADERS
    # hypercorn advertises the setting, and h2 keeps to this
    H2Connection.DEFAULT_MAX_HEADER_LIST_SIZE = LONGEST_HEADERS  # pyright: ignore[reportAttributeAccessIssue]
    config.h11_max_incomplete_size = LONGEST_HEADERS
    config.keep_alive_timeout = UNLIMITED
    config.graceful_timeout = GRACE
    config.certfile = str(listener.cert) if listener.cert else None
    config.keyfile = str(listener.key) if listener.key else None
    with listener.bound() as bound:
        config.bind = [f"fd://{bound.detach()}"]
        # hypercorn leaves its WSGI side and its trigger untyped
        await hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]  # pyright: ignore[reportUnknownMemberType, reportArgumentType]


async def uvicorn(app: Draining, listener: Listener, stop: asyncio.Event) -> None:
    """Serve by uvicorn: HTTP/1.1 only."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            yield

    config = uvicorn.Config(
        app,
        log_level="warning",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=UNLIMITED,
        h11_max_incomplete_event_size=LONGEST_HEADERS,
        timeout_graceful_shutdown=int(GRACE),
        ssl_certfile=listener.cert,
        ssl_keyfile=listener.key,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    server = Server(config)

    async def end() -> None:
        await stop.wait()
        server.should_exit = True

    ending = asyncio.create_task(end())
    try:
        await server.serve(sockets=[listener.bound()])
    finally:
        ending.cancel()


def _is_news(record: logging.LogRecord) -> bool:
    """Drop the line about requests that are not HTTP/1.1: Restate sends one to learn which version a service speaks."""
    return record.msg != "Invalid HTTP request received."


async def granian(app: Draining, listener: Listener, stop: asyncio.Event) -> None:
    """Serve by granian: HTTP/2 and HTTP/1.1."""
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP2Settings
    from granian.server.embed import Server

    server = Server(
        app,
        address=listener.host,
        port=listener.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.auto,
        websockets=False,
        backlog=2048,
        backpressure=UNLIMITED,
        http2_settings=HTTP2Settings(max_concurrent_streams=UNLIMITED, max_headers_size=LONGEST_HEADERS),
        log_enabled=False,
        ssl_cert=listener.cert,
        ssl_key=listener.key,
    )

    async def end() -> None:
        await stop.wait()
        server.stop()  # type: ignore[no-untyped-call]

    ending = asyncio.create_task(end())
    try:
        await server.serve()
    finally:
        ending.cancel()


SERVERS: dict[ServerName, Callable[[Any, Listener, asyncio.Event], Awaitable[None]]] = {  # Any: an ASGI application
    "hypercorn": hypercorn,
    "uvicorn": uvicorn,
    "granian": granian,
}
