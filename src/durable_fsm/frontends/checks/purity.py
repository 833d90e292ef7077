"""Read the source of a callback without running it, and find calls whose result changes from run to run.

Clocks, random numbers, sleeps and threads are faults: a step may run again after a crash, and must then decide the
same. The check sees what the source of a function names: in the function, in functions and lambdas inside it, and in
functions and methods of the same module that it calls. It does not see what other modules do, and it does not judge a
function without source, which was typed at a prompt or made by `exec`.
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import dataclasses
import datetime
import inspect
import os
import random
import secrets
import sys
import threading
import time
import uuid
from collections import ChainMap
from collections.abc import Iterable, Iterator, Sequence
from types import FunctionType, ModuleType
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from pydantic import BaseModel

from durable_fsm.frontends.checks.containers import MUTABLE, containers_changed_by
from durable_fsm.frontends.source_locations import FunctionNode, source_of

CLOCK, CHANCE, WAIT, THREAD = "reads the clock", "draws random numbers", "sleeps", "starts threads"
SHARED = "changes an attribute of its class"
OUTSIDE = "outside"
"""Not certainly a fault: what is read may be a constant of the deployment, such as a file beside the code."""

REMEDIES = {
    CLOCK: "Declare clock=True and read event.at, or use a timer: after(...).",
    CHANCE: "Use ids.random or ids.uuid(), which are the same whenever the step is run again.",
    WAIT: "Use a timer: after(...).",
    THREAD: "Make it an activity: State(invoke=activity(...)).",
    SHARED: "Make it a field of the data, or set it in __init__: all machines of a process share it, and none stores it.",
}

_CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
_HARMLESS = {"Random", "compare_digest"}  # Random is given a seed; compare_digest draws nothing

_FUNCTIONS: dict[int, str] = {
    id(getattr(module, name)): fault
    for module, fault, names in (
        (time, CLOCK, ("localtime", "gmtime", *_CLOCKS, *(f"{name}_ns" for name in _CLOCKS))),
        (time, WAIT, ("sleep",)),
        (uuid, CHANCE, ("uuid1", "uuid4")),
        (os, CHANCE, ("urandom",)),
        (random, CHANCE, {*random.__all__} - _HARMLESS),
        (secrets, CHANCE, {*secrets.__all__} - _HARMLESS),
        (threading, THREAD, ("Thread", "Timer")),
        (builtins, OUTSIDE, ("open", "input")),
        (os, OUTSIDE, ("system", "popen", "remove", "unlink", "rename", "mkdir", "makedirs", "listdir", "kill")),
        (asyncio, OUTSIDE, ("create_task", "ensure_future", "run", "gather", "to_thread", "run_coroutine_threadsafe")),
    )
    for name in names
}
"""Faults by the identity of a function or class, so that the name under which it was imported does not matter."""

_METHODS: dict[type, dict[str, str]] = {
    datetime.datetime: dict.fromkeys(("now", "utcnow", "today"), CLOCK),
    datetime.date: {"today": CLOCK},
}

_CLIENTS = (
    "aiohttp", "boto3", "botocore", "ftplib", "http.client", "httpx", "psycopg", "psycopg2", "redis", "requests", "shutil",
    "smtplib", "socket", "_sqlite3", "sqlite3", "subprocess", "urllib.request", "urllib3",
)  # fmt: skip
"""Modules and packages whose functions and classes work on the outside world."""

_VALUES = ("URL", "Timeout", "Headers", "QueryParams", "Request", "Response", "Row")
"""Classes of these modules that hold values."""

_OF_PATHS = ("read_text", "read_bytes", "write_text", "write_bytes")
"""Methods of files' paths, found by their names: the path itself is known only at run time."""

Fault: TypeAlias = tuple[str, str]
"""A kind of call that cannot be repeated, and its name in the source: `("sleeps", "time.sleep")`."""

Meanings: TypeAlias = ChainMap[str, object]
"""The values of the names in a piece of source; None for a value that is known only at run time."""


def faults(function: object) -> list[Fault]:
    """The calls of a function that cannot be repeated: `("sleeps", "time.sleep")`."""
    return [fault for fault in _found_in(function) if fault[0] != OUTSIDE]


def outside_work(function: object) -> list[str]:
    """The calls of a function that reach the outside world: `requests.post`."""
    return [call for fault, call in _found_in(function) if fault == OUTSIDE]


def _found_in(function: object) -> list[Fault]:
    function = _plain(function)
    if function is None:
        return []
    if function not in _known:
        _known[function] = list(dict.fromkeys(_FaultSearch(function).faults()))
    return _known[function]


_known: WeakKeyDictionary[FunctionType, list[Fault]] = WeakKeyDictionary()
"""The faults of functions seen before: many transitions name the same callback."""


def started_by(function: object) -> list[str]:
    """The names in `effects.start("name", …)` calls of a function; computed names are found when it runs."""
    function = _plain(function)
    node = source_of(function.__code__) if function is not None else None
    return list(dict.fromkeys(_started_in(node))) if node is not None else []


def _plain(function: object) -> FunctionType | None:
    """The function behind a bound method; None for an object that is not a Python function."""
    function = getattr(function, "__func__", function)
    return function if isinstance(function, FunctionType) else None


def _started_in(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="effects"), attr="start"), args=[ast.Constant(value=str(work)), *_]
        ):
            yield work
        case _:
            pass
    for child in ast.iter_child_nodes(node):
        yield from _started_in(child)


class _FaultSearch:
    """Reads one callback, and the functions of its module that it calls; each of them once."""

    def __init__(self, function: FunctionType) -> None:
        self.function = function
        self.seen: set[FunctionType] = set()

    def faults(self) -> Iterator[Fault]:
        yield from self._of(self.function)

    def _of(self, function: FunctionType) -> Iterator[Fault]:
        node = source_of(function.__code__)
        if node is None or function in self.seen:
            return
        self.seen.add(function)
        yield from self._body(node, ChainMap(_names_of(function)), owner=_owner_of(function))

    def _body(self, node: FunctionNode, names: Meanings, *, owner: object = None) -> Iterator[Fault]:
        """The code of a function; `owner` is the class of its `self`."""
        body: Sequence[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else node.body
        arguments = [item.arg for item in ast.walk(node.args) if isinstance(item, ast.arg)]
        own: dict[str, object] = {**dict.fromkeys(arguments), **dict(_bound_in(body))}
        if owner is not None and arguments[:1] == ["self"]:
            own["self"] = owner
        inner = names.new_child(own)
        for statement in body:
            yield from self._read(statement, inner)

    def _read(self, node: ast.AST, names: Meanings) -> Iterator[Fault]:
        match node:
            case ast.Lambda() | ast.FunctionDef() | ast.AsyncFunctionDef():
                decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
                for outside in (*decorators, *node.args.defaults, *filter(None, node.args.kw_defaults)):
                    yield from self._read(outside, names)
                yield from self._body(node, names)
                return
            case ast.Name() | ast.Attribute():
                if (fault := _fault_of(node, names)) is not None:
                    yield fault, ast.unparse(node)
            case ast.AnnAssign(annotation=annotation):  # not evaluated in a function
                for child in ast.iter_child_nodes(node):
                    if child is not annotation:
                        yield from self._read(child, names)
                return
            case ast.Call(func=called):
                yield from self._called(_meaning(called, names))
                yield from _faults_of_defaults(_meaning(called, names), node)
                if _is_of_client(_meaning(called, names)) or (
                    isinstance(called, ast.Attribute) and called.attr in _OF_PATHS
                ):
                    yield OUTSIDE, ast.unparse(called)
            case _:
                pass
        for container in containers_changed_by(node):
            if _is_shared(container, names):
                yield SHARED, ast.unparse(container)
        for child in ast.iter_child_nodes(node):
            yield from self._read(child, names)

    def _called(self, helper: object) -> Iterator[Fault]:
        """The faults of a helper in the same module, with the name of the helper."""
        if isinstance(helper, FunctionType) and helper.__module__ == self.function.__module__:
            for fault, call in self._of(helper):
                yield fault, call if " in " in call else f"{call} in {helper.__name__}"


def _is_shared(container: ast.expr, names: Meanings) -> bool:
    """Whether this is a mutable attribute of a class, and not one that instances have of their own."""
    if not isinstance(container, ast.Attribute) or not isinstance(_meaning(container, names), MUTABLE):
        return False
    holder = _meaning(container.value, names)
    if not isinstance(holder, type) or not (isinstance(container.value, ast.Name) and container.value.id == "self"):
        return isinstance(holder, type)
    makers = (vars(cls).get("__init__") for cls in holder.__mro__)
    return not any(container.attr in maker.__code__.co_names for maker in makers if isinstance(maker, FunctionType))


# ── defaults of models and dataclasses ────────────────────────────────────────────────────────────────────────────────


def _faults_of_defaults(cls: object, call: ast.Call) -> Iterator[Fault]:
    """The faults of the default factories that this call of a class leaves to run."""
    given = {keyword.arg for keyword in call.keywords}
    if not isinstance(cls, type) or None in given or any(isinstance(item, ast.Starred) for item in call.args):
        return
    for place, (names, factory) in enumerate(_factories_of(cls)):
        if place >= len(call.args) and not given.intersection(names):
            for fault, _ in _faults_of_factory(factory):
                yield fault, f"the default of {cls.__name__}.{names[0]}"


def _factories_of(cls: type[Any]) -> Iterator[tuple[list[str], object]]:
    """The names and the default factory of each field; that is None or a mark if it has none."""
    if issubclass(cls, BaseModel):
        for name, field in cls.model_fields.items():
            aliases = [alias for alias in (field.alias, field.validation_alias) if isinstance(alias, str)]
            yield [name, *aliases], field.default_factory
    elif dataclasses.is_dataclass(cls):
        for one in dataclasses.fields(cls):
            yield [one.name], one.default_factory


def _faults_of_factory(factory: object) -> list[Fault]:
    """The faults of a function that is called to make a default: of itself, if it is one of the library's."""
    fault = _FUNCTIONS.get(id(factory))
    if fault is not None:
        return [(fault, getattr(factory, "__name__", "the default"))]
    return faults(factory)


# ── values of names ───────────────────────────────────────────────────────────────────────────────────────────────────


def _names_of(function: FunctionType) -> dict[str, object]:
    """The values that the free names of a function have now."""
    known = {**vars(builtins), **function.__globals__}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            known[name] = cell.cell_contents
        except ValueError:  # not bound yet
            known[name] = None
    return known


def _owner_of(function: FunctionType) -> object:
    """The class of a method, found in its module by its qualified name; None if it cannot be found."""
    path, _, _ = function.__qualname__.rpartition(".")
    owner: object = sys.modules.get(function.__module__) if path else None
    for name in path.split("."):
        owner = inspect.getattr_static(owner, name, None)
    return owner if isinstance(owner, type) else None


def _bound_in(body: Iterable[ast.AST]) -> Iterator[tuple[str, object]]:
    """The names that this code binds, with the value of an import and None for everything else."""
    for node in body:
        match node:
            case ast.Import(names=imported):
                for alias in imported:
                    name = alias.name if alias.asname else alias.name.partition(".")[0]
                    yield alias.asname or name, sys.modules.get(name)
                continue
            case ast.ImportFrom(module=str(module), names=imported, level=0):
                for alias in imported:
                    yield alias.asname or alias.name, inspect.getattr_static(sys.modules.get(module), alias.name, None)
                continue
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, None
                continue
            case ast.Lambda():
                continue
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.ExceptHandler(name=str(name)):
                yield name, None
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                yield name, None
            case _:
                pass
        yield from _bound_in(ast.iter_child_nodes(node))


def _meaning(node: ast.AST, names: Meanings) -> object:
    """The value of a name or of a member of a module or class, as `dates.datetime`; None if it is not known."""
    match node:
        case ast.Name(id=name):
            return names.get(name)
        case ast.Attribute(value=value, attr=member):
            return _member(_meaning(value, names), member)
        case _:
            return None


def _is_of_client(called: object) -> bool:
    """Whether a function or class comes from a module that works on the outside world."""
    module: object = getattr(called, "__module__", None)
    if isinstance(called, type) and (issubclass(called, BaseException) or called.__name__ in _VALUES):
        return False
    return isinstance(module, str) and any(module == one or module.startswith(f"{one}.") for one in _CLIENTS)


def _member(holder: object, name: str) -> object:
    if not isinstance(holder, ModuleType | type):
        return None
    found: Any = inspect.getattr_static(holder, name, None)  # static: a module may import what it is asked for
    return found.__func__ if type(found) in (staticmethod, classmethod) else found


def _fault_of(node: ast.Name | ast.Attribute, names: Meanings) -> str | None:
    """Why a use of this name cannot be repeated; None if it can."""
    if isinstance(node, ast.Attribute) and isinstance(holder := _meaning(node.value, names), type):
        for base in holder.__mro__:
            if node.attr in _METHODS.get(base, ()):
                return _METHODS[base][node.attr]
    return _FUNCTIONS.get(id(_meaning(node, names)))
