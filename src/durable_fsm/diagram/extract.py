"""Make the graph of a chart: decide which states and edges a picture shows, folded and highlighted as asked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from durable_fsm.core.chart import ROOT, Chart, Kind, State, Transition, Unexpected
from durable_fsm.core.program import index_of
from durable_fsm.diagram.graph import (
    ANY_STATE,
    ANYWHERE,
    EdgeKind,
    Graph,
    GraphEdge,
    Initial,
    Label,
    Node,
    Part,
    Role,
    Row,
)
from durable_fsm.diagram.words import Words, automatic_events, cut, edges_from_anywhere, shared_actions


def graph_of(
    chart: Chart,
    *,
    depth: int | None = None,
    active: Collection[str] = (),
    taken: Collection[str] = (),
    possible: Collection[str] = (),
    heat: Mapping[str, float] | None = None,
    condensed: bool = False,
) -> Graph:
    """Extract everything that a picture of *chart* shows.

    Args:
        depth: how many levels of states are drawn. Deeper states are folded into their ancestor, and their edges are
            moved to it and merged. None draws all levels.
        active: ids of active states; their ancestors become active too.
        taken: keys of transitions that were just taken.
        possible: events that can be sent now, or keys of single transitions.
        heat: the numbers of a heat map, for states by id and for transitions by key.
        condensed: draw once what repeats: actions that every transition has are in the summary, a transition out of
            every state has one arrow, and the events `to_<state>` that a library added have none.

    Raises:
        ValueError: *depth* is less than 1.
    """
    if depth is not None and depth < 1:
        raise ValueError(f"a picture of depth {depth} would show nothing; use 1 or more")
    return _Extraction(chart, depth, _with_ancestors(chart, active), taken, possible, heat or {}, condensed).graph()


def folded_in(chart: Chart, graph: Graph) -> dict[str, list[str]]:
    """The states that are not drawn, by the one that is drawn in their place."""
    found: dict[str, list[str]] = {}
    for id in chart.states:
        above = next((one for one in index_of(chart).ancestors[id] if one in graph.by_id), None)
        if id != ROOT and id not in graph.by_id and above is not None:
            found.setdefault(above, []).append(id)
    return found


@dataclass
class _Extraction:
    chart: Chart
    depth: int | None
    active: Collection[str]
    taken: Collection[str]
    possible: Collection[str]
    heat: Mapping[str, float]
    condensed: bool

    def __post_init__(self) -> None:
        self.automatic = automatic_events(self.chart) if self.condensed else frozenset[str]()
        self.shared = shared_actions(self.chart) if self.condensed else ()
        self.anywhere = edges_from_anywhere(self.chart) if self.condensed else frozenset[str]()
        self.words = Words(self.chart, once=frozenset(self.shared))
        self.shown = {id: self._visible(id) for id in self.chart.states}

    def graph(self) -> Graph:
        states = [
            state for state in self.chart.states.values() if state.id != ROOT and self.shown[state.id] == state.id
        ]
        edges = self._edges()
        initials = [initial for state in self.chart.states.values() for initial in self._initials(state)]
        nodes = [self._node(state, self._begins(initials)) for state in states]
        if any(edge.source == ANYWHERE for edge in edges):
            nodes.append(Node(ANYWHERE, ANY_STATE, Kind.ATOMIC, ROOT, ()))
        title, summary = self._titles()
        return Graph(
            name=self.chart.name,
            title=title,
            summary=summary,
            description=self._description(states),
            nodes=tuple(nodes),
            edges=tuple(edges),
            initials=tuple(initials),
            shared=self.shared,
            hidden=tuple(sorted(self.automatic)),
        )

    # ── folding ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _visible(self, id: str) -> str:
        """The state itself, or the folded ancestor that is drawn in its place."""
        path = [id, *index_of(self.chart).ancestors[id]]
        deepest = len(path) - 1 if self.depth is None else min(self.depth, len(path) - 1)
        return path[len(path) - 1 - deepest]

    def _folded(self, state: State) -> int:
        if not state.children or any(self.shown[child] == child for child in state.children):
            return 0
        return sum(1 for id in self.chart.states if id != state.id and self.shown[id] == state.id)

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _node(self, state: State, begins: Collection[str]) -> Node:
        folded = self._folded(state)
        own = [edge for edge in self.chart.transitions if edge.source == state.id]
        staying = [edge for edge in own if not edge.targets]
        rows = self.words.rows(state, staying) + tuple(self._first_visits(state))
        if folded:
            counted = f"{folded} state{'s' if folded > 1 else ''} inside"
            rows = (*rows, (Part(Role.FOLDED, counted),))
        inside = [id for id in self.chart.states if id != ROOT and self.shown[id] == state.id] if folded else [state.id]
        numbers = [self.heat[id] for id in inside if id in self.heat]
        parent = self.chart.states[state.parent or ROOT]
        ancestry = [id for id in reversed(index_of(self.chart).ancestors[state.id]) if id != ROOT]
        return Node(
            id=state.id,
            name=state.name or state.id,
            kind=Kind.ATOMIC if folded else state.kind,
            parent=parent.id,
            children=() if folded else state.children,
            rows=rows,
            tags=tuple(sorted(state.tags)),
            accepts=tuple(dict.fromkeys(event for edge in own for event in edge.events)),
            path=".".join([*(id.rpartition(".")[2] for id in ancestry), state.id.rpartition(".")[2]]),
            depth=len(ancestry) + 1,
            folded=folded,
            region=parent.kind is Kind.PARALLEL and not state.kind.is_history,
            initial=state.id in begins,
            active=any(id in self.active for id in inside),
            heat=sum(numbers) if numbers else None,
            location=state.location,
        )

    def _first_visits(self, state: State) -> Iterable[Row]:
        """Rows for the defaults of history states on a parallel state, which have no room for an arrow."""
        if state.kind is Kind.PARALLEL and not self._folded(state):
            for history in index_of(self.chart).histories[state.id]:
                if history.initial is not None and history.initial.targets:
                    text = f"→ {', '.join(history.initial.targets)}"
                    yield (Part(Role.KEYWORD, f"{history.id} at first"), Part(Role.TEXT, cut(text)))

    def _initials(self, state: State) -> Iterable[Initial]:
        """The arrow out of the initial dot, to the first child if the author named none. History defaults are edges."""
        if state.kind is not Kind.COMPOUND or self._folded(state) or self.shown[state.id] != state.id:
            return
        if state.initial is None:
            first = next((id for id in state.children if not self.chart.states[id].kind.is_history), None)
            if first is not None:
                yield Initial(state.id, (first,))
            return
        yield Initial(state.id, self._targets(state.initial), self.words.row(state.initial))

    @staticmethod
    def _begins(initials: Iterable[Initial]) -> frozenset[str]:
        return frozenset(target for initial in initials for target in initial.targets)

    # ── edges ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _edges(self) -> list[GraphEdge]:
        found: dict[tuple[str, tuple[str, ...], str], list[tuple[Transition, Label, EdgeKind]]] = {}
        for number, transition in enumerate(self.chart.transitions):
            if not transition.targets or self.automatic.issuperset(transition.events or ("",)):
                continue
            is_everywhere = transition.key in self.anywhere
            source = ANYWHERE if is_everywhere else self.shown[transition.source]
            targets = self._targets(transition)
            if targets == (source,) and not self._is_own_loop(transition):
                continue
            kind = self.words.kind(transition)
            colour = "error" if kind is EdgeKind.ERROR else "other"
            label = Label(
                transition.key,
                number,
                self.words.row(transition),
                self.words.tooltip(transition),
                transition.location,
            )
            found.setdefault((source, targets, colour), []).append((transition, label, kind))
        edges = [self._edge(source, targets, group) for (source, targets, _), group in found.items()]
        return edges + [edge for state in self.chart.states.values() for edge in self._default(state)]

    def _targets(self, transition: Transition) -> tuple[str, ...]:
        """The states that are drawn for its targets, each once."""
        return tuple(dict.fromkeys(self.shown[target] for target in transition.targets))

    def _is_own_loop(self, transition: Transition) -> bool:
        """Whether a loop is one in the chart too, and not an edge between two folded states."""
        return transition.targets == (transition.source,) and self.shown[transition.source] == transition.source

    def _edge(
        self, source: str, targets: tuple[str, ...], group: list[tuple[Transition, Label, EdgeKind]]
    ) -> GraphEdge:
        transitions = [transition for transition, _, _ in group]
        kinds = {kind for _, _, kind in group}
        numbers = [self.heat[transition.key] for transition in transitions if transition.key in self.heat]
        return GraphEdge(
            source=source,
            targets=targets,
            kind=group[0][2] if len(kinds) == 1 else EdgeKind.EVENT,
            labels=tuple(label for _, label, _ in group),
            taken=any(transition.key in self.taken for transition in transitions),
            possible=any(self._is_possible(transition) for transition in transitions),
            heat=sum(numbers) if numbers else None,
        )

    def _is_possible(self, transition: Transition) -> bool:
        if transition.key in self.possible:
            return True
        here = not self.active or transition.source in self.active
        return here and any(event in self.possible for event in transition.events)

    def _default(self, state: State) -> Iterable[GraphEdge]:
        """The arrow out of a history state: its default, for the first visit."""
        if not state.kind.is_history or self.shown[state.id] != state.id or _is_on_border(self.chart, state):
            return
        if state.initial is None or not state.initial.targets:
            return
        targets, parts = self._targets(state.initial), self.words.row(state.initial)
        tooltip = f"{state.id} → {', '.join(targets)}: the first time"
        labels = (Label(state.initial.key, -1, parts, tooltip),)
        yield GraphEdge(state.id, targets, EdgeKind.DEFAULT, labels)

    # ── words about the whole ─────────────────────────────────────────────────────────────────────────────────────────

    def _titles(self) -> tuple[str, str]:
        first = self.chart.doc.strip().partition("\n\n")[0].replace("\n", " ")
        sentence = re.split(r"(?<=[.!?])\s", first)[0]
        every = f"Every transition / {', '.join(self.shared)}" if self.shared else ""
        return self.chart.name, " · ".join(filter(None, (sentence, every)))

    def _description(self, states: list[State]) -> str:
        """The description for screen readers: the size, the initial states and the final states."""
        everything = [state for state in self.chart.states.values() if state.id != ROOT]
        sizes = f"{_count(len(everything), 'state')}, {_count(len(self.chart.transitions), 'transition')}"
        hidden = len(everything) - len(states)
        start = index_of(self.chart).initial[ROOT].targets
        ends = [state for state in everything if state.kind is Kind.FINAL and state.parent == ROOT]
        sentences = [f"State machine {self.chart.name}: {sizes}."]
        if hidden:
            sentences.append(f"{_count(hidden, 'state')} not shown.")
        if self.automatic:
            sentences.append("The events to_<state> are not shown.")
        sentences.append(f"Starts in {self._names(self.chart.states[id] for id in start)}.")
        sentences.append(f"Ends in {self._names(ends)}." if ends else "Has no end.")
        if self.chart.policies.unexpected is Unexpected.IGNORE:
            sentences.append("Ignores events that no transition accepts.")
        for verb, descriptors in (("Defers", self.chart.root.defers), ("Ignores", self.chart.root.ignores)):
            if descriptors:
                sentences.append(f"{verb} {', '.join(descriptors)} wherever no transition accepts it.")
        return " ".join(sentences)

    @staticmethod
    def _names(states: Iterable[State]) -> str:
        return ", ".join(state.name or state.id for state in states)


def _is_on_border(chart: Chart, state: State) -> bool:
    """Whether this is a history state of a parallel state: it belongs to no region, and is drawn on the border."""
    return state.kind.is_history and chart.states[state.parent or ROOT].kind is Kind.PARALLEL


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _with_ancestors(chart: Chart, states: Collection[str]) -> frozenset[str]:
    known = [id for id in chart.states if id in frozenset(states)]
    return frozenset(known) | {above for id in known for above in index_of(chart).ancestors[id]} - {ROOT}
