"""Arguments of our own functions, checked against their annotations when an author calls them.

`retry=5` and `after(15, …)` are then a TypeError at the line that says so, and not a failure of a machine that runs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from types import CoroutineType, NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)
ANY: Any = object()
"""The annotation of what is not checked: names that exist for type checkers only, and type variables."""


MADE_BY = "made_by"
"""Attribute of a class that authors do not call themselves: the call that makes an instance, as they write it."""


class _Misfit(Exception):
    """Where a value does not fit its annotation, and the part that does not."""

    def __init__(self, path: str, value: object, hint: object) -> None:
        super().__init__(path)
        self.path, self.value, self.hint = path, value, hint


def checked(function: F) -> F:
    """Let a function refuse arguments that its annotations do not allow."""
    signature = inspect.signature(function)
    named = {name for name, item in signature.parameters.items() if item.kind is not item.VAR_KEYWORD}

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:
            given = {}  # Python's own message names the function
        for name in given.keys() & named:
            hint = function.__annotations__.get(name, ANY)
            require(_called(function), name, given[name], _evaluated(hint, function.__globals__))
        return function(*args, **kwargs)

    return cast("F", call)


def checked_type(cls: C) -> C:
    """Let a dataclass refuse arguments that its fields do not allow."""
    made: Any = cls
    made.__init__ = checked(made.__init__)
    return cls


def require(call: str, name: str, value: object, hint: Any) -> None:
    """Refuse an argument of a call that its annotation does not allow.

    Raises:
        TypeError: with the argument, what was expected, and often what to write instead.
    """
    try:
        _fit(value, hint, name)
    except _Misfit as found:
        shown = repr(found.value)
        shown = shown if len(shown) < 80 else f"a {type(found.value).__name__}"
        expected = " or ".join(dict.fromkeys(_names(found.hint)))
        instead = _instead(found.value, found.hint)
        raise TypeError(f"{call}: {found.path} must be {expected}, and is {shown}.{instead}") from None


def _called(function: Callable[..., Any]) -> str:
    return f"{function.__qualname__.removesuffix('.__init__')}()"


def _evaluated(hint: Any, names: dict[str, Any]) -> Any:
    if not isinstance(hint, str):
        return hint
    try:
        return eval(hint, names)  # noqa: S307 - an annotation of this package
    except NameError:  # it is imported for type checkers only
        return ANY


def _fit(value: object, hint: Any, path: str) -> None:
    """Raise `_Misfit` unless the value fits. Members of mappings and lists must fit, too; iterators are not used up."""
    kind, members = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        _fit_one_of(value, hint, path)
    elif (isinstance(value, str) and kind is Iterable and not issubclass(str, members)) or not _is_a(
        value, kind or hint, members
    ):  # its letters are not meant
        raise _Misfit(path, value, hint)
    elif isinstance(value, Mapping) and len(members) == 2:
        for name, member in cast("Mapping[object, object]", value).items():
            _fit(name, members[0], f"a key of {path}")
            _fit(member, members[1], f"{path}[{name!r}]")
    elif isinstance(value, list | tuple | set | frozenset) and members:
        for place, item in enumerate(cast("Iterable[object]", value)):
            _fit(item, members[0], f"{path}[{place}]")


def _fit_one_of(value: object, hint: Any, path: str) -> None:
    inside: list[_Misfit] = []
    for choice in get_args(hint):
        try:
            return _fit(value, choice, path)
        except _Misfit as found:
            inside += [found] if found.path != path else []
    raise inside[0] if inside else _Misfit(path, value, hint)


def _is_a(value: object, kind: Any, members: tuple[Any, ...]) -> bool:
    """Whether the value itself, without its members, is of a kind. A bool is not a number, and an int is a float."""
    if kind is None or kind is NoneType:
        return value is None
    if kind is Literal:
        return value in members
    if kind is Callable:
        return callable(value)
    if kind is type:
        base = next((member for member in members if isinstance(member, type)), object)
        return isinstance(value, type) and issubclass(value, base)
    if not isinstance(kind, type):
        return True
    if kind in (int, float):
        return isinstance(value, int | kind) and not isinstance(value, bool)
    try:
        return isinstance(value, (tuple, list) if kind is tuple else kind)
    except TypeError:  # a protocol that is for type checkers only
        return True


# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _names(hint: Any) -> list[str]:
    """`a timedelta`, `a function`: the types that an annotation allows."""
    kind, members = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        return [name for choice in members for name in _names(choice)]
    if kind is Literal:
        return [repr(choice) for choice in members]
    if hint is None or hint is NoneType:
        return ["None"]
    if kind is Callable:
        return ["a function"]
    if kind is type or hint is type:
        return ["a class"]
    if made_by := getattr(hint, MADE_BY, ""):
        return [made_by]
    name = str(getattr(kind or hint, "__name__", hint))
    name = {"str": "text", "bool": "True or False", "Iterable": "list", "Mapping": "dict"}.get(name, name)
    if name in ("text", "True or False"):
        return [name]
    return [f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"]


def _instead(value: object, hint: Any) -> str:
    """The advice: `timedelta(seconds=15)`, the dataclass of which this is the first member, or the function itself."""
    if isinstance(value, CoroutineType):
        value.close()  # otherwise Python warns that it was never awaited
        return f" Write {value.__name__}, without calling it."
    for choice in get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,):
        if choice is timedelta and isinstance(value, int | float) and not isinstance(value, bool):
            return f" Write timedelta(seconds={value!r})."
        is_first = isinstance(value, int | str) and not isinstance(value, bool)
        if is_dataclass(choice) and is_first and not hasattr(choice, MADE_BY):
            return f" Write {cast('type', choice).__name__}({fields(choice)[0].name}={value!r})."
    return ""
