"""What a client has to know while servers die."""

from __future__ import annotations

import httpx


def answered(answer: httpx.Response) -> bool:
    """Whether this is a machine's answer: a server that begins may fail, or say that it knows no such service."""
    return not answer.is_server_error and answer.headers.get("x-restate-error-source") != "ingress"
