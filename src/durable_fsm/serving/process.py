"""One process that serves: from its first request to its last."""

from __future__ import annotations

import asyncio
import atexit
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

from durable_fsm.serving.drain import Draining
from durable_fsm.serving.servers import GRACE, SERVERS, Listener, ensure_installed, loop_for

log = logging.getLogger("durable_fsm.serving")

ENDING = (signal.SIGTERM, signal.SIGINT)
NOT_SERVED = 1
"""Exit code of a process whose server has ended by itself."""

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
    """Serve *app* until SIGTERM or SIGINT, then bring it to rest; return the exit code.

    Args:
        app: an ASGI application.
        listener: where, and by which server.
        drain: how long what is under way may take to come to rest. What has not by then is cut off; Restate tries it
            again elsewhere.
        lifespan: whether *app* knows ASGI's lifespan.
        ready: called once it is listening.
        parent: a file descriptor that ends when the parent does, and this process with it.

    Raises:
        NotInstalled: the server is not.
        OSError: nobody can listen there.
    """
    ensure_installed(listener.server)
    listener.bound().close()  # to be told here, and not by each server in its own way
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), name="parent", daemon=True).start()
    with asyncio.Runner(loop_factory=partial(loop_for, listener.server)) as runner:
        return runner.run(_serve(app, listener, drain=drain, lifespan=lifespan, ready=ready))


# Any: an ASGI application
async def _serve(
    app: Any, listener: Listener, *, drain: timedelta, lifespan: bool, ready: Callable[[], object] | None
) -> int:
    loop = asyncio.get_running_loop()
    told, stop = asyncio.Event(), asyncio.Event()
    draining = Draining(app, lifespan=lifespan)

    def end(number: int) -> None:
        if told.is_set():
            log.warning("told again to end: %d invocations are cut off", draining.under_way)
            _leave(SECOND_SIGNAL)
        log.info("%s: ending; %d invocations are under way", signal.Signals(number).name, draining.under_way)
        told.set()

    await _prime(app)
    for number in ENDING:
        loop.add_signal_handler(number, end, number)
    serving = asyncio.ensure_future(SERVERS[listener.server](draining, listener, stop))
    waiting = asyncio.ensure_future(told.wait())
    if ready is not None:
        await _wait_listening(listener, serving)
        ready()
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if not told.is_set():
        waiting.cancel()
        await serving  # raises why
        log.error("%s has ended by itself", listener.server)
        return NOT_SERVED
    try:
        await asyncio.wait_for(draining.drain(), drain.total_seconds())
    except TimeoutError:
        words = "not at rest after %g s: %d invocations are cut off, and tried again elsewhere"
        log.warning(words, drain.total_seconds(), draining.under_way)
    else:
        stop.set()
        await asyncio.wait({serving}, timeout=GRACE + 1)
    if listener.server == "granian" or not serving.done():
        # Restate keeps its connection open, a thread that works cannot be stopped, and those of granian would panic.
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage] - telemetry is sent there; nothing public does it
        _leave(0)
    return 0


async def _prime(app: Any) -> None:  # Any: an ASGI application
    """Let Restate's SDK take SIGTERM, which it does with its first request, before we do."""

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
    with suppress(Exception):  # whoever serves something else has no /health
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
    """End at once, whatever threads and connections there are."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
