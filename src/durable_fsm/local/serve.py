"""Serve one ASGI application in this process alone: `python -m durable_fsm.local.serve shop:app`.

It is served by hypercorn, which speaks both versions of HTTP; unlike that one's own command, no worker is started that
could outlive this process.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from durable_fsm.serving import Listener, ServerName, run

__all__ = ["main", "serve"]

_DRAIN = timedelta(seconds=2)


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m durable_fsm.local.serve", description="Serve one ASGI application for a test, by hypercorn."
    )
    parser.add_argument("app", metavar="MODULE:ATTRIBUTE", help="where the application is")
    parser.add_argument("--bind", metavar="HOST:PORT", required=True, help="where to listen")
    options = parser.parse_args(arguments)

    def ready() -> None:
        print(f"Serving {options.app} at http://{options.bind}.", flush=True)

    return serve(_load(options.app), options.bind, ready)


# Any: what a user's module holds is for the server to judge.
def serve(app: Any, bind: str, ready: Callable[[], object] | None = None, *, server: ServerName = "hypercorn") -> int:
    """Serve *app* at *bind* (`host:port`) until SIGTERM or SIGINT, calling *ready* once it is; return the exit code."""
    from durable_fsm.restate.app import charts_of

    host, _, port = bind.rpartition(":")
    return run(app, Listener(host, int(port), server), drain=_DRAIN, lifespan=not charts_of(app), ready=ready)


# Any: what a user's module holds is for the server to judge.
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


if __name__ == "__main__":
    sys.exit(main())
