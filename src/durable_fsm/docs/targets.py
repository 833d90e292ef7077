"""What a page names to have it drawn: `shop.orders:Order`, `orders.py:Order` or `order.scxml`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from durable_fsm.core.chart import Chart
from durable_fsm.errors import DefinitionError
from durable_fsm.frontends import chart_from, documents

FORMS = "Write 'module:Name', 'file.py:Name' or the path of an .scxml, .json or .yaml document."


class NotThere(LookupError):
    """What a page names cannot be found, imported or read."""


@dataclass(frozen=True, slots=True)
class Found:
    """A chart and the file it is written in; None for a module that has none."""

    chart: Chart
    file: Path | None


def find(target: str, paths: Sequence[Path]) -> Found:
    """Import what *target* names, or read the document that it is. A class is never instantiated.

    Args:
        paths: where modules are looked for, before those of `sys.path`; files lie relative to the first.

    Raises:
        NotThere: the message says what is missing, and what there is instead.
    """
    if documents.reads(target):
        file = paths[0] / target
        return Found(_read(file, target), file)
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise NotThere(f"this names no definition. {FORMS}")
    module = _module_of(place, paths)
    definition = getattr(module, name, None)
    if definition is None:
        raise NotThere(f"'{place}' has no '{name}'. {_offer(module)}")
    try:
        chart = chart_from(definition)
    except TypeError as error:
        raise NotThere(f"'{name}' is no statechart. {_offer(module)}") from error
    except DefinitionError as error:
        raise NotThere(str(error)) from error
    return Found(chart, Path(module.__file__) if module.__file__ else None)


def _read(file: Path, target: str) -> Chart:
    try:
        return documents.chart_from(str(file))
    except OSError as error:
        raise NotThere(f"'{target}' cannot be read: {error.strerror}.") from error
    except DefinitionError as error:
        raise NotThere(str(error)) from error


def _module_of(place: str, paths: Sequence[Path]) -> ModuleType:
    for path in reversed([str(path) for path in paths]):
        if path not in sys.path:
            sys.path.insert(0, path)
    file = paths[0] / place
    if file.suffix == ".py" and not file.is_file():
        raise NotThere(f"there is no file '{place}'.")
    try:
        return _from_file(file.resolve()) if file.suffix == ".py" else importlib.import_module(place)
    except ModuleNotFoundError as error:
        raise NotThere(f"'{place}' cannot be imported: there is no module '{error.name}'.") from error
    except Exception as error:  # importing runs the author's code, which may raise anything
        raise NotThere(f"'{place}' cannot be imported: {type(error).__name__}: {error}") from error


def _from_file(path: Path) -> ModuleType:
    """Import a file, once, as if its directory were the current one."""
    known = sys.modules.get(path.stem)
    if known is not None and known.__file__ == str(path):
        return known
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise NotThere(f"'{path}' is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _offer(module: ModuleType) -> str:
    """The charts that a module does have."""
    found: list[str] = []
    for name, value in vars(module).items():
        if isinstance(value, type) and value.__module__ == module.__name__:
            try:
                chart_from(value)
            except (TypeError, DefinitionError):
                continue
            found.append(f"'{name}'")
    return f"It has {', '.join(found)}." if found else "It has no statechart."
