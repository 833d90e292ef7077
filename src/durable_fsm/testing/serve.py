"""Serve one ASGI application by hypercorn, in this process alone: `python -m durable_fsm.testing.serve shop:app`.

Unlike the `hypercorn` command it starts no worker that could outlive it.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVarTuple, Unpack

import hypercorn.asyncio
from hypercorn.config import Config

__all__ = ["main", "serve"]

_UNLIMITED = 2147483647
_GRACE = timedelta(seconds=2)

Ts = TypeVarTuple("Ts")


class _SharedSignals(asyncio.SelectorEventLoop):
    """An event loop on which a second handler of a signal is added to the first instead of replacing it.

    Restate's SDK installs its own SIGTERM handler with the first request; a server whose handler it replaces would
    never hear of SIGTERM.
    """

    def __init__(self) -> None:
        super().__init__()
        self._handlers: dict[int, list[Callable[[], object]]] = {}

    def add_signal_handler(self, sig: int, callback: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
        handlers = self._handlers.setdefault(sig, [])
        handlers.append(partial(callback, *args))
        if len(handlers) == 1:
            super().add_signal_handler(sig, self._dispatch, sig)

    def _dispatch(self, sig: int) -> None:
        for handler in tuple(self._handlers[sig]):
            handler()


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m durable_fsm.testing.serve", description="Serve one ASGI application for a test, by hypercorn."
    )
    parser.add_argument("app", metavar="MODULE:ATTRIBUTE", help="where the application is")
    parser.add_argument("--bind", metavar="HOST:PORT", required=True, help="where to listen")
    options = parser.parse_args(arguments)

    serve(_load(options.app), options.bind)
    return 0


# Any: what a user's module holds is for hypercorn to judge.
def serve(app: Any, bind: str, *, quiet: bool = False) -> None:
    """Serve *app* at *bind* (`host:port`) until SIGTERM or SIGINT; if *quiet*, tell of nothing but troubles."""
    with asyncio.Runner(loop_factory=_SharedSignals) as runner:
        runner.run(_serve(app, bind, "WARNING" if quiet else "INFO"))


# Any: what a user's module holds is for hypercorn to judge.
def _load(path: str) -> Any:
    module, colon, attribute = path.partition(":")
    if not colon:
        raise SystemExit(f"'{path}' names no application. Write MODULE:ATTRIBUTE, such as shop:app.")
    found: Any = importlib.import_module(module)
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise SystemExit(f"Module '{module}' has no '{attribute}'.")
        found = getattr(found, name)
    return found


async def _serve(app: Any, bind: str, loglevel: str) -> None:
    config = Config()
    config.bind = [bind]
    config.loglevel = loglevel
    config.keep_alive_max_requests = _UNLIMITED
    config.h2_max_concurrent_streams = _UNLIMITED
    config.keep_alive_timeout = _UNLIMITED
    config.graceful_timeout = _GRACE.total_seconds()

    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        told_to_stop.set()
        # Newer Pythons wait for open connections without limit, and Restate keeps its own open.
        loop.call_later(_GRACE.total_seconds() + 1, os._exit, 0)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    # hypercorn leaves its WSGI side and its trigger untyped
    await hypercorn.asyncio.serve(app, config, shutdown_trigger=told_to_stop.wait)  # pyright: ignore[reportUnknownMemberType]


if __name__ == "__main__":
    sys.exit(main())
