"""Serve one ASGI application by hypercorn, in this process alone: `python -m durable_fsm.testing.serve shop:app`.

Unlike the `hypercorn` command it starts no worker that could outlive it.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from datetime import timedelta
from typing import Any

from durable_fsm.serving import Listener, run

__all__ = ["main", "serve"]

_DRAIN = timedelta(seconds=2)


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m durable_fsm.testing.serve", description="Serve one ASGI application for a test, by hypercorn."
    )
    parser.add_argument("app", metavar="MODULE:ATTRIBUTE", help="where the application is")
    parser.add_argument("--bind", metavar="HOST:PORT", required=True, help="where to listen")
    options = parser.parse_args(arguments)

    return serve(_load(options.app), options.bind)


# Any: what a user's module holds is for hypercorn to judge.
def serve(app: Any, bind: str) -> int:
    """Serve *app* at *bind* (`host:port`) until SIGTERM or SIGINT; return the exit code."""
    from durable_fsm.restate.app import charts_of

    host, _, port = bind.rpartition(":")
    return run(app, Listener(host, int(port)), drain=_DRAIN, lifespan=not charts_of(app))


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


if __name__ == "__main__":
    sys.exit(main())
