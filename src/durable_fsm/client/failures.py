"""Rebuild the exception that a machine raised from the HTTP answer that carries it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, cast, get_args, get_type_hints

from durable_fsm import errors


def error_of(status: int, body: bytes, *, chart: str, key: str | None) -> errors.DurableFSMError:
    """The error in *body*, with its attributes; `UnexpectedAnswer` if no machine of ours wrote it."""
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
    """The exception from its facts; those that are not strings arrive as JSON texts."""
    types = get_type_hints(kind)
    facts: dict[str, Any] = {}
    for fact in fields(kind):
        if not fact.init:
            continue
        if not fact.kw_only:
            raise TypeError(f"{kind.__name__} is not built from facts alone")
        if fact.name in metadata:
            text = str(metadata[fact.name])
            facts[fact.name] = text if types[fact.name] in (str, str | None) else _tuple_or(json.loads(text))
        elif fact.default is MISSING and type(None) in get_args(types[fact.name]):
            facts[fact.name] = None  # a fact that is None is not sent
    return kind(**facts)


def _tuple_or(value: object) -> object:
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value
