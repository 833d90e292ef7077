"""Texts that may quote anything, in a form that may be shown and stored."""

from __future__ import annotations

from durable_fsm.restate.observability.redaction import clean

MAX_MESSAGE = 10_000
"""Longest error message in characters, and longest text among its facts: authors' exceptions may quote anything."""


def said(text: str) -> str:
    """*text* without redacted values, shortened to `MAX_MESSAGE` characters."""
    text = clean(writable(text))
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]} …"


def writable(text: str) -> str:
    """*text* with a question mark for each unpaired surrogate, which UTF-8 cannot encode.

    Without this, Restate would retry an invocation for ever whose error quotes one.
    """
    return text.encode("utf-8", "replace").decode()
