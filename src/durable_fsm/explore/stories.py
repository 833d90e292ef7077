"""Paths as others can follow them: a story for `durable-fsm simulate`, and a test on `Rehearsal`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from durable_fsm.core.codec import canonical
from durable_fsm.core.values import Json
from durable_fsm.explore.moves import Move, MoveKind
from durable_fsm.explore.player import KEY
from durable_fsm.explore.proofs import Imported, Proofs
from durable_fsm.explore.properties import BUILT_IN, Claim
from durable_fsm.explore.story_lines import (
    CREATE,
    EXPECT,
    REFUSALS,
    SNAPSHOT,
    StoryLine,
    asserted,
    begun,
    call_of,
    inside,
    literal,
    texts,
    verb_of,
)


def lines_of(path: Sequence[Move], chart: str = "") -> list[StoryLine]:
    """A path as the lines of a story; the first move begins the machine.

    Args:
        chart: The target of the chart, for the first line; empty if it has no name.
    """
    return [line for place, move in enumerate(path) for line in _lines_of(move, chart, is_first=place == 0)]


def story(path: Sequence[Move], chart: str = "") -> str:
    """The text of a story file."""
    return "".join(f"{canonical(line)}\n" for line in lines_of(path, chart))


def _lines_of(move: Move, chart: str, *, is_first: bool) -> list[StoryLine]:
    if is_first:
        named: StoryLine = {"chart": chart} if chart else {}
        if move.kind is MoveKind.SNAPSHOT:
            return [{SNAPSHOT: move.payload, "key": move.name, **named}]
        return [{CREATE: move.payload, "key": KEY, **named}]
    clock: list[StoryLine] = [{"advance": f"{move.after_ms}ms"}] if move.after_ms else []
    return [*clock, line_of(move)]


def line_of(move: Move) -> StoryLine:
    """One move that does not begin the machine as a line of a story."""
    late: StoryLine = {"late": True} if move.late else {}
    place: StoryLine = {"place": move.place} if move.place else {}
    payload: StoryLine = {} if move.payload is None else {"payload": move.payload}
    inside: StoryLine = {"in": move.inside} if move.inside else {}
    match move.kind:
        case MoveKind.EVENT | MoveKind.SNAPSHOT:
            return {"receive" if move.source else "event": move.name, **payload, **inside}
        case MoveKind.TIMER:
            return {"timer": move.name, **place, **inside}
        case MoveKind.DONE:
            return {
                "done": move.name,
                **({} if move.payload is None else {"result": move.payload}),
                **late,
                **inside,
            }
        case MoveKind.ERROR:
            failure = move.payload if isinstance(move.payload, dict) else {}
            facts = {name: failure[name] for name in ("message", "type", "code") if failure.get(name) is not None}
            return {"error": move.name, **facts, **late, **inside}
        case MoveKind.LOST:
            return {"lost": move.name, **inside}
        case MoveKind.RETURNED | MoveKind.NEWS:
            return {"returned": move.name, **place, **inside}


def calls_of(move: Move, machine: str) -> list[str]:
    """One move that does not begin the machine as lines of a test."""
    return [call_of(line, machine) for line in _lines_of(move, "", is_first=False)]


def slug(words: str) -> str:
    """Words as part of a Python name."""
    return re.sub(r"\W+", "_", words.lower()).strip("_")[:60].rstrip("_") or "it_holds"


Imports: TypeAlias = dict[str, set[str]]
"""Names to import, by module."""


def import_lines(imports: Imports, imported: Imported, lines: Iterable[StoryLine]) -> list[str]:
    """The sorted import lines of a generated test."""
    found: Imports = {"durable_fsm.testing": {"Rehearsal"}}
    for line in lines:
        if "receive" in line:
            found["durable_fsm"] = {"Incoming"}
        if "advance" in line:
            found["datetime"] = {"timedelta"}
    if imported.module:
        found.setdefault(imported.module, set()).add(imported.name.partition(".")[0])
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
        story = lines_of(self.path)
        lines += import_lines(imports, proofs.imported, story)
        lines += ["", *before, "", ""] if before else ["", ""]
        if self.claim == "differs":
            return "\n".join([*lines, *self._twice(), ""])
        lines += [f"def test_{slug(f'{self.claim} {self.name}')}() -> None:"]
        lines += [*(f"    {line}" for line in begun(story[0], proofs.imported.name, "machine", KEY)), ""]
        calls = [call_of(line, "machine") for line in story[1:]]
        if self._may_end_earlier and calls:
            lines += ["    # A fixed chart may refuse a move. Then the story ends there."]
            lines += ["    with suppress(EventError, MachineError, LookupError):"]
            lines += [f"        {call}" for call in calls]
        else:
            lines += [f"    {call}" for call in calls]
        return "\n".join([*lines, "", *after, ""])

    def _twice(self) -> list[str]:
        """A test that plays the path twice."""
        story = lines_of(self.path)
        calls = begun(story[0], self.proofs.imported.name, "machine", KEY)
        calls += [call_of(line, "machine") for line in story[1:]]
        return [
            f"def test_{slug(self.name)}() -> None:",
            "    assert played() == played()",
            "",
            "",
            "def played() -> str | None:",
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
    chart, every = proofs.imported.name, [line for path, _ in paths for line in lines_of(path)]
    more = {"durable_fsm.errors": {"EventRejected"}} if refused else Imports()
    lines = [
        f'"""{proofs.chart.name}, path by path. Written by `durable-fsm explore --suite`; write it again when the chart changes."""',
        "",
    ]
    lines += ["import pytest", ""] if refused else []
    lines += import_lines(more, proofs.imported, every)
    for number, (path, leaves) in enumerate(paths, 1):
        lines += ["", "", f"def test_path_{number}_{slug(' '.join(leaves[-1]))}() -> None:"]
        begins = begun(lines_of(path[:1])[0], chart, "machine", KEY)
        lines += [f"    {begins[0]}", ""]
        for place, move in enumerate(path):
            calls = begins[1:] if place == 0 else calls_of(move, "machine")
            lines += [f"    {call}" for call in calls]
            if place == 0 or leaves[place] != leaves[place - 1] or place == len(path) - 1:
                lines.append(f"    assert machine.leaves == {texts(leaves[place])}")
    for number, (path, event) in enumerate(refused, 1):
        lines += ["", "", f"def test_refusal_{number}_{slug(event.name)}() -> None:"]
        story = lines_of([*path, event])
        *calls, last = [*begun(story[0], chart, "machine", KEY), *(call_of(line, "machine") for line in story[1:])]
        lines += [f"    {call}" for call in calls]
        lines += ["", "    with pytest.raises(EventRejected):", f"        {last}"]
    return "\n".join([*lines, ""])


def test_of_story(name: str, story: Sequence[StoryLine], imported: Imported) -> str:
    """The text of a test file that follows a story, and asks for what it expects.

    Args:
        story: Its lines; the first may begin the machine.
    """
    imports: Imports = {}
    begins = bool(story) and (CREATE in story[0] or SNAPSHOT in story[0])
    body = begun(story[0] if begins else {}, imported.name, "machine", "simulated")
    rest = list(story[1:] if begins else story)
    for place, line in enumerate(rest):
        if verb_of(line) == EXPECT:
            facts = line[EXPECT]
            assert isinstance(facts, dict)
            child = "".join(f".machines[{literal(id)}]" for id in inside(line))
            body += asserted(facts, f"machine{child}")
            continue
        call, outcome = call_of(line, "machine"), _expected_outcome(rest[place + 1 : place + 2])
        error = REFUSALS.get(outcome)
        if error is not None:
            imports.setdefault("durable_fsm.errors", set()).add(error)
            body += [f"with pytest.raises({error}):", f"    {call}"]
        else:
            body.append(f'assert {call}.outcome == "{outcome}"' if outcome not in ("", "advanced") else call)
    raises = ["import pytest", ""] if imports else []
    return "\n".join(
        [
            f'"""The story {name}, as `durable-fsm story --pytest` wrote it."""',
            "",
            *raises,
            *import_lines(imports, imported, rest),
            "",
            "",
            f"def test_{slug(name)}() -> None:",
            *(f"    {line}" for line in body),
            "",
        ]
    )


def _expected_outcome(following: Sequence[StoryLine]) -> str:
    """The outcome that the next line expects; empty if it expects none."""
    facts: Mapping[str, Json] = {}
    for line in following:
        found = line.get(EXPECT)
        facts = found if isinstance(found, dict) else {}
    return str(facts.get("outcome", ""))
