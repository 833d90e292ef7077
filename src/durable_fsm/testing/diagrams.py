"""A check that the diagrams of a repository show its charts as they are now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from durable_fsm.diagram.files import SUFFIXES, content, is_fresh, report
from durable_fsm.diagram.theme import Theme
from durable_fsm.frontends import chart_from

__all__ = ["assert_diagram_fresh"]


def assert_diagram_fresh(
    definition: object,
    path: str | Path,
    *,
    theme: Theme = "light",
    depth: int | None = None,
    active: Sequence[str] = (),
    direction: str = "TB",
    id_prefix: str = "",
    source_url: str | None = None,
) -> None:
    """Fail unless the file is what `durable-fsm diagram` would write with the same options.

    The failure shows how the transition table differs, and the command that updates the file. A diagram that another
    version of Graphviz laid out is fresh as long as it shows the same.

    Args:
        definition: A definition that `chart_from` reads.
        path: The file; its suffix is the format.

    Raises:
        AssertionError: The file is stale or missing.
        ValueError: The suffix is not a known format, or an option has an invalid value.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"'{path}' has no suffix that says a format; use one of {', '.join(SUFFIXES)}")
    options: dict[str, Any] = {  # Any: of several types, as `to_svg` declares them
        "theme": theme,
        "depth": depth,
        "active": tuple(active),
        "direction": direction,
        "id_prefix": id_prefix,
        "source_url": source_url,
    }
    chart = chart_from(definition)
    wanted, _ = content(chart, SUFFIXES[path.suffix], **options)
    there = path.read_bytes() if path.is_file() else b""
    if not is_fresh(there, wanted):
        lines = report(chart, path, wanted, target=_target(definition, chart.name), **options)
        raise AssertionError("\n".join(lines))


def _target(definition: object, name: str) -> str:
    """Return the target that a person types for the definition."""
    if isinstance(definition, str | Path):
        return str(definition)
    if isinstance(definition, type):
        return f"{definition.__module__}:{definition.__qualname__}"
    return f"MODULE:{name}"
