"""The performance page shows the committed measurements, and its conclusions follow from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.figures import Compared, Interval, Spread, compare, interval, ratio_interval, slope, spread, verdicts
from benchmarks.inside import PARTS
from benchmarks.load import Sample
from benchmarks.plots import PICTURES, Picture
from benchmarks.report import PAGE, README, README_TABLES, RESULTS, TABLES, in_page
from benchmarks.serving import SERVERS, WAYS, WORK, compared
from benchmarks.shapes import SHAPES

SOURCE = Path(__file__).parents[2] / "src"
LEVEL = Interval(1.0, 0.9, 1.1)
QUICK = {"imports": {"import durable_fsm": {"ms": [10.0, 20.0]}}, "ready_ms": {"uvicorn": [900.0, 1000.0]}}


@pytest.fixture
def results() -> Any:
    return json.loads(RESULTS.read_text("utf-8"))


def sample(throughput: float = 1000.0, p50_ms: float = 10.0, service: float = 0.4, restate: float = 0.7) -> Sample:
    return Sample(throughput, p50_ms, 20.0, service, restate, 0.1)


# ── the page ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_tables_of_the_page_are_those_of_the_committed_results(results: Any) -> None:
    page = PAGE.read_text("utf-8")

    assert page == in_page(page, results)
    assert page.count("\n| ours, uvicorn |") == 2


def test_the_table_of_the_readme_is_that_of_the_committed_results(results: Any) -> None:
    readme = README.read_text("utf-8")

    assert readme == in_page(readme, results, README_TABLES)
    assert "\n| ours, uvicorn |" in readme


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_of_the_page_shows_the_committed_results(picture: Picture, results: Any) -> None:
    drawn = picture.file.read_text("utf-8")

    assert f"<dc:description>{picture.digest(results)}</dc:description>" in drawn
    assert f"](pictures/{picture.file.name})" in PAGE.read_text("utf-8")


def test_a_picture_of_other_results_is_rejected(results: Any) -> None:
    before = [picture.digest(results) for picture in PICTURES]

    results["pairs"] = results["pairs"][1:]
    results["ways"]["a pure event"]["uvicorn, HTTP/1.1"]["many"] = [sample(), sample()]
    results["growth"]["KiB of data"]["100"][0][3] += 1

    assert all(picture.digest(results) != digest for picture, digest in zip(PICTURES, before, strict=True))


@pytest.mark.parametrize("change", [("<!-- speed: ways -->", ""), ("speed: ways", "speed: loads")])
def test_a_page_without_a_place_for_every_table_is_an_error(change: tuple[str, str], results: Any) -> None:
    page = PAGE.read_text("utf-8").replace(*change)

    with pytest.raises(ValueError, match="wanted is one for each of"):
        in_page(page, results)


def test_every_figure_comes_from_enough_measurements(results: Any) -> None:
    pairs = {(pair["ours"], pair["other"]): pair["rounds"] for pair in results["pairs"]}

    assert list(pairs) == compared()
    assert min(map(len, pairs.values())) >= 15
    assert list(results["shapes"]) == list(SHAPES)
    assert list(results["ways"]) == list(WORK)
    assert all(list(found) == [way.name for way in WAYS] for found in results["ways"].values())
    assert min(len(one[load]) for found in results["ways"].values() for one in found.values() for load in one) >= 6
    assert len(results["growth"]) == 5
    assert list(results["startup"]["ready_ms"]) == list(SERVERS)
    assert {len(one["us"]) for one in results["inside"].values()} == {9}
    assert results["fields"] == list(Sample._fields)


def test_every_part_of_an_event_names_source_files_that_exist() -> None:
    files = [str(path.relative_to(SOURCE)) for path in (SOURCE / "durable_fsm").rglob("*.py")]
    named = [prefix for prefixes in PARTS.values() for prefix in prefixes if prefix.startswith("durable_fsm")]

    assert [prefix for prefix in named if not any(file.startswith(prefix) for file in files)] == []


def test_importing_durable_fsm_needs_no_optional_dependency(results: Any) -> None:
    assert results["startup"]["imports"]["import durable_fsm"]["optional"] == []


def test_the_page_lists_every_target_as_met_or_missed(results: Any) -> None:
    *_, head, line, table = TABLES["targets"](results).split("\n", 4)
    ends = [row.rsplit("|", 2)[1].strip() for row in table.splitlines()]

    assert head == "|  | target | measured |  |"
    assert line == "|---|---|---|---|"
    assert len(ends) == 3 * len(SERVERS) + 3 * 4 + 1 + len(SERVERS)
    assert set(ends) <= {"met", "**missed**"}


# ── targets ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def beside(ours: str, other: str, throughput: Interval = LEVEL, p50: Interval = LEVEL, cpu: float = 0.0) -> Compared:
    return Compared(ours, other, throughput, p50, cpu, 0.0)


@pytest.mark.parametrize(
    ("throughput", "p50", "cpu", "met"),
    [
        (Interval(0.90, 0.85, 0.95), Interval(1.08, 1.00, 1.20), 0.15, [True, True, True]),
        (Interval(0.90, 0.84, 0.96), Interval(1.09, 1.00, 1.20), 0.16, [False, False, False]),
        (Interval(0.90, 0.86, 0.94), Interval(0.90, 0.80, 1.00), -0.1, [False, True, True]),
        (Interval(1.20, 1.10, 1.30), Interval(0.90, 0.80, 1.00), -0.1, [True, True, True]),
    ],
)
def test_variants_with_the_same_work_are_compared_with_the_hand_written_object(
    throughput: Interval, p50: Interval, cpu: float, met: list[bool]
) -> None:
    pair = beside("ours for the same work, uvicorn", "hand-written, uvicorn", throughput, p50, cpu)

    found = verdicts([pair], QUICK)

    assert [one.met for one in found[:3]] == met
    assert found[0].measured == f"{throughput.mean:.2f} ({throughput.low:.2f} to {throughput.high:.2f})"


@pytest.mark.parametrize("ours", ["ours, hypercorn", "ours for the same work, hypercorn"])
@pytest.mark.parametrize(
    ("other", "throughput", "p50", "met"),
    [
        ("hand-written, TypeScript", 1.0, 1.3, [True]),
        ("hand-written, TypeScript", 0.99, 0.8, [False]),
        ("XState integration", 1.5, 0.99, [True, True]),
        ("XState integration", 1.49, 1.0, [False, False]),
    ],
)
def test_both_of_our_variants_are_compared_with_the_peers(
    ours: str, other: str, throughput: float, p50: float, met: list[bool]
) -> None:
    pair = beside(ours, other, Interval(throughput, 0.1, 9.0), Interval(p50, 0.1, 9.0))

    found = verdicts([pair], QUICK)

    assert [one.met for one in found[:-2]] == met
    assert {one.whom for one in found[:-2]} == {f"{ours} / {other}"}


def test_variants_with_a_history_are_not_compared_with_the_hand_written_object() -> None:
    found = verdicts([beside("ours, uvicorn", "hand-written, uvicorn")], QUICK)

    assert [one.whom for one in found] == ["`import durable_fsm`", "ready with 50 machines, uvicorn"]


def test_the_medians_of_the_start_times_are_compared_with_their_targets() -> None:
    slow = {"imports": {"import durable_fsm": {"ms": [140.0, 150.0, 160.0]}}, "ready_ms": {"uvicorn": [1001.0]}}

    assert [one.met for one in verdicts([], QUICK)] == [True, True]
    assert [(one.measured, one.met) for one in verdicts([], slow)] == [("150 ms", False), ("1001 ms", False)]


# ── statistics ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ratios_compare_neighbouring_runs_and_cpu_is_their_difference() -> None:
    slow, fast = sample(500.0, 20.0, 0.8, 0.9), sample(1000.0, 10.0, 0.4, 0.7)
    rounds = [[slow, fast], [sample(250.0, 40.0, 0.9), sample(500.0, 20.0, 0.4)]]

    found = compare({"ours": "ours", "other": "other", "rounds": rounds})

    assert found.throughput == pytest.approx((0.5, 0.5, 0.5))
    assert found.p50 == pytest.approx((2.0, 2.0, 2.0))
    assert found.service_cpu_ms == pytest.approx(0.45)
    assert found.restate_cpu_ms == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("values", "half"),
    [
        ([0.0, 1.0], 12.706 * 0.5),
        ([1.0, 2.0, 3.0], 4.303 / 3**0.5),
        ([-1.0, 1.0] * 50, 2.042 * 1.0050378 / 10),
    ],
)
def test_a_confidence_interval_uses_the_t_distribution(values: Sequence[float], half: float) -> None:
    mean = sum(values) / len(values)

    assert interval(values) == pytest.approx((mean, mean - half, mean + half))


def test_a_ratio_and_its_inverse_have_inverse_intervals() -> None:
    mean, low, high = ratio_interval([0.5, 0.8, 1.1])

    assert ratio_interval([2, 1.25, 1 / 1.1]) == pytest.approx((1 / mean, 1 / high, 1 / low))


def test_a_spread_is_median_and_quartiles() -> None:
    assert spread([1, 2, 3, 4, 5]) == Spread(3, 2, 4)


def test_drift_between_rounds_does_not_change_a_slope() -> None:
    """Each round costs more than the one before; within one, ten more of what grows cost 0.2 ms."""
    grown = {str(size): [sample(service=drift + size * 0.02) for drift in (0.3, 0.5, 0.9)] for size in (1, 10, 100)}

    assert slope(grown, "service_cpu_ms") == pytest.approx((0.02, 0.02, 0.02))
