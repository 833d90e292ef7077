"""Several processes that make the moves of one search.

Each process is a fork of this one, since a chart consists of functions. It gets machines, makes all of their moves, and
sends back what they came to. The first process alone decides which of them are new, in the order in which it would find
them by itself: the result does not depend on the number of processes.
"""

from __future__ import annotations

import gc
import multiprocessing
import pickle
import signal
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from durable_fsm.explore.domains import Domains
from durable_fsm.explore.keys import Keys
from durable_fsm.explore.player import Position, from_bytes, to_bytes
from durable_fsm.explore.proofs import Proofs
from durable_fsm.explore.search import Bounds, Expanded, Expander, Many, StateSpace


class PartFound(NamedTuple):
    """The findings of a process: the moves of its machines, and what it has learned of members and guards."""

    found: list[Expanded]
    seen: dict[str, set[str]]
    said: set[tuple[str, str, bool]]
    error: BaseException | None = None


@contextmanager
def shared_out(proofs: Proofs, bounds: Bounds, processes: int) -> Generator[Many | None]:
    """Start the processes, and end them afterwards; None where one process is enough."""
    if processes == 1:
        yield None
        return
    context = multiprocessing.get_context("fork")
    expander = _expander(proofs, bounds)
    pipes: list[Connection] = []
    started: list[Any] = []  # Any: processes of a context, which has no public type
    try:
        for _ in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, [*pipes, ours], expander), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            started.append(process)
        yield lambda graph, positions: _many(pipes, graph, positions)
    finally:
        for pipe in pipes:
            pipe.close()
        for process in started:
            process.terminate()
            process.join()


def _expander(proofs: Proofs, bounds: Bounds) -> Expander:
    domains = Domains(proofs.chart, proofs.domains, proofs.clock)
    keys = Keys(proofs.chart, k=bounds.k, view=proofs.view, made=domains.made)
    return Expander(proofs.chart, domains, keys, bounds)


def _many(pipes: Sequence[Connection], graph: StateSpace, positions: Sequence[Position | bytes]) -> Iterator[Expanded]:
    """Give each process a part, and take the results in the order of the machines."""
    each = -(-len(positions) // len(pipes))
    coarse = frozenset(graph.keys.coarse)
    asked: list[Connection] = []
    for place, pipe in enumerate(pipes):
        part = positions[place * each : (place + 1) * each]
        if part:
            pipe.send((coarse, [one if isinstance(one, bytes) else to_bytes(one) for one in part]))
            asked.append(pipe)
    for pipe in asked:
        answer: PartFound = pickle.loads(pipe.recv_bytes())  # noqa: S301 - it comes from our own fork
        if answer.error is not None:
            raise answer.error
        graph.keys.learn(answer.seen)
        graph.answers |= answer.said
        yield from answer.found


def _work(pipe: Connection, others: Sequence[Connection], expander: Expander) -> None:
    """The loop of one process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process says when to end
    for other in others:
        other.close()
    gc.freeze()
    sent: set[bytes] = set()
    keys, said = expander.keys, expander.player.answers.said
    while True:
        try:
            coarse, machines = pipe.recv()
        except EOFError:
            return
        if coarse != keys.coarse:
            keys.look_coarsely(coarse)
            sent.clear()
        before = {name: set(values) for name, values in keys.seen.items()}
        known = set(said)
        try:
            found = [_packed(expander.expand(from_bytes(one)), sent) for one in machines]
            seen = {name: values - before.get(name, set()) for name, values in keys.seen.items()}
            answer = PartFound(found, {name: values for name, values in seen.items() if values}, said - known)
        except Exception as error:  # noqa: BLE001 - the first process raises it
            answer = PartFound([], {}, set(), error)
        pipe.send_bytes(pickle.dumps(answer))


def _packed(expanded: Expanded, sent: set[bytes]) -> Expanded:
    """The results without the machines that were sent before, and the others as bytes."""
    packed: Expanded = []
    for reached in expanded:
        if isinstance(reached.position, Position):
            is_known = reached.is_exact and reached.key in sent
            sent.add(reached.key)
            packed.append(reached._replace(position=b"" if is_known else to_bytes(reached.position)))
        else:
            packed.append(reached)
    return packed
