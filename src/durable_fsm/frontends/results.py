"""Results of steps, in the types that their functions say they return."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, get_type_hints
from weakref import WeakKeyDictionary

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import to_json

from durable_fsm.core.values import Json

PLAIN = (Any, None, type(None), object, str, int, float, bool, list, dict)
"""Annotations whose values are the same before and after they were JSON."""


def returned(step: Callable[..., object], stored: Json) -> Any:  # Any: whatever the step returns
    """The result of a step as its function annotates it: a model, a datetime, a tuple.

    Without an annotation, or with one that the result does not fit, it is the JSON that was stored.
    """
    while isinstance(step, partial):
        step = step.func
    try:
        declared = _declared_by(step)
        adapter = None if declared in PLAIN else _adapter_of(declared)
        return stored if adapter is None else adapter.validate_json(to_json(stored))
    except (NameError, TypeError, PydanticUserError, ValidationError):
        return stored


_known: WeakKeyDictionary[Callable[..., object], object] = WeakKeyDictionary()


def _declared_by(step: Callable[..., object]) -> object:
    """The annotation of what a function returns, kept as long as the function lives."""
    if step not in _known:
        _known[step] = get_type_hints(step).get("return")
    return _known[step]


@lru_cache(maxsize=256)
def _adapter_of(declared: Any) -> TypeAdapter[Any]:
    return TypeAdapter(declared)
