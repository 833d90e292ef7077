"""The tree of an XState configuration: its nodes, their ids, and the places that targets name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from durable_fsm.core.chart import ROOT, Kind

Members: TypeAlias = Mapping[str, Any]  # Any: what the configuration holds, which the reader checks

KINDS = {"final": Kind.FINAL, "parallel": Kind.PARALLEL}


@dataclass(eq=False)
class StateNode:
    """One state of the configuration. `id` is that of the chart's state, `path` the keys that lead to it."""

    path: tuple[str, ...]
    members: Members
    parent: StateNode | None = None
    children: dict[str, StateNode] = field(default_factory=dict[str, "StateNode"])
    id: str = ROOT

    @property
    def kind(self) -> Kind:
        said = self.members.get("type")
        if said == "history" or (said is None and "history" in self.members):
            return Kind.DEEP_HISTORY if self.members.get("history") == "deep" else Kind.SHALLOW_HISTORY
        return KINDS.get(str(said)) or (Kind.COMPOUND if self.children else Kind.ATOMIC)

    def inside(self, other: StateNode) -> bool:
        """Whether this node lies properly inside another."""
        return len(self.path) > len(other.path) and self.path[: len(other.path)] == other.path

    def walk(self) -> Iterator[StateNode]:
        """This node and all nodes inside it, in document order."""
        yield self
        for child in self.children.values():
            yield from child.walk()


class StateTree:
    """All nodes of a configuration.

    A state of the chart is named by its `id` in XState, else by its key, else, if several states have that key, by its
    path: `payment.charging`.
    """

    def __init__(self, config: Members, machine: str) -> None:
        self.machine = machine
        self.root = _node((), config, None)
        self.nodes = list(self.root.walk())
        keys = Counter(node.path[-1] for node in self.nodes if node.path)
        for node in self.nodes[1:]:
            own = node.members.get("id")
            node.id = (
                own if isinstance(own, str) else node.path[-1] if keys[node.path[-1]] == 1 else ".".join(node.path)
            )
        self._by_id = {node.id: node for node in self.nodes if isinstance(node.members.get("id"), str)}
        self._by_id[machine] = self.root

    def repeated(self) -> list[str]:
        """Ids that several states have."""
        return [id for id, count in Counter(node.id for node in self.nodes).items() if count > 1]

    def target(self, text: str, source: StateNode) -> StateNode | None:
        """The node that a transition of *source* names: `sibling`, `.child`, `#id`, each with a path after it.

        https://stately.ai/docs/transitions
        """
        if text.startswith("#"):
            return self.by_path(text[1:])
        if text.startswith("."):
            return _below(source, text[1:].split(".")) if text != "." else source
        return _below(source.parent or source, text.split("."))

    def by_path(self, path: str) -> StateNode | None:
        """The node of `<machine>.<path>`, as XState writes it in the names of its own events; or of an id."""
        first, *rest = path.split(".")
        return self._by_id.get(path) or _below(self._by_id.get(first), rest)


def _node(path: tuple[str, ...], members: Members, parent: StateNode | None) -> StateNode:
    node = StateNode(path, members, parent)
    states = members.get("states")
    if isinstance(states, Mapping):
        for key, below in cast("Members", states).items():
            inner: Members = cast("Members", below) if isinstance(below, Mapping) else {}
            node.children[key] = _node((*path, key), inner, node)
    return node


def _below(node: StateNode | None, path: list[str]) -> StateNode | None:
    for key in path:
        node = node.children.get(key) if node is not None else None
    return node


def listed(value: Any) -> list[Any]:
    """One thing, several or None, as a list."""
    if value is None:
        return []
    return list(cast("list[Any]", value)) if isinstance(value, list | tuple) else [value]
