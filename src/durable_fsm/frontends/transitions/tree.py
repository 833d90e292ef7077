"""The states and transitions of one machine of transitions, by the ids that they have in the chart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from transitions.extensions import HierarchicalMachine


@dataclass(frozen=True, slots=True)
class LibraryEdge:
    """One transition of the library, its states by their ids."""

    event: str
    record: Any
    source: str
    dest: str | None


class Tree:
    """Gives every state its id: its path, in the library's spelling.

    `states` has them all in document order. `edges` has every transition; those written inside a state come before
    those written around it, as the library asks them.
    """

    def __init__(self, machine: Any) -> None:
        self.nested = isinstance(machine, HierarchicalMachine)
        self.separator: str = machine.state_cls.separator if self.nested else "\0"
        self.states: dict[str, Any] = dict(self._walk(machine.states, ""))
        self.edges = list(self._edges(machine, ""))

    def path(self, path: str, name: object) -> str:
        """The id of the state *name* inside *path*."""
        own = str(getattr(name, "name", name))
        return f"{path}{self.separator}{own}" if path else own

    def children(self, states: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        """The states directly inside *path*, with their ids."""
        for name, state in states.items():
            yield self.path(path, name), state

    def _walk(self, states: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        for id, state in self.children(states, path):
            yield id, state
            yield from self._walk(getattr(state, "states", {}), id)

    def _edges(self, scope: Any, path: str) -> Iterator[LibraryEdge]:
        for name, state in getattr(scope, "states", {}).items():
            if self.nested:
                yield from self._edges(state, self.path(path, name))
        for event in scope.events.values():
            for source, records in event.transitions.items():
                for record in records:
                    dest = None if record.dest is None else self.path(path, record.dest)
                    yield LibraryEdge(event.name, record, self.path(path, source), dest)
