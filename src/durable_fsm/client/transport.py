"""Errors of the network, as values."""

from __future__ import annotations

import httpx

from durable_fsm.client.protocol import Lost

UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


def lost(error: httpx.TransportError, at: float) -> Lost:
    """The answer that did not come, because of this error."""
    problem = f"{type(error).__name__}{f' ({error})' if str(error) else ''}"
    return Lost(problem, at, sent=not isinstance(error, UNSENT), slow=isinstance(error, httpx.ReadTimeout))
