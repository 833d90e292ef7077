"""What is seen of a callback without running it: whether it looks at anything but its arguments, and what it starts.

Clocks, random numbers, sleeps and threads are faults: a step may run again after a crash, and must then decide the
same. Only what is written in the function itself is seen.
"""

from __future__ import annotations

import datetime
import dis
import os
import random
import secrets
import threading
import time
import types
import uuid
from collections.abc import Callable, Iterator
from weakref import WeakKeyDictionary

CLOCK, CHANCE, WAIT, THREAD = "reads the clock", "draws random numbers", "sleeps", "starts threads"

REMEDIES = {
    CLOCK: "Let the sender say what time it is, or use a timer: after(...).",
    CHANCE: "Use ids.random or ids.uuid(), which are the same whenever the step is run again.",
    WAIT: "Use a timer: after(...).",
    THREAD: "Make it an activity: State(invoke=activity(...)).",
}

_MEMBERS: dict[object, dict[str, str]] = {
    time: dict.fromkeys(("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "localtime", "gmtime"), CLOCK)
    | {"sleep": WAIT},
    datetime.datetime: dict.fromkeys(("now", "utcnow", "today"), CLOCK),
    datetime.date: {"today": CLOCK},
    uuid: {"uuid1": CHANCE, "uuid4": CHANCE},
    os: {"urandom": CHANCE},
    random: {name: CHANCE for name in dir(random) if not name.startswith("_") and name != "Random"},
    secrets: dict.fromkeys(secrets.__all__, CHANCE),
    threading: {"Thread": THREAD, "Timer": THREAD},
}

_FUNCTIONS: dict[int, str] = {
    id(getattr(owner, name)): fault
    for owner, members in _MEMBERS.items()
    if isinstance(owner, types.ModuleType)
    for name, fault in members.items()
}


def faults(function: Callable[..., object]) -> list[tuple[str, str]]:
    """What a function does that cannot be repeated, and by which call: `("sleeps", "time.sleep")`."""
    code = getattr(function, "__code__", None)
    if code is None:
        return []
    if code not in _known:
        _known[code] = list(dict.fromkeys(_found(code, _Names(function))))
    return _known[code]


_known: WeakKeyDictionary[types.CodeType, list[tuple[str, str]]] = WeakKeyDictionary()
"""What was found in a piece of code: many transitions name the same callback."""


class _Names:
    """What the free names of a function stand for now."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.known: dict[str, object] = dict(getattr(function, "__globals__", {}))
        code: types.CodeType = getattr(function, "__code__")  # noqa: B009 - functions only, which type checkers cannot see
        for name, cell in zip(code.co_freevars, getattr(function, "__closure__", None) or (), strict=False):
            try:
                self.known[name] = cell.cell_contents
            except ValueError:  # not bound yet
                continue


def _found(code: types.CodeType, names: _Names) -> Iterator[tuple[str, str]]:
    holder: object = None
    path = ""
    for instruction in dis.get_instructions(code):
        name = str(instruction.argval)
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_DEREF", "LOAD_NAME"):
            holder, path = names.known.get(name), name
            if id(holder) in _FUNCTIONS:
                yield _FUNCTIONS[id(holder)], path
        elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD") and path:
            path = f"{path}.{name}"
            members = _MEMBERS.get(holder, {}) if isinstance(holder, types.ModuleType | type) else {}
            if name in members:
                yield members[name], path
            holder = getattr(holder, name, None) if isinstance(holder, types.ModuleType | type) else None
        else:
            holder, path = None, ""
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _found(constant, names)


def started_by(function: Callable[..., object]) -> list[str]:
    """The names that stand in `effects.start("name", …)` in a function; others are found when it runs."""
    code = getattr(function, "__code__", None)
    return list(dict.fromkeys(_started_in(code))) if code is not None else []


def _started_in(code: types.CodeType) -> Iterator[str]:
    instructions = [found for found in dis.get_instructions(code) if found.opname not in ("CACHE", "PUSH_NULL")]
    for who, what, name in zip(instructions, instructions[1:], instructions[2:], strict=False):
        if (
            (who.argval, what.argval) == ("effects", "start")
            and name.opname == "LOAD_CONST"
            and isinstance(name.argval, str)
        ):
            yield name.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _started_in(constant)
