"""Charts with a mistake each: a shortest path shows it, and the written test fails until it is mended."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from durable_fsm import chart_from
from durable_fsm.explore.proofs import Imported, Proofs
from durable_fsm.explore.report import Report, explore
from tests.explore.bugs import Bug, bugs

BUGS = bugs()
PLACE = "a_bug_under_test"


def explored(bug: Bug, definition: type) -> Report:
    proofs = Proofs(
        chart_from(definition), bug.domains, bug.properties, imported=Imported(PLACE, "chart"), module=PLACE
    )
    return explore(proofs)


def written(source: str, bug: Bug, definition: type) -> Callable[[], None]:
    """The test of a written file, with one of the charts of a bug."""
    module = ModuleType(PLACE)
    vars(module).update(chart=definition, domains=bug.domains, properties=bug.properties)
    names: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, PLACE, module)
        exec(compile(source, "a written test", "exec"), names)  # noqa: S102 - what we have written ourselves
    found = next(value for name, value in names.items() if name.startswith("test_"))
    assert callable(found)
    return found


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_a_mistake_is_found_by_a_shortest_path(bug: Bug) -> None:
    report = explored(bug, bug.wrong)

    found = {one.name: " · ".join(move.words for move in one.path[1:]) for one in report.findings}
    assert found[bug.name] == bug.story


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_a_mended_chart_has_nothing_to_report(bug: Bug) -> None:
    report = explored(bug, bug.mended)

    assert [one.name for one in report.findings] == []
    assert report.holds


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_the_written_test_fails_before_the_chart_is_mended_and_passes_afterwards(bug: Bug) -> None:
    report = explored(bug, bug.wrong)
    source = report.test_of(next(one for one in report.findings if one.name == bug.name)).source()

    written(source, bug, bug.mended)()

    with pytest.raises(AssertionError):
        written(source, bug, bug.wrong)()
