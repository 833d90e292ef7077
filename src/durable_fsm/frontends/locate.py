"""Find what a person names on a command line or a page: `shop.orders:Order`, `orders.py:Order` or `order.scxml`."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from durable_fsm.core.chart import Chart
from durable_fsm.errors import DefinitionError
from durable_fsm.frontends import chart_from, documents

FORMS = "Write 'module:Name', 'file.py:Name' or the path of an .scxml, .json or .yaml document."


class TargetNotFound(LookupError):
    """A target cannot be found, imported or read. The message says what is missing, and what there is instead."""


@dataclass(frozen=True, slots=True)
class LocatedChart:
    """A chart and the file that defines it; None for a module without a file."""

    chart: Chart
    file: Path | None


def locate_chart(target: str, paths: Sequence[Path] = (), *, trusted: bool = False) -> LocatedChart:
    """Import the definition that *target* names, or read the document.

    No class is called, except one of transitions that makes its own machine.

    Args:
        target: `module:Name`, `file.py:Name` or the path of a document.
        paths: Where modules are searched, before `sys.path`. Files are relative to the first; the current directory
            by default.
        trusted: Evaluate the expressions of a document as Python.

    Raises:
        TargetNotFound: There is no such definition, or it cannot be imported.
        DefinitionError: The definition cannot become a chart.
    """
    if documents.reads(target):
        file = _beside(target, paths)
        try:
            return LocatedChart(documents.chart_from(str(file), trusted=trusted), file)
        except OSError as error:
            raise TargetNotFound(f"'{target}' cannot be read: {error.strerror}.") from error
    module = _module_of(target, paths)
    definition = _member(module, target, offer=True)
    try:
        chart = chart_from(definition)
    except TypeError as error:
        raise TargetNotFound(f"'{target}' is not a statechart. {_offer(module)}") from error
    return LocatedChart(chart, Path(module.__file__) if module.__file__ else None)


def locate_last_chart(path: Path) -> str:
    """Return the target of the last chart that a file defines; a document is a target by its path.

    In Python a chart comes after the charts that it runs as machines.

    Raises:
        TargetNotFound: The file cannot be imported, or defines no chart.
    """
    if documents.reads(str(path)):
        return str(path)
    names = _charts_in(_module_of(f"{path}:*", ()))
    if not names:
        raise TargetNotFound(f"'{path}' does not define a statechart.")
    return f"{path}:{names[-1]}"


def locate_object(target: str) -> object:
    """Import the object that *target* names (`module:name` or `file.py:name`), of whatever type.

    Raises:
        TargetNotFound: There is no such object, or its module cannot be imported.
        DefinitionError: Its module was imported, and a definition in it cannot become a chart.
    """
    return _member(_module_of(target, ()), target, offer=False)


def _member(module: ModuleType, target: str, *, offer: bool) -> object:
    place, _, name = target.rpartition(":")
    try:
        return pkgutil.resolve_name(f"{module.__name__}:{name}")
    except (AttributeError, ValueError):
        raise TargetNotFound(f"'{place}' has no '{name}'.{' ' + _offer(module) if offer else ''}") from None


def _module_of(target: str, paths: Sequence[Path]) -> ModuleType:
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise TargetNotFound(f"'{target}' does not name a definition. {FORMS}")
    file = _beside(place, paths)
    if file.suffix == ".py" and not file.is_file():
        raise TargetNotFound(f"There is no file '{place}'.")
    try:
        if file.suffix == ".py":
            return _from_file(file.resolve())
        for path in reversed(paths or (Path.cwd(),)):
            _search(path)
        return importlib.import_module(place)
    except DefinitionError:
        raise
    except ModuleNotFoundError as error:
        raise TargetNotFound(f"'{place}' cannot be imported: there is no module '{error.name}'.") from error
    except Exception as error:  # importing runs the author's code, which may raise anything
        raise TargetNotFound(f"'{place}' cannot be imported: {type(error).__name__}: {error}") from error


def _from_file(path: Path) -> ModuleType:
    """Import a file, once: as a module of its package, or else as if its directory were the current one."""
    root = next(folder for folder in path.parents if not (folder / "__init__.py").is_file())
    _search(root)
    name = ".".join(path.relative_to(root).with_suffix("").parts)
    known = sys.modules.get(name)
    if root != path.parent or (known is not None and known.__file__ == str(path)):
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


def _beside(name: str, paths: Sequence[Path]) -> Path:
    return (paths[0] if paths else Path()) / name


def _search(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _offer(module: ModuleType) -> str:
    names = [f"'{name}'" for name in _charts_in(module)]
    return f"It has {', '.join(names)}." if names else "It has no statechart."


def _charts_in(module: ModuleType) -> list[str]:
    """Names of the charts that a module defines, in order."""
    found: list[str] = []
    for name, value in vars(module).items():
        if isinstance(value, type) and value.__module__ == module.__name__:
            try:
                chart_from(value)
            except (TypeError, DefinitionError):
                continue
            found.append(name)
    return found
