"""The graph between a chart and its pictures: everything that is drawn, already worded, and nothing about where.

Renderers read this graph and not the chart, so that every picture and every text uses the same words.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from durable_fsm.core.chart import ROOT, Kind
from durable_fsm.core.values import Location

ANYWHERE, ANY_STATE = "*", "from any state"
"""Id and name of the node drawn in place of every state, where a transition leaves all of them."""


class Role(StrEnum):
    """The role of a piece of text; a theme has a colour for each role."""

    EVENT = "event"
    AFTER = "after"
    DONE = "done"
    ERROR = "error"
    GUARD = "guard"
    ACTION = "action"
    KEYWORD = "keyword"
    INVOKE = "invoke"
    EXCLUSIVE = "exclusive"
    MANY = "many"
    FOLDED = "folded"
    TEXT = "text"


class EdgeKind(StrEnum):
    """The kind of event that takes an edge. It decides colour and icon."""

    EVENT = "event"
    AFTER = "after"
    DONE = "done"
    ERROR = "error"
    ALWAYS = "always"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of text in which no line breaks."""

    role: Role
    text: str


Row = tuple[Part, ...]
"""Parts that belong together: one transition on a label, one line in a state."""


@dataclass(frozen=True, slots=True)
class Label:
    """The text of one transition on its edge; `number` is its place in document order, from 0."""

    key: str
    number: int
    parts: Row
    tooltip: str
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A state that is drawn.

    Attributes:
        accepts: the events of its own transitions.
        folded: the number of states hidden inside.
        region: whether it is a child of a parallel state.
        heat: the number of a heat map.
    """

    id: str
    name: str
    kind: Kind
    parent: str
    children: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    tags: tuple[str, ...] = ()
    accepts: tuple[str, ...] = ()
    path: str = ""
    depth: int = 1
    folded: int = 0
    region: bool = False
    initial: bool = False
    active: bool = False
    heat: float | None = None
    location: Location | None = None

    @property
    def many(self) -> bool:
        """Whether an activity or a machine of it runs once for each of some items."""
        return any(part.role is Role.MANY for row in self.rows for part in row)


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """Transitions that share source, targets and colour; several targets make a fork.

    A loop leaves its state and enters it again. The arrow out of a history state has the kind `DEFAULT`.
    """

    source: str
    targets: tuple[str, ...]
    kind: EdgeKind
    labels: tuple[Label, ...]
    taken: bool = False
    possible: bool = False
    heat: float | None = None

    @property
    def is_loop(self) -> bool:
        return self.targets == (self.source,)


@dataclass(frozen=True, slots=True)
class Initial:
    """Where a compound state begins, or the chart if `parent` is ""; `actions` run on the way."""

    parent: str
    targets: tuple[str, ...]
    actions: Row = ()


@dataclass(frozen=True)
class Graph:
    """Everything that a picture shows, in document order. The root is not a node; its children have the parent "".

    Attributes:
        shared: the actions that every transition has; no label repeats them.
        hidden: events whose transitions are not drawn.
    """

    name: str
    title: str
    summary: str
    description: str
    nodes: tuple[Node, ...]
    edges: tuple[GraphEdge, ...]
    initials: tuple[Initial, ...]
    shared: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    @cached_property
    def by_id(self) -> dict[str, Node]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def children(self) -> dict[str, tuple[Node, ...]]:
        """Drawn children by parent; those of the chart are under the id of the root."""
        found: dict[str, list[Node]] = {ROOT: [], **{node.id: [] for node in self.nodes}}
        for node in self.nodes:
            found[node.parent].append(node)
        return {parent: tuple(nodes) for parent, nodes in found.items()}

    def lineage(self, id: str) -> tuple[str, ...]:
        """The state and its ancestors, from the root down: `("", "payment", "charging")`."""
        path = [id]
        while path[-1] != ROOT:
            path.append(self.by_id[path[-1]].parent)
        return tuple(reversed(path))
