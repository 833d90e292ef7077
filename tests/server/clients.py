"""Repeat a request until it is answered, for tests that kill the service or its server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

import httpx

from durable_fsm.local.failures import AdminError
from durable_fsm.testing import wait_until

T = TypeVar("T")


def answered(answer: httpx.Response) -> bool:
    """Whether this is a machine's answer: a server that begins may fail, or say that it knows no such service."""
    return not answer.is_server_error and answer.headers.get("x-restate-error-source") != "ingress"


def insisted(ask: Callable[[], T]) -> T:
    """Repeat a request until it is answered, even if the server is down for a while."""
    answers: list[T] = []

    def asked() -> bool:
        with suppress(httpx.TransportError, AdminError):
            found = ask()
            if not isinstance(found, httpx.Response) or answered(found):
                answers.append(found)
        return bool(answers)

    wait_until(asked, timedelta(seconds=60), "an answer")
    return answers[0]
