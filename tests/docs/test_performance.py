"""What the documentation says of speed is what was measured."""

from __future__ import annotations

import json

from benchmarks.speed import PAGE, RESULTS, in_page


def test_the_tables_of_the_page_are_those_of_the_committed_results() -> None:
    page = PAGE.read_text("utf-8")

    assert page == in_page(page, json.loads(RESULTS.read_text("utf-8")))
    assert page.count("\n| ours, uvicorn |") == 2


def test_the_page_has_every_contender_and_every_ratio() -> None:
    results = json.loads(RESULTS.read_text("utf-8"))

    assert len(results["medians"]) == 11
    assert len(results["shapes"]) == 7
    assert {name.partition(",")[0] for name in results["ways"]} == {"hypercorn", "uvicorn", "granian"}
    assert {one["other"] for one in results["compared"]} >= {"hand-written, TypeScript", "XState integration"}
    assert results["rounds"] >= 15
