"""What an export returns, and the words that all of them share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from durable_fsm.diagram.graph import Edge, Graph, Label, Row


@dataclass(frozen=True, slots=True)
class Export:
    """A chart in another language.

    Attributes:
        text: the document, with a newline at its end.
        lost: a sentence for everything that the language cannot say. No edge is ever bent to make up for it.
    """

    text: str
    lost: tuple[str, ...] = ()


def words(row: Row) -> str:
    """`checkout [has_items] / reserve`."""
    return " ".join(part.text for part in row)


def name_of(id: str) -> str:
    """An id as a plain identifier; different ids give different ones."""
    return re.sub(r"[^A-Za-z0-9_]", lambda found: f"_{ord(found[0]):x}_", id.replace("_", "__") if "." in id else id)


def labelled(graph: Graph) -> Iterator[tuple[Edge, Label]]:
    """Every transition of every edge, in document order."""
    found = [(edge, label) for edge in graph.edges for label in edge.labels]
    yield from sorted(found, key=lambda pair: pair[1].number)


def written(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
