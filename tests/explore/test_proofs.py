"""The proofs of our own machines hold, whatever the number of processes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from durable_fsm import chart_from
from durable_fsm.explore import domain
from durable_fsm.explore.cover import cover
from durable_fsm.explore.domains import BadProofs
from durable_fsm.explore.parallel import shared_out
from durable_fsm.explore.proofs import Proofs, proofs_in
from durable_fsm.explore.report import Report, explore
from durable_fsm.explore.search import Bounds
from durable_fsm.explore.stories import suite
from durable_fsm.frontends.locate import locate_module
from durable_fsm.testing.plugin import Explore

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "proofs").glob("*.py"))


def proofs_of(name: str) -> Proofs:
    path = ROOT / "proofs" / f"{name}.py"
    return proofs_in(locate_module(path), path)


@pytest.fixture(scope="module")
def order() -> Report:
    """The order, explored."""
    return explore(proofs_of("order"))


def written_in(source: str) -> list[Callable[[], None]]:
    names: dict[str, object] = {}
    exec(compile(source, "written tests", "exec"), names)  # noqa: S102 - what we have written ourselves
    return [value for name, value in names.items() if name.startswith("test_") and callable(value)]


@pytest.mark.parametrize("file", [file for file in FILES if file.stem != "order"], ids=lambda file: file.stem)
def test_the_proofs_of_a_machine_hold(file: Path, explored: Explore) -> None:
    report = explored(locate_module(file))

    assert report.graph.is_closed
    assert report.never_taken() == []


def test_an_order_closes_and_takes_every_transition(order: Report) -> None:
    assert order.holds, "\n".join(order.lines())
    assert set(order.graph.taken) == {edge.key for edge in order.proofs.chart.transitions}


def test_two_processes_find_what_one_finds(order: Report) -> None:
    with shared_out(order.proofs, Bounds(), 2) as many:
        shared = explore(order.proofs, many=many)

    assert [node.position.snapshot for node in shared.graph.nodes] == [
        node.position.snapshot for node in order.graph.nodes
    ]
    assert [node.out for node in shared.graph.nodes] == [node.out for node in order.graph.nodes]
    assert shared.graph.answers == order.graph.answers


def test_several_processes_agree_on_members_that_count_coarsely() -> None:
    proofs = replace(proofs_of("payments_account"), domains=[domain("deposit", *({"cents": n} for n in (1, 5, 7)))])
    alone = explore(proofs)

    with shared_out(proofs, Bounds(), 3) as many:
        shared = explore(proofs, many=many)

    assert alone.graph.keys.coarse == shared.graph.keys.coarse == {"$.balance"}
    assert [node.out for node in shared.graph.nodes] == [node.out for node in alone.graph.nodes]


def test_an_error_of_a_process_is_raised_here() -> None:
    proofs = replace(proofs_of("signup"), domains=[domain("click", lambda m: m.data.sercet)])

    with (
        pytest.raises(BadProofs, match="domain\\('click', …\\): its function raised AttributeError"),
        shared_out(proofs, Bounds(), 2) as many,
    ):
        explore(proofs, many=many)


def test_an_order_without_its_guard_is_shipped_and_paid_back_after_nine_moves(order: Report) -> None:
    chart = order.proofs.chart
    edges = tuple(
        replace(edge, guards=()) if any(guard.name == "is_here" for guard in edge.guards) else edge
        for edge in chart.transitions
    )
    without = replace(chart, transitions=edges)

    report = explore(replace(order.proofs, chart=without))

    (found,) = report.findings
    assert (found.claim, len(found.path) - 1) == ("never", 9)
    assert "is shipped and paid back" in found.name
    assert "ends in cancelled; the last transition, 'done.invoke.cancelling', is at" in found.words


def test_a_suite_covers_every_transition_and_passes(order: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.delitem(sys.modules, "proofs", raising=False)
    found = cover(order)
    imported = order.proofs.imported._replace(module="proofs.order")
    source = suite(replace(order.proofs, imported=imported), found.paths, found.refused)

    tests = written_in(source)
    for test in tests:
        test()

    assert len(tests) == len(found.paths) + len(found.refused)
    assert found.transitions == {edge.key for edge in chart_from(order.proofs.chart).transitions}
