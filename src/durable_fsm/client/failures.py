"""The answer of a machine that has refused, as the exception that the machine has raised."""

from __future__ import annotations

import json
from collections.abc import Mapping
from inspect import signature
from typing import Any, cast

from durable_fsm import errors


def error_of(status: int, body: bytes, *, chart: str, key: str | None) -> errors.DurableFSMError:
    """The error that *body* tells of, with its attributes; `UnexpectedAnswer` if it is none of ours."""
    try:
        told: object = json.loads(body)
    except ValueError:
        told = None
    record = _members(told)
    metadata = _members(record.get("metadata"))
    kind = getattr(errors, str(metadata.get("type")), None)
    if isinstance(kind, type) and issubclass(kind, errors.DurableFSMError):
        try:
            return _built(kind, metadata)
        except (TypeError, ValueError, KeyError):
            pass  # of another version, or one that is not built from facts
    text = str(record.get("message") or body[:500].decode(errors="replace"))
    return errors.UnexpectedAnswer(chart=chart, key=key, status=status, text=text)


def _members(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _built(kind: type[errors.DurableFSMError], metadata: Mapping[str, Any]) -> errors.DurableFSMError:
    """The exception from its facts: those that are no strings came as JSON."""
    facts: dict[str, Any] = {}
    for name, parameter in signature(kind).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            raise TypeError(f"{kind.__name__} is not built from facts")
        if name in metadata:
            text = str(metadata[name])
            facts[name] = text if parameter.annotation in ("str", "str | None") else json.loads(text)
        elif parameter.default is parameter.empty and str(parameter.annotation).endswith("| None"):
            facts[name] = None  # what is not known is not sent
    return kind(**facts)
