"""Find what a person names on a command line or a page: `shop.orders:Order`, `orders.py:app` or `order.scxml`."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from durable_fsm.core.chart import Chart
from durable_fsm.errors import DefinitionError, quoted
from durable_fsm.frontends import chart_from, documents, reads
from durable_fsm.frontends.contents import charts_in, charts_of, contents_of, is_application, kind_of, mounted_in
from durable_fsm.frontends.source_locations import raised_at

FORMS = "Write 'module:Name', 'file.py:Name' or the path of an .scxml, .json or .yaml document."
LONGEST = 4
"""Lines that are shown of another library's message."""


class TargetNotFound(LookupError):
    """A target cannot be found or read, or is of another kind. The message says what is missing, and what there is."""


class AuthorFailed(TargetNotFound):
    """The author's own code raised while a target was imported or read. The message says what, and where."""


@dataclass(frozen=True, slots=True)
class LocatedChart:
    """A chart and the file that defines it; None for a module without a file."""

    chart: Chart
    file: Path | None


@dataclass(frozen=True, slots=True)
class LocatedTarget:
    """The thing that a target names: a chart, or an ASGI application with the charts that it hosts.

    `application` is None for a chart. `file` is that of the module or document, if it has one. `mounts` are the paths below
    which the charts are served: those where FastAPI, or another framework, mounts applications of `durable_fsm.app`.
    """

    charts: tuple[Chart, ...]
    application: object | None
    file: Path | None
    mounts: tuple[str, ...] = ("",)


def locate(target: str, paths: Sequence[Path] = (), *, trusted: bool = False) -> LocatedTarget:
    """Import the definition or the application that *target* names, or read the document.

    No class is called, except one of transitions that makes its own machine.

    Args:
        target: `module:Name`, `file.py:Name` or the path of a document.
        paths: Where modules are searched, before `sys.path`. Files are relative to the first; the current directory
            by default.
        trusted: Evaluate the expressions of a document as Python.

    Raises:
        TargetNotFound: There is no such thing, or it is neither a chart nor an application.
        AuthorFailed: Its module cannot be imported.
        DefinitionError: The definition cannot become a chart.
    """
    if documents.reads(target):
        file = _beside(target, paths)
        try:
            return LocatedTarget((documents.chart_from(str(file), trusted=trusted),), None, file)
        except OSError as error:
            raise TargetNotFound(f"'{target}' cannot be read: {error.strerror}.") from error
    module = _module_of(target, paths)
    found = _member(module, target)
    place = Path(module.__file__) if module.__file__ else None
    if reads(found):
        return LocatedTarget((_chart_of(found, target),), None, place)
    if is_application(found):
        mounted = tuple(mounted_in(found))
        charts = tuple(chart for one in mounted for chart in charts_of(one.application))
        return LocatedTarget(charts, found, place, tuple(one.path for one in mounted) or ("",))
    what = f"'{target}' is {kind_of(found)}, neither a statechart nor an application."
    raise TargetNotFound(f"{what} {_offer(module, target)}")


def locate_charts(target: str, *, trusted: bool = False) -> tuple[Chart, ...]:
    """Return the charts that *target* names: one, or those that its application hosts.

    Raises:
        TargetNotFound: As `locate`; or the application hosts none.
        AuthorFailed, DefinitionError: As `locate`.
    """
    charts = locate(target, trusted=trusted).charts
    if not charts:
        raise TargetNotFound(
            f"'{target}' is an application without statecharts; durable_fsm.app(…) makes one with them."
        )
    return charts


def locate_chart(target: str, paths: Sequence[Path] = (), *, trusted: bool = False, name: str = "") -> LocatedChart:
    """Find one chart: the definition that *target* names, or the only chart of its application, or the one called *name*.

    Raises:
        TargetNotFound: As `locate`; or the application hosts none, or several.
        AuthorFailed, DefinitionError: As `locate`.
    """
    found = locate(target, paths, trusted=trusted)
    wanted = [chart for chart in found.charts if len(found.charts) == 1 or chart.name == name]
    if len(wanted) != 1:
        hosts = f"hosts {quoted([chart.name for chart in found.charts])}" if found.charts else "hosts no statechart"
        raise TargetNotFound(f"'{target}' {hosts}. {_one_of(target, paths)}")
    return LocatedChart(wanted[0], found.file)


def locate_last_chart(path: Path) -> str:
    """Return the target of the last chart that a file defines; a document is a target by its path.

    In Python a chart comes after the charts that it runs as machines.

    Raises:
        TargetNotFound: The file defines no chart.
        AuthorFailed: It cannot be imported.
    """
    if documents.reads(str(path)):
        return str(path)
    names = charts_in(_module_of(f"{path}:*", ()))
    if not names:
        raise TargetNotFound(f"'{path}' does not define a statechart.")
    return f"{path}:{names[-1]}"


def locate_module(path: Path) -> ModuleType:
    """Import a Python file, as a module of its package if it is in one.

    Raises:
        TargetNotFound: There is no such file.
        AuthorFailed: It cannot be imported.
        DefinitionError: A definition in it cannot become a chart.
    """
    return _module_of(f"{path}:*", ())


def _one_of(target: str, paths: Sequence[Path]) -> str:
    """Name the statecharts that can be had from the module of an application."""
    place = target.rpartition(":")[0]
    kinds = contents_of(_module_of(target, paths))
    names = quoted([f"{place}:{name}" for name, kind in kinds.items() if kind not in ("application", "class")])
    return f"Name one statechart: {names}." if names else "Name the statechart itself: 'module:Name'."


# ── import ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _member(module: ModuleType, target: str) -> object:
    place, _, name = target.rpartition(":")
    try:
        return reduce(getattr, name.split("."), cast("Any", module))  # a file may have a name that is not an identifier
    except AttributeError:
        raise TargetNotFound(f"'{place}' has no '{name}'. {_offer(module, target)}") from None


def _chart_of(definition: object, target: str) -> Chart:
    try:
        return chart_from(definition)
    except DefinitionError:
        raise
    except Exception as error:  # reading calls the author's functions, which may raise anything
        if raised_at(error) is None:
            raise
        raise AuthorFailed(f"'{target}' cannot be read: {_told(error)}") from error


def _module_of(target: str, paths: Sequence[Path]) -> ModuleType:
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise TargetNotFound(_incomplete(target, paths))
    file = _beside(place, paths)
    if file.suffix == ".py" and not file.is_file():
        raise TargetNotFound(f"There is no file '{place}'.{_nearest_file(file)}")
    try:
        if file.suffix == ".py":
            return _from_file(file.resolve())
        for path in reversed(paths or (Path.cwd(),)):
            _search(path)
        return importlib.import_module(place)
    except DefinitionError:
        raise
    except ModuleNotFoundError as error:
        if raised_at(error) is None and f"{place}.".startswith(f"{error.name}."):
            missing = f"'{place}' cannot be imported: there is no module '{error.name}'."
            raise TargetNotFound(missing + _nearest_file(file)) from error
        raise AuthorFailed(f"'{place}' cannot be imported: {_told(error)}") from error
    except (Exception, SystemExit) as error:  # importing runs the author's code, which may raise anything
        raise AuthorFailed(f"'{place}' cannot be imported: {_told(error)}") from error


def _told(error: BaseException) -> str:
    """The type of an error, its message, and the line of the author's code at which it was raised."""
    words = error.msg if isinstance(error, SyntaxError) else str(error)
    lines = words.splitlines() or ["no message"]
    shown = "\n".join([*lines[:LONGEST], *(["…"] if len(lines) > LONGEST else [])])
    place = raised_at(error)
    remedy = f". {advice}" if (advice := _remedy(error)) else ""
    if place is None:
        return f"{type(error).__name__}: {shown}{remedy}"
    file = Path(place.file)
    near = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return f"{type(error).__name__}: {shown} ({near}:{place.line}){remedy}"


def _remedy(error: BaseException) -> str:
    """The next step, for mistakes that Python names without one."""
    match error:
        case ModuleNotFoundError():
            return "Install it where durable-fsm runs, or correct the import."
        case ImportError() if "circular import" in str(error):
            return "Move what both modules need into a third one."
        case NameError(name=str(name)):
            *_, (frame, _) = traceback.walk_tb(error.__traceback__)
            close = difflib.get_close_matches(name, {**frame.f_builtins, **frame.f_globals, **frame.f_locals}, n=1)
            return f"Did you mean '{close[0]}'?" if close else "Import or define it first."
        case SystemExit():
            return "Do that under if __name__ == '__main__', not while the module is imported."
        case _:
            return ""


def _from_file(path: Path) -> ModuleType:
    """Import a file, once: as a module of its package, or else as if its directory were the current one."""
    root = next(folder for folder in path.parents if not (folder / "__init__.py").is_file())
    _search(root)
    name = ".".join(path.relative_to(root).with_suffix("").parts)
    if root != path.parent or _origin(name) == str(path):
        return importlib.import_module(name)
    # Another file of this name may be imported already, from another directory.
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _origin(name: str) -> str | None:
    """The file that is imported already under this name, or else would be."""
    if (known := sys.modules.get(name)) is not None:
        return known.__file__
    spec = importlib.util.find_spec(name)
    return spec.origin if spec is not None else None


def _beside(name: str, paths: Sequence[Path]) -> Path:
    return (paths[0] if paths else Path()) / name


def _search(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


# ── what there is instead ─────────────────────────────────────────────────────────────────────────────────────────────


def _offer(module: ModuleType, target: str) -> str:
    """List what the module has, and suggest the nearest name."""
    return _offer_of(contents_of(module), target.rpartition(":")[2])


def _offer_of(found: Mapping[str, str], name: str) -> str:
    others = {other: kind for other, kind in found.items() if other != name}
    close = difflib.get_close_matches(name, others, n=1, cutoff=0.5)
    has = ", ".join(f"'{other}' ({kind})" for other, kind in others.items()) or "no statechart and no application"
    return f"It has {has}." + (f" Did you mean '{close[0]}'?" if close else "")


def _incomplete(target: str, paths: Sequence[Path]) -> str:
    file = _beside(target, paths)
    if file.suffix == ".py" and file.is_file():
        found = contents_of(_module_of(f"{target}:*", paths))
        names = quoted([f"{target}:{name}" for name, kind in found.items() if kind != "class"])
        return f"'{target}' is a file. " + (f"Name what you mean in it: {names}." if names else _offer_of(found, ""))
    return f"'{target}' does not name a definition. {FORMS}"


def _nearest_file(file: Path) -> str:
    """Suggest a file of a name like this one."""
    there = [path.stem for path in file.absolute().parent.glob("*.py")]
    close = difflib.get_close_matches(file.stem, there, n=1)
    return f" Did you mean '{close[0]}{file.suffix}'?" if close else ""
