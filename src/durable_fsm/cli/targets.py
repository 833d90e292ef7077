"""What a person types to name a definition: `shop.orders:Order`, `orders.py:Order` or `order.scxml`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import click

from durable_fsm.core.chart import Chart
from durable_fsm.errors import DefinitionError
from durable_fsm.frontends import chart_from, documents

FORMS = "Write 'module:Name', 'file.py:Name' or the path of an .scxml, .json or .yaml document."


def chart_of(target: str, *, trusted: bool = False) -> Chart:
    """Import what *target* names, or read the document that it is.

    Args:
        trusted: evaluate the expressions of a document as Python.

    Raises:
        click.UsageError: it cannot be found, imported or read; the message says which.
        DefinitionError: it can, and cannot become a chart.
    """
    if documents.reads(target):
        return _document(target, trusted=trusted)
    definition, module = _found(target)
    try:
        return chart_from(definition)
    except TypeError as error:
        raise click.UsageError(f"'{target}' is no statechart. {_offer(module)}") from error


def object_of(target: str) -> object:
    """What a target names, whatever it is.

    Raises:
        click.UsageError: it cannot be found or imported; the message says which.
        DefinitionError: it is imported, and a definition in it cannot become a chart.
    """
    return _found(target)[0]


def _found(target: str) -> tuple[object, ModuleType]:
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise click.UsageError(f"'{target}' names no definition. {FORMS}")
    module = _module_of(place)
    definition = getattr(module, name, None)
    if definition is None:
        raise click.UsageError(f"'{place}' has no '{name}'. {_offer(module)}")
    return definition, module


def _document(path: str, *, trusted: bool) -> Chart:
    try:
        return documents.chart_from(path, trusted=trusted)
    except OSError as error:
        raise click.UsageError(f"'{path}' cannot be read: {error.strerror}.") from error


def _module_of(place: str) -> ModuleType:
    path = Path(place)
    try:
        if path.suffix == ".py":
            if not path.is_file():
                raise click.UsageError(f"There is no file '{place}'.")
            return _from_file(path.resolve())
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(place)
    except (click.UsageError, DefinitionError):
        raise
    except ModuleNotFoundError as error:
        raise click.UsageError(f"'{place}' cannot be imported: there is no module '{error.name}'.") from error
    except Exception as error:  # importing runs the author's code, which may raise anything
        raise click.UsageError(f"'{place}' cannot be imported: {type(error).__name__}: {error}") from error


def _from_file(path: Path) -> ModuleType:
    """Import a file as the module of its package that it is, or else as if its directory were the current one."""
    root = next(folder for folder in path.parents if not (folder / "__init__.py").is_file())
    if root != path.parent:
        if str(root) not in sys.path:
            sys.path.insert(0, str(root))
        return importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts))
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise click.UsageError(f"'{path}' is no Python file.")
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
