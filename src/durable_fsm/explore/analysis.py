"""Questions about a graph of configurations: what can be reached, and where a machine may go round for ever."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence

from durable_fsm.explore.moves import Move
from durable_fsm.explore.search import SpaceNode, StateSpace

Kept = Callable[[Move], bool]


def moves_of(node: SpaceNode) -> list[tuple[Move, int]]:
    """The moves of a node that lead to another one, or back to itself."""
    return [(move, to) for move, to in node.out or () if to >= 0]


def can_reach(graph: StateSpace, goals: Iterable[int], keeps: Kept | None = None) -> set[int]:
    """The nodes from which some path, of the kept moves, leads to a goal; the goals are among them.

    A node whose moves were not all made counts as one that may reach it.
    """
    sources: dict[int, list[int]] = {}
    unknown: list[int] = []
    for number, node in enumerate(graph.nodes):
        if node.out is None:
            unknown.append(number)
        for move, to in moves_of(node):
            if keeps is None or keeps(move):
                sources.setdefault(to, []).append(number)
    found = set(goals) | set(unknown)
    pending = deque(found)
    while pending:
        for source in sources.get(pending.popleft(), ()):
            if source not in found:
                found.add(source)
                pending.append(source)
    return found


def cycles(graph: StateSpace, inside: Collection[int], keeps: Kept) -> list[list[int]]:
    """The sets of nodes among *inside* that lead round in circles by the kept moves, each nearest the beginning first.

    Tarjan's algorithm, without recursion. https://en.wikipedia.org/wiki/Tarjan's_strongly_connected_components_algorithm
    """
    within = inside if isinstance(inside, set | frozenset) else set(inside)

    def following(number: int) -> list[int]:
        return [to for move, to in moves_of(graph.nodes[number]) if to in within and keeps(move)]

    index: dict[int, int] = {}
    low: dict[int, int] = {}
    on_stack: set[int] = set()
    stack: list[int] = []
    found: list[list[int]] = []
    for root in sorted(within):
        if root in index:
            continue
        work = [(root, iter(following(root)))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            number, ways = work[-1]
            for to in ways:
                if to not in index:
                    index[to] = low[to] = len(index)
                    stack.append(to)
                    on_stack.add(to)
                    work.append((to, iter(following(to))))
                    break
                if to in on_stack:
                    low[number] = min(low[number], index[to])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[number])
                if low[number] == index[number]:
                    part: list[int] = []
                    while True:
                        one = stack.pop()
                        on_stack.discard(one)
                        part.append(one)
                        if one == number:
                            break
                    if len(part) > 1 or number in following(number):
                        found.append(sorted(part))
    return sorted(found)


def round_trip(graph: StateSpace, part: Sequence[int], keeps: Kept) -> list[Move]:
    """A shortest way from the first node of a cycle back to it, inside the cycle."""
    inside = set(part)
    came: dict[int, tuple[int, Move]] = {}
    pending = deque([part[0]])
    while pending:
        number = pending.popleft()
        for move, to in moves_of(graph.nodes[number]):
            if to not in inside or not keeps(move) or to in came:
                continue
            came[to] = (number, move)
            if to == part[0]:
                way: list[Move] = []
                at = to
                while not way or at != part[0]:
                    at, made = came[at]
                    way.append(made)
                return way[::-1]
            pending.append(to)
    return []


def is_fair(graph: StateSpace, part: Sequence[int], keeps: Kept) -> bool:
    """Whether a machine can go round in a cycle for ever although no work runs, and no timer waits, for ever.

    Work that runs all the time must end at some time, and a timer that is armed all the time must ring; a cycle that never
    lets it is one that no machine follows for ever.
    """
    inside = set(part)
    always: set[tuple[str, str]] | None = None
    within: set[tuple[str, str]] = set()
    for number in part:
        enabled = {move.task for move, _ in moves_of(graph.nodes[number]) if not move.is_external}
        always = enabled if always is None else always & enabled
        within |= {move.task for move, to in moves_of(graph.nodes[number]) if to in inside and keeps(move)}
    return not (always or set()) - within
