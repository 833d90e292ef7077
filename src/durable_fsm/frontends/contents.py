"""The statecharts, applications and classes of a module, for targets and for messages about them."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, cast

from durable_fsm.core.chart import Chart
from durable_fsm.errors import DefinitionError
from durable_fsm.frontends import chart_from, reads

HOSTED = "durable_fsm_charts"
"""Attribute of an application: the charts that it hosts."""

LIBRARIES = ("statemachine", "transitions", "durable_fsm")
MOST = 12
"""Names that are offered at most."""


def charts_of(hosted: object) -> tuple[Chart, ...]:
    """The charts that an application of `durable_fsm.app` hosts; none of any other application."""
    charts: tuple[Chart, ...] = getattr(hosted, HOSTED, ())
    return charts


class Mounted(NamedTuple):
    """An application of `durable_fsm.app`, and its path in the one that serves it: "" if nothing is around it."""

    path: str
    application: Any  # Any: ASGI


def mounted_in(application: object) -> Iterator[Mounted]:
    """The applications of `durable_fsm.app` in an application: itself, or those that it mounts.

    FastAPI and Starlette list what they mount in `routes`; each mount has a `path` and an `app`.
    """
    if charts_of(application):
        yield Mounted("", application)
        return
    routes: object = getattr(application, "routes", ())
    listed = cast("Iterable[object]", routes) if isinstance(routes, Iterable) else ()
    for route in listed:
        path: object = getattr(route, "path", None)
        if isinstance(path, str):
            for inner in mounted_in(getattr(route, "app", None)):
                yield Mounted(path.rstrip("/") + inner.path, inner.application)


def is_application(found: object) -> bool:
    """Whether this is an ASGI application: something to be called with a scope and two functions."""
    if charts_of(found):
        return True
    if isinstance(found, FunctionType) and not inspect.iscoroutinefunction(found):
        return False
    if isinstance(found, type) or not callable(found):
        return False
    try:
        inspect.signature(found).bind(None, None, None)
    except TypeError:
        return False
    except ValueError:  # it has no signature
        return True
    return True


def kind_of(found: object) -> str:
    """Name the kind of a thing, with an article: `a class`."""
    if isinstance(found, type):
        return "a class"
    if isinstance(found, ModuleType):
        return "a module"
    if callable(found):
        return "a function"
    name = type(found).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def contents_of(module: ModuleType) -> dict[str, str]:
    """Names and kinds of what the module has: its charts first, then its applications and its own classes."""
    found: dict[str, list[str]] = {"chart": [], "application": [], "class": []}
    kinds: dict[str, str] = {}
    for name, value in vars(module).items():
        if name.startswith("_"):
            continue
        if reads(value) and not _is_of_a_library(value):
            kinds[name] = "statechart" if isinstance(value, type) else type(value).__name__
            found["chart"].append(name)
        elif charts_of(value) or _is_surely_an_application(value):
            kinds[name] = "application"
            found["application"].append(name)
        elif isinstance(value, type) and value.__module__ == module.__name__:
            kinds[name] = "class"
            found["class"].append(name)
    names = [name for group in found.values() for name in group][:MOST]
    return {name: kinds[name] for name in names}


def charts_in(module: ModuleType) -> list[str]:
    """Names of the charts that a module defines and that can be read, in order."""
    return [name for name, value in vars(module).items() if _is_own_chart(module, value)]


def _is_own_chart(module: ModuleType, value: object) -> bool:
    if not reads(value) or (isinstance(value, type) and value.__module__ != module.__name__):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they belong to a command that names this chart
            chart_from(value)
    except DefinitionError:
        return False
    return True


def _is_surely_an_application(value: object) -> bool:
    """True for an object that is called as applications are. Functions of this form may have another purpose."""
    return inspect.iscoroutinefunction(getattr(type(value), "__call__", None)) and is_application(value)  # noqa: B004


def _is_of_a_library(value: object) -> bool:
    return isinstance(value, type) and value.__module__.partition(".")[0] in LIBRARIES
