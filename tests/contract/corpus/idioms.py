"""What an idiom of python-statemachine is, and where all of them are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Sent = str | tuple[str, dict[str, Any]]


@dataclass
class Idiom:
    """A definition, what is sent to it, and how the library starts it."""

    definition: Any
    events: list[Sent]
    model: Any = None


CLASSES: dict[str, Idiom] = {}


def idiom(name: str, *events: Sent, model: Any = None) -> Any:
    def keep(cls: Any) -> Any:
        CLASSES[name] = Idiom(cls, list(events), model)
        return cls

    return keep
