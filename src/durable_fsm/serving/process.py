"""Serve an application in this process, and drain it when the process is asked to end."""

from __future__ import annotations

import asyncio
import atexit
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from durable_fsm.frontends.contents import mounted_in
from durable_fsm.serving.drain import Draining
from durable_fsm.serving.servers import GRACE, SERVERS, Listener, ensure_installed, loop_for

log = logging.getLogger("durable_fsm.serving")

ENDING = (signal.SIGTERM, signal.SIGINT)
NOT_SERVED = 1
"""Exit code of a process whose server ended by itself."""

SECOND_SIGNAL = 130


# Any: an ASGI application
def run(
    app: Any,
    listener: Listener,
    *,
    drain: timedelta,
    lifespan: bool = False,
    ready: Callable[[], object] | None = None,
    parent: int | None = None,
) -> int:
    """Serve *app* until SIGTERM or SIGINT, then drain it; return the exit code.

    Args:
        app: An ASGI application.
        listener: Where to listen, by which server.
        drain: How long open requests may take to end. Those that take longer are cut off; Restate tries them again.
        lifespan: Whether *app* knows ASGI's lifespan.
        ready: Called once it listens.
        parent: A file descriptor that closes when the parent process ends; this process then ends too.

    Raises:
        NotInstalled: The server is not installed.
        OSError: The address cannot be bound.
    """
    ensure_installed(listener.server)
    listener.bound().close()  # one error for all servers; each has its own way to report it
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), name="parent", daemon=True).start()
    gc.freeze()  # what has been imported stays, and the collector need not look through it while it serves
    with asyncio.Runner(loop_factory=partial(loop_for, listener.server)) as runner:
        return runner.run(_serve(app, listener, drain=drain, lifespan=lifespan, ready=ready))


# Any: an ASGI application
async def _serve(
    app: Any, listener: Listener, *, drain: timedelta, lifespan: bool, ready: Callable[[], object] | None
) -> int:
    loop = asyncio.get_running_loop()
    asked, stop = asyncio.Event(), asyncio.Event()
    draining = Draining(app, lifespan=lifespan)

    def end(number: int) -> None:
        if asked.is_set():
            log.warning("second signal: %d invocations are cut off", draining.in_flight)
            _leave(SECOND_SIGNAL)
        level = logging.INFO if draining.in_flight else logging.DEBUG
        log.log(level, "%s: ending; %d invocations are in flight", signal.Signals(number).name, draining.in_flight)
        asked.set()

    for one in [mounted.application for mounted in mounted_in(app)] or [app]:
        await _prime(one)
    for number in ENDING:
        loop.add_signal_handler(number, end, number)
    serving = asyncio.ensure_future(SERVERS[listener.server](draining, listener, stop))
    waiting = asyncio.ensure_future(asked.wait())
    if ready is not None:
        await _wait_listening(listener, serving)
        ready()
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if not asked.is_set():
        waiting.cancel()
        await serving  # raises why
        log.error("%s ended by itself", listener.server)
        return NOT_SERVED
    try:
        await asyncio.wait_for(draining.drain(), drain.total_seconds())
    except TimeoutError:
        words = "not drained after %g s: %d invocations are cut off; Restate tries them again"
        log.warning(words, drain.total_seconds(), draining.in_flight)
    else:
        stop.set()
        await asyncio.wait({serving}, timeout=GRACE + 1)
    if listener.server == "granian" or not serving.done():
        # Restate keeps its connection open, a running thread cannot be stopped, and the threads of granian would panic.
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage] - this sends telemetry, and nothing public does
        _leave(0)
    return 0


async def _prime(app: Any) -> None:  # Any: an ASGI application
    """Send a first request, so that Restate's SDK installs its SIGTERM handler before we replace it."""

    async def nothing(*_: object) -> dict[str, Any]:
        return {"type": "http.disconnect"}

    scope: dict[str, object] = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/health",
        "query_string": b"",
        "headers": [],
    }
    with suppress(Exception):  # an application of another kind may have no /health
        await app(scope, nothing, nothing)


async def _wait_listening(listener: Listener, serving: asyncio.Future[None]) -> None:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.host, listener.host)
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(host, listener.port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


def _end_with(parent: int) -> None:
    with suppress(OSError):
        os.read(parent, 1)
    _leave(NOT_SERVED)


def _leave(code: int) -> None:
    """End at once, without waiting for threads and connections."""
    from durable_fsm.restate.crashes import recorder

    if (crashes := recorder()) is not None:
        crashes.close()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
