"""Where the author's code raised an exception, in a form that people can open: `shop/work.py:42 in charge`."""

from __future__ import annotations

import inspect
import os
import sysconfig
import traceback
from functools import partial
from pathlib import Path
from types import CodeType

_OURS = f"{Path(__file__).parents[2]}{os.sep}"
_PATHS = sysconfig.get_paths()
_STANDARD = f"{_PATHS['stdlib']}{os.sep}"
_INSTALLED = tuple(f"{_PATHS[name]}{os.sep}" for name in ("purelib", "platlib"))


def place_of(error: BaseException) -> str:
    """The last line of the author's code that an exception went through; empty if it went through none.

    The author's code is that of the function that we called, and what lies beside it: an application may be installed as
    a package, like the libraries that it calls.
    """
    through = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    foreign = [(code, line) for code, line in through if not is_ours(code)]
    if not foreign:
        return ""
    home = _home_of(foreign[0][0])
    code, line = [one for one in foreign if _home_of(one[0]) == home][-1]
    return _place(code, line)


def place_behind(error: BaseException) -> str:
    """The place of the author's exception that led to an error of ours; empty if none did."""
    at: BaseException | None = error
    while at is not None:
        if place := place_of(at):
            return place
        at = at.__cause__
    return ""


def place_in(function: object) -> str:
    """Where a function is defined; empty for one that is not written in Python."""
    while isinstance(function, partial):
        function = function.func
    code = getattr(inspect.unwrap(function) if callable(function) else function, "__code__", None)
    return _place(code, code.co_firstlineno) if isinstance(code, CodeType) else ""


def is_ours(code: CodeType) -> bool:
    """Whether it is code of durable_fsm or of Python itself: an application's own frames come behind it."""
    file = code.co_filename
    is_standard = file.startswith(_STANDARD) and not file.startswith(_INSTALLED)
    return file.startswith((_OURS, "<frozen")) or is_standard


def _home_of(code: CodeType) -> str:
    """The installed package that the code belongs to; empty for code that is not installed."""
    root = next((root for root in _INSTALLED if code.co_filename.startswith(root)), None)
    return "" if root is None else code.co_filename.removeprefix(root).partition(os.sep)[0]


def _place(code: CodeType, line: int) -> str:
    roots = (f"{Path.cwd()}{os.sep}", *_INSTALLED)
    root = next((root for root in roots if code.co_filename.startswith(root)), "")
    return f"{code.co_filename.removeprefix(root)}:{line} in {code.co_qualname}"
