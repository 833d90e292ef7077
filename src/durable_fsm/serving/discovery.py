"""Find out which version of HTTP a service speaks when Restate registers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

HTTP1_ONLY = "META0014"
"""Restate's error code for a service that was asked over HTTP/2 and speaks only HTTP/1.1."""

Answer = TypeVar("Answer")


def discovered(ask: Callable[[bool], Answer], refused: type[Exception], *, http1: bool = False) -> Answer:
    """Register a service over HTTP/2, or over HTTP/1.1 if the service speaks nothing else.

    Args:
        ask: Calls Restate's admin API; its argument is the value of `use_http_11`.
        refused: The exception that *ask* raises, with Restate's message, if Restate refuses.
        http1: Do not try HTTP/2.
    """
    if not http1:
        try:
            return ask(False)  # noqa: FBT003 - it takes nothing else
        except refused as error:
            if HTTP1_ONLY not in str(error):
                raise
    return ask(True)  # noqa: FBT003 - as above
