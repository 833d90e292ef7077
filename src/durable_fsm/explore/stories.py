"""Paths as others can follow them: a story for `durable-fsm simulate`, and a test on `Rehearsal`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from durable_fsm.core.codec import canonical
from durable_fsm.core.values import Json
from durable_fsm.explore.moves import Move, MoveKind
from durable_fsm.explore.player import KEY
from durable_fsm.explore.proofs import Proofs
from durable_fsm.explore.properties import BUILT_IN, Claim

MOST = 100
"""Columns of a line in a generated test."""


def story(path: Sequence[Move]) -> str:
    """The lines of a story file; the first move of a path creates the machine."""
    return "".join(f"{canonical(line_of(move, is_first=place == 0))}\n" for place, move in enumerate(path))


def line_of(move: Move, *, is_first: bool = False) -> dict[str, Json]:
    """One move as a line of a story."""
    late: dict[str, Json] = {"late": True} if move.late else {}
    payload: dict[str, Json] = {} if move.payload is None else {"payload": move.payload}
    match move.kind:
        case MoveKind.EVENT if is_first:
            return {"create": move.payload, "key": KEY}
        case MoveKind.EVENT:
            return {"receive" if move.source else "event": move.name, **payload}
        case MoveKind.TIMER:
            return {"timer": move.name, **({"place": move.place} if move.place else {})}
        case MoveKind.DONE:
            return {"done": move.name, **({} if move.payload is None else {"result": move.payload}), **late}
        case MoveKind.ERROR:
            failure = move.payload if isinstance(move.payload, dict) else {}
            facts = {name: failure[name] for name in ("message", "type", "code") if failure.get(name) is not None}
            return {"error": move.name, **facts, **late}
        case MoveKind.LOST:
            return {"lost": move.name}
        case MoveKind.RETURNED:
            return {"returned": move.name, **({"place": move.place} if move.place else {})}


def call_of(move: Move, machine: str, *, is_first: bool = False) -> str:
    """One move as a line of a test."""
    late = ", late=True" if move.late else ""
    payload = "" if move.payload is None else f", {literal(move.payload)}"
    match move.kind:
        case MoveKind.EVENT if is_first:
            return f"{machine}.create({'' if move.payload in (None, {}) else literal(move.payload)})"
        case MoveKind.EVENT if move.source:
            return f"{machine}.receive(Incoming({literal(move.name)}{payload}))"
        case MoveKind.EVENT:
            return f"{machine}.send({literal(move.name)}{payload})"
        case MoveKind.TIMER:
            return f"{machine}.ring({literal(move.name)}{f', {move.place}' if move.place else ''})"
        case MoveKind.DONE:
            return f"{machine}.finish({literal(move.name)}{payload}{late})"
        case MoveKind.ERROR:
            failure = move.payload if isinstance(move.payload, dict) else {}
            facts = f", {literal(failure.get('message', ''))}"
            if failure.get("type", "TerminalError") != "TerminalError":
                facts += f", type={literal(failure['type'])}"
            if failure.get("code") is not None:
                facts += f", code={failure['code']!r}"
            return f"{machine}.fail({literal(move.name)}{facts}{late})"
        case MoveKind.LOST:
            return f"{machine}.lose({literal(move.name)})"
        case MoveKind.RETURNED:
            return f"{machine}.bounce({literal(move.name)}{f', {move.place}' if move.place else ''})"


def literal(value: Json) -> str:
    """A plain value as Python, in the quotes of this house."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case dict():
            return "{" + ", ".join(f"{literal(name)}: {literal(member)}" for name, member in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(literal, value)) + "]"
        case _:
            return repr(value)


def slug(words: str) -> str:
    """Words as part of a Python name."""
    return re.sub(r"\W+", "_", words.lower()).strip("_")[:60].rstrip("_") or "it_holds"


Imports: TypeAlias = dict[str, set[str]]
"""Names to import, by module."""


def import_lines(imports: Imports, proofs: Proofs, path: Sequence[Move]) -> list[str]:
    """The sorted import lines of a generated test."""
    found: Imports = {"durable_fsm.testing": {"Rehearsal"}}
    if any(move.source for move in path):
        found["durable_fsm"] = {"Incoming"}
    if proofs.imported.module:
        found.setdefault(proofs.imported.module, set()).add(proofs.imported.name.partition(".")[0])
    for module, names in imports.items():
        found.setdefault(module, set()).update(names)
    return [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(found.items())]


class Test:
    """The parts of a generated test of one finding.

    `claim` decides what is asserted after the path: that a property of the proofs file holds, that what must hold of every
    chart does, that a transition was taken, or only that no move raises.
    """

    __test__ = False  # not a test class of pytest

    def __init__(self, proofs: Proofs, name: str, claim: str, path: Sequence[Move], transition: str = "") -> None:
        self.proofs = proofs
        self.name = name
        self.claim = claim
        self.path = path
        self.transition = transition

    def source(self) -> str:
        """The text of the test file."""
        imports, before, after = self._parts()
        proofs = self.proofs
        words = self.name if self.name.endswith(".") else f"{self.name}."
        lines = [
            f'"""{self.proofs.chart.name}: {words} Found by `durable-fsm explore`; the test fails until that holds."""',
            "",
        ]
        if self._may_end_earlier:
            lines += ["from contextlib import suppress", ""]
            imports["durable_fsm.errors"] = {"EventError", "MachineError"}
        lines += import_lines(imports, proofs, self.path)
        lines += ["", *before, "", ""] if before else ["", ""]
        if self.claim == "differs":
            return "\n".join([*lines, *self._twice(), ""])
        lines += [f"def test_{slug(f'{self.claim} {self.name}')}() -> None:"]
        lines += [f"    machine = Rehearsal({proofs.imported.name}, key={literal(KEY)})"]
        lines += [f"    {call_of(self.path[0], 'machine', is_first=True)}", ""]
        calls = [call_of(move, "machine") for move in self.path[1:]]
        if self._may_end_earlier and calls:
            lines += ["    # A chart that was mended may refuse a move. Then the story ends there."]
            lines += ["    with suppress(EventError, MachineError, LookupError):"]
            lines += [f"        {call}" for call in calls]
        else:
            lines += [f"    {call}" for call in calls]
        return "\n".join([*lines, "", *after, ""])

    def _twice(self) -> list[str]:
        """A test that plays the path twice."""
        calls = [call_of(move, "machine", is_first=place == 0) for place, move in enumerate(self.path)]
        return [
            f"def test_{slug(self.name)}() -> None:",
            "    assert played() == played()",
            "",
            "",
            "def played() -> str | None:",
            f"    machine = Rehearsal({self.proofs.imported.name}, key={literal(KEY)})",
            *(f"    {call}" for call in calls),
            "    return machine.stored",
        ]

    @property
    def _may_end_earlier(self) -> bool:
        return self.claim not in ("fault", "differs") and len(self.path) > 1

    def _parts(self) -> tuple[Imports, list[str], list[str]]:
        """The imports, what comes before the test, and what is asserted."""
        if self.claim == "fault":
            return {}, [], ["    assert machine.snapshot.seq > 0  # no move raised"]
        if self.claim == "differs":
            return {}, [], []
        given = ", domains" if self.proofs.domains and self.claim not in (Claim.ALWAYS, Claim.NEVER) else ""
        held = [f"    assert PROPERTY.holds(machine{given})"]
        from_proofs = {self.proofs.module: {"domains"}} if given else Imports()
        if self.claim == "unreached":
            imports = {"durable_fsm.explore.properties": {"takes"}, **from_proofs}
            return imports, [f"PROPERTY = takes({literal(self.transition)})"], held
        built_in = next((one for one in BUILT_IN if one.name == self.name), None)
        if built_in is not None:
            imports = {"durable_fsm.explore.properties": {built_in.claim.name}, **from_proofs}
            return imports, [f"PROPERTY = {built_in.claim.name}"], held
        imports = {self.proofs.module: {"properties", *from_proofs.get(self.proofs.module, ())}}
        return imports, [f"PROPERTY = next(one for one in properties if one.name == {literal(self.name)})"], held


def leaves_of(leaves: tuple[str, ...]) -> str:
    """Leaves as Python writes a tuple."""
    names = ", ".join(map(literal, leaves))
    return f"({names},)" if len(leaves) == 1 else f"({names})"


def suite(
    proofs: Proofs,
    paths: Iterable[tuple[Sequence[Move], Sequence[tuple[str, ...]]]],
    refused: Iterable[tuple[Sequence[Move], Move]],
) -> str:
    """The text of a test file that follows paths through a chart, and asks for the states after each move.

    Args:
        paths: Each with the leaves after each of its moves.
        refused: Paths, each with an event that is refused at its end.
    """
    paths, refused = list(paths), list(refused)
    chart, every = proofs.imported.name, [move for path, _ in paths for move in path]
    more = {"durable_fsm.errors": {"EventRejected"}} if refused else Imports()
    lines = [
        f'"""{proofs.chart.name}, path by path. Written by `durable-fsm explore --suite`; write it again when the chart changes."""',
        "",
    ]
    lines += ["import pytest", ""] if refused else []
    lines += import_lines(more, proofs, every)
    for number, (path, leaves) in enumerate(paths, 1):
        lines += ["", "", f"def test_path_{number}_{slug(' '.join(leaves[-1]))}() -> None:"]
        lines += [f"    machine = Rehearsal({chart}, key={literal(KEY)})", ""]
        for place, move in enumerate(path):
            lines.append(f"    {call_of(move, 'machine', is_first=place == 0)}")
            if place == 0 or leaves[place] != leaves[place - 1] or place == len(path) - 1:
                lines.append(f"    assert machine.leaves == {leaves_of(leaves[place])}")
    for number, (path, event) in enumerate(refused, 1):
        lines += ["", "", f"def test_refusal_{number}_{slug(event.name)}() -> None:"]
        lines += [f"    machine = Rehearsal({chart}, key={literal(KEY)})"]
        lines += [f"    {call_of(move, 'machine', is_first=place == 0)}" for place, move in enumerate(path)]
        lines += ["", "    with pytest.raises(EventRejected):", f"        {call_of(event, 'machine')}"]
    return "\n".join([*lines, ""])
