"""The migration that machines of one version need, and its tests: written as far as the charts show it.

A new name is only a proposal, in a file that a person reviews and commits. A question that no chart answers is a hole: a line
that raises until a person puts an answer there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from durable_fsm.core.chart import ROOT, Chart, Kind
from durable_fsm.core.codec import snapshot_to_json
from durable_fsm.core.program import index_of
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.values import Json
from durable_fsm.plan.needs import Needs
from durable_fsm.plan.renames import Rename, renamed_activities, renamed_states

WIDTH = 100
"""Characters of the longest record of a test that is written on one line."""


class WrittenMigration(NamedTuple):
    """The text of a migration. `name` is that of its file and of the migration in it; `to` the version to which it leads."""

    name: str
    text: str
    to: str
    holes: int
    states: tuple[Rename, ...]
    activities: tuple[Rename, ...]


def migration_of(chart: Chart, old: Chart | None, needs: Needs) -> WrittenMigration:
    """Write the migration for machines of one version."""
    to = chart.version if chart.version != needs.version else following(chart.version)
    name = _identifier(f"{chart.name}_{needs.version}_{to}".lower())
    states = renamed_states(old, chart, needs.states)
    activities = [
        one
        for one in renamed_activities(old, chart, needs.activities)
        if one.new not in {state.new for state in states}
    ]
    body = [*_holes(chart, needs, states), *_regions(chart, needs)]
    notes = list(_notes(needs))
    holes = sum("raise hole(" in line for line in body) + len(notes)
    text = "\n".join(_lines(chart, needs, to, name, body, notes, states, activities))
    return WrittenMigration(name, text, to, holes, tuple(states), tuple(activities))


def following(version: str) -> str:
    """The version after this one: `3` after `2`, `2.1.1` after `2.1`."""
    return str(int(version) + 1) if version.isdecimal() else f"{version}.1"


def _identifier(text: str) -> str:
    name = re.sub(r"\W", "_", text)
    return name if name.isidentifier() else f"_{name}"


def _lines(
    chart: Chart,
    needs: Needs,
    to: str,
    name: str,
    body: list[str],
    notes: list[str],
    states: list[Rename],
    activities: list[Rename],
) -> Iterator[str]:
    given = "add it to the chart"
    bump = f" and give that version '{_plain(to)}'" if to != chart.version else ""
    yield f'"""From version {_plain(needs.version)} of {chart.name} to version {_plain(to)}, for {needs.blocked:,} machines.'
    yield ""
    yield f"Written by durable-fsm plan: review it, fill its holes, and {given}{bump}:"
    yield f'@durable(version="{_plain(to)}", migrations=[{name}]).'
    yield '"""'
    yield ""
    yield "from __future__ import annotations"
    yield ""
    yield "from durable_fsm import OldMachine, migration" if body else "from durable_fsm import migration"
    if any("raise hole(" in line for line in body):
        yield "from durable_fsm.plan import hole"
    if body:
        yield ""
        yield ""
        yield "def complete(old: OldMachine) -> None:"
        yield from (f"    {line}" if line else "" for line in body)
        yield ""
    yield ""
    yield from notes
    yield f"{name} = migration("
    yield f"    {_text(needs.version)},"
    if body:
        yield "    complete,"
    yield f"    to={_text(to)},"
    for word, renames in (("states", states), ("activities", activities)):
        if renames:
            yield f"    {word}={{"
            for one in renames:
                yield f"        {_text(one.old)}: {_text(one.new)},  # {one.why}: {one.score:.2f}"
            yield "    },"
    yield ")"
    yield ""


def _holes(chart: Chart, needs: Needs, renames: Iterable[Rename]) -> Iterator[str]:
    named = {one.old for one in renames}
    for leaf, many in needs.states.most_common():
        if leaf not in named:
            yield f"if {_text(leaf)} in old.configuration:  # {_of(many, needs)}"
            yield f"    raise hole({_text(f'Where does a machine in {leaf} continue? The chart has no such state.')})"
    for leaf, many in needs.ended.most_common():
        yield f"if {_text(leaf)} in old.configuration:  # {_of(many, needs)}"
        yield f"    raise hole({_text(f'Where does a machine in {leaf} continue? It is final now, and a migration ends none.')})"
    for (path, problem), many in needs.data.most_common():
        member = _member(path, problem)
        if member is not None:
            yield f"if {_text(member)} not in old.data:  # {_of(many, needs)}"
            yield f"    raise hole({_text(f'What is {path} of a machine that has none?')})"


def _notes(needs: Needs) -> Iterator[str]:
    """Needs for which no line of code can be written, as comments: what is stored must not become another line of code."""
    return map(_plain, _needs_for_a_person(needs))


def _needs_for_a_person(needs: Needs) -> Iterator[str]:
    for (path, problem), many in needs.data.most_common():
        if _member(path, problem) is None:
            yield f"# TODO: {_of(many, needs)}: {problem} at {path}. Change old.data in a function, where it does not fit."
    for work, many in needs.undo.most_common():
        yield f"# TODO: {_of(many, needs)} can still undo '{work}': keep undo= of that activity until they have ended."
    for child, many in needs.children.most_common():
        yield f"# TODO: {_of(many, needs)} run '{child}', a machine that their state does not have: keep it until they end."


def _member(path: str, problem: str) -> str | None:
    """The member of the data that is required and missing, if that is the problem."""
    found = re.fullmatch(r"\$\.([A-Za-z_]\w*)", path)
    return found[1] if found is not None and "required" in problem else None


def _regions(chart: Chart, needs: Needs) -> Iterator[str]:
    """Begin each region in which nothing is active, where its neighbours are."""
    index = index_of(chart)
    for region, many in needs.regions.most_common():
        parent = chart.states[region].parent or ROOT
        beside = sorted(
            (id for id in chart.states if chart.states[id].kind.is_leaf and index.is_descendant(id, parent)),
            key=index.order.__getitem__,
        )
        others = [id for id in beside if not index.is_descendant(id, region)]
        begins = _beginning(chart, region)
        if begins:
            yield f"if {_texts(others)} & {{*old.configuration}}:  # {_of(many, needs)}: region {region} begins"
            yield f"    old.configuration += [{', '.join(map(_text, begins))}]"


def _beginning(chart: Chart, id: str) -> list[str]:
    """The leaves in which a state begins."""
    index, state = index_of(chart), chart.states[id]
    if state.kind.is_leaf:
        return [id]
    inner = index.regions[id] if state.kind is Kind.PARALLEL else index.initial[id].targets
    return [leaf for each in inner for leaf in _beginning(chart, each)]


def _of(many: int, needs: Needs) -> str:
    return f"{many:,} of {needs.machines:,} machines"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _plain(text: str) -> str:
    """A text that may be in a comment or a docstring."""
    return "".join(letter if letter.isprintable() and letter not in '\\"' else " " for letter in text)


def _python(value: Json, indent: str = "") -> str:
    """JSON as Python that a person can read and edit."""
    short = _literal(value)
    if not isinstance(value, dict | list) or len(short) + len(indent) <= WIDTH:
        return short
    deeper = f"{indent}    "
    if isinstance(value, dict):
        parts = [f"{_text(name)}: {_python(member, deeper)}" for name, member in value.items()]
    else:
        parts = [_python(item, deeper) for item in value]
    body = "".join(f"{deeper}{part},\n" for part in parts)
    opens, closes = "{}" if isinstance(value, dict) else "[]"
    return f"{opens}\n{body}{indent}{closes}"


def _literal(value: Json) -> str:
    match value:
        case dict():
            return f"{{{', '.join(f'{_text(name)}: {_literal(member)}' for name, member in value.items())}}}"
        case list():
            return f"[{', '.join(map(_literal, value))}]"
        case str():
            return _text(value)
        case _:
            return repr(value)


def _texts(values: Iterable[str]) -> str:
    return f"{{{', '.join(map(_text, values))}}}"


# ── tests ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_of(chart: Chart, target: str, migration: WrittenMigration, kinds: Mapping[str, Snapshot]) -> str:
    """Write the test of a migration: each kind of machine, with its values taken out, continues under the chart."""
    records: dict[str, Json] = {name: snapshot_to_json(machine) for name, machine in kinds.items()}
    table = _python(records)
    return f'''"""Each kind of machine of {chart.name} that is stored today continues after {migration.name}.

Written by durable-fsm plan. Values of the data are made up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from durable_fsm.plan import tried

ROOT = Path(__file__).parents[1]
TARGET = {_text(target)}
MIGRATION = "migrations/{migration.name}.py"

KINDS: dict[str, dict[str, Any]] = {table}


@pytest.mark.parametrize("kind", KINDS)
def test_a_machine_continues(kind: str) -> None:
    fate = tried(ROOT, TARGET, KINDS[kind], MIGRATION)

    assert fate.verdict in ("over", "moves", "changes"), fate.words
'''
