"""Let SIGTERM reach the server of an application, too.

With its first request Restate's SDK takes SIGTERM for itself, and replaces the handler of the ASGI server. uvicorn would
ignore SIGTERM from then on, so a container with `fastapi run` or `uvicorn shop:app` ended only when it was killed.
`durable-fsm serve` needs none of this: it lets the SDK go first, and takes the signal afterwards.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import Any

from restate import server as sdk


class SignalsPassedOn:
    """An application of the SDK that leaves the server its SIGTERM."""

    def __init__(self, app: Any) -> None:  # Any: ASGI, as the SDK leaves it untyped
        self._app = app
        self._passed_on = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if not self._passed_on:
            self._passed_on = True
            pass_on(signal.SIGTERM)
        await self._app(scope, receive, send)


def pass_on(number: signal.Signals) -> None:
    """Call the present handler of a signal whenever the SDK handles it."""
    handler = signal.getsignal(number)
    if not callable(handler):
        return  # nothing handles it; then the SDK's own handler changes nothing either
    # Another version of the SDK; Windows; not the main thread.
    with suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
        sdk.install_shutdown_hook(asyncio.get_running_loop(), lambda: handler(number, None), number)
