"""The performance page shows the committed measurements, and its conclusions follow from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.figures import FLAT, Spread, Verdict, compare, interval, ratio_interval, slope, spread, verdicts
from benchmarks.inside import PARTS
from benchmarks.load import Sample
from benchmarks.plots import PICTURES, Picture
from benchmarks.report import PAGE, README, README_TABLES, RESULTS, TABLES, in_page
from benchmarks.serving import SERVERS, WAYS, WORK, compared
from benchmarks.shapes import SHAPES

SOURCE = Path(__file__).parents[2] / "src"


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
    assert {len(each) for each in results["disturbed"].values()} == {6}
    assert {len(each) for each in results["apart"].values()} == {6}
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
    assert len(ends) == 4 * len(SERVERS) + 3 * 4 + 2 + len(FLAT) + 1 + len(SERVERS)
    assert set(ends) <= {"met", "**missed**"}


# ── targets ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def pair(ours: str, other: str, **ratios: float) -> dict[str, Any]:
    """A pair whose every round has these ratios."""
    found = Sample(**{**sample()._asdict(), **{name: sample()._asdict()[name] * by for name, by in ratios.items()}})
    return {"ours": ours, "other": other, "rounds": [[found, sample()]] * 2}


def judged(*pairs: dict[str, Any], **others: Any) -> dict[tuple[str, str], Verdict]:
    """The verdicts over results in which every target beside the pairs is just met, unless *others* says otherwise."""
    growing = {name: {"1": [sample(), sample()], "2": [sample(), sample()]} for name in FLAT}
    results = {
        "pairs": pairs,
        "inside": {"hand-written": {"us": [100.0]}, "ours for the same work": {"us": [80.0]}},
        "shapes": {
            "flat, python-statemachine": [sample(service=0.4)],
            "a background activity with every event": [sample(service=1.4)],
        },
        "growth": growing,
        "startup": {"imports": {"import durable_fsm": {"ms": [149.0]}}, "ready_ms": {"uvicorn": [900.0, 1100.0]}},
        **others,
    }
    return {(one.whom, one.wanted): one for one in verdicts(results)}


@pytest.mark.parametrize(
    ("ours", "other", "just", "missed"),
    [
        ("ours for the same work, uvicorn", "hand-written, uvicorn", {"throughput": 1.0}, {"throughput": 0.99}),
        ("ours for the same work, uvicorn", "hand-written, uvicorn", {"p50_ms": 1.0}, {"p50_ms": 1.01}),
        ("ours for the same work, uvicorn", "hand-written, uvicorn", {"service_cpu_ms": 0.9}, {"service_cpu_ms": 0.91}),
        ("ours, granian", "hand-written, granian", {"throughput": 0.95}, {"throughput": 0.94}),
        ("ours, uvicorn", "hand-written, TypeScript", {"throughput": 1.0}, {"throughput": 0.99}),
        ("ours for the same work, uvicorn", "hand-written, TypeScript", {"throughput": 1.0}, {"throughput": 0.99}),
        ("ours for the same work, uvicorn", "XState integration", {"throughput": 1.5}, {"throughput": 1.49}),
        ("ours, uvicorn", "XState integration", {"throughput": 1.4}, {"throughput": 1.39}),
        ("ours, uvicorn", "XState integration", {"p50_ms": 1.0}, {"p50_ms": 1.01}),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_the_mean_ratio_of_a_pair_is_compared_with_its_target(
    ours: str, other: str, just: dict[str, float], missed: dict[str, float]
) -> None:
    [measure] = just
    words = {"throughput": "throughput", "p50_ms": "p50", "service_cpu_ms": "CPU of the service"}[measure]

    def verdict(ratios: dict[str, float]) -> Verdict:
        [found] = [
            one
            for (_, wanted), one in judged(pair(ours, other, **ratios)).items()
            if wanted.startswith(words) and one.whom == f"{ours} / {other}"
        ]
        return found

    assert verdict(just).met
    assert not verdict(missed).met
    assert verdict(missed).measured == "{0:.2f} ({0:.2f} to {0:.2f})".format(missed[measure])


def test_the_cpu_of_the_service_by_default_has_no_target() -> None:
    found = judged(pair("ours, uvicorn", "hand-written, uvicorn", service_cpu_ms=9.0))

    assert [wanted for whom, wanted in found if whom == "ours, uvicorn / hand-written, uvicorn"] == [
        "throughput: at least 0.95"
    ]


def test_targets_beside_the_pairs_are_met_exactly() -> None:
    assert {one.met for one in judged().values()} == {True}


def test_targets_beside_the_pairs_are_missed() -> None:
    rising = {size: [sample(service=cpu), sample(service=cpu)] for size, cpu in {"1": 0.4, "2": 0.5}.items()}
    found = judged(
        inside={"hand-written": {"us": [100.0]}, "ours for the same work": {"us": [81.0]}},
        shapes={
            "flat, python-statemachine": [sample(service=0.4)],
            "a background activity with every event": [sample(service=1.41)],
        },
        growth=dict.fromkeys(FLAT, rising),
        startup={"imports": {"import durable_fsm": {"ms": [150.0]}}, "ready_ms": {"uvicorn": [1001.0]}},
    )

    assert {one.met for one in found.values()} == {False}
    assert [one.measured for one in found.values()] == [
        "0.81",
        "3.52",
        *["+100 to +100 µs an event"] * len(FLAT),
        "150 ms",
        "1001 ms",
    ]


# ── statistics ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ratios_compare_neighbouring_runs_and_cpu_is_their_difference() -> None:
    slow, fast = sample(500.0, 20.0, 0.8, 0.9), sample(1000.0, 10.0, 0.4, 0.7)
    rounds = [[slow, fast], [sample(250.0, 40.0, 0.9), sample(500.0, 20.0, 0.4)]]

    found = compare({"ours": "ours", "other": "other", "rounds": rounds})

    assert found.throughput == pytest.approx((0.5, 0.5, 0.5))
    assert found.p50 == pytest.approx((2.0, 2.0, 2.0))
    assert found.service_cpu.mean == pytest.approx((2.0 * 2.25) ** 0.5)
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
