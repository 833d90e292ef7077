"""The format `fsm-svg` for python-statemachine: `f"{Order:fsm-svg}"` is our picture."""

from __future__ import annotations

from typing import Any

from statemachine.contrib.diagram import formatter

from durable_fsm.docs.drawing import show

NAME = "fsm-svg"


def register() -> None:
    """Register the format; a second call changes nothing."""
    registry: Any = formatter  # Any: the library leaves a parameter of its generic class open
    registry.register_format(NAME)(to_format)


def to_format(machine_or_class: object) -> str:
    """The SVG of a class, or of an instance with its active states.

    Raises:
        NoEngine: the extra `diagrams` is not installed.
    """
    return show(machine_or_class).svg
