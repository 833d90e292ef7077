"""Which HTTP Restate speaks to a service that it is told of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

HTTP1_ONLY = "META0014"
"""What Restate calls it when a service that it has asked over HTTP/2 speaks only HTTP/1.1."""

Answer = TypeVar("Answer")


def discovered(ask: Callable[[bool], Answer], refused: type[Exception], *, http1: bool = False) -> Answer:
    """Have Restate ask a service what it serves: over HTTP/2, and over HTTP/1.1 where that speaks nothing else.

    Args:
        ask: asks Restate's admin API, with what is to be `use_http_11`.
        refused: what that raises, with Restate's words, where it is refused.
        http1: do not try HTTP/2.
    """
    if not http1:
        try:
            return ask(False)  # noqa: FBT003 - it takes nothing else
        except refused as error:
            if HTTP1_ONLY not in str(error):
                raise
    return ask(True)  # noqa: FBT003 - as above
