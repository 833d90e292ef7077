"""The pages as functions: values in, HTML out."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from statemachine import State, StateChart

from durable_fsm import after, durable, event
from durable_fsm.admin.inventory import MachineRow
from durable_fsm.admin.problems import Diagnosis
from durable_fsm.console.coverage import CoverageReport, NotACoverage, covered_by, read_coverage
from durable_fsm.console.fleet_page import OVERLAYS, FleetScene, fleet_page, fleet_panels, fleet_print
from durable_fsm.console.formatting import ago, clock, number, rate, size, stamp
from durable_fsm.console.list_page import (
    ChartCard,
    ListQuery,
    MachinesScene,
    charts_page,
    csv_lines,
    grave,
    groups_of_troubles,
    machines_page,
    troubles_page,
)
from durable_fsm.console.machine_page import MachineScene, machine_page, machine_panels, segments_of
from durable_fsm.console.pictures import heat_of, lit, picture
from durable_fsm.console.reading import DeployedChart, KnownChart
from durable_fsm.console.rendering import PageFrame, assets, theme_sheet
from durable_fsm.console.traffic import WalkEntry, WalkStep, traffic_of
from durable_fsm.console.versions_page import VersionsScene, chosen, edges_between, states_between, versions_page
from durable_fsm.plan.plan_file import PlanHead, PlannedKind, PlanVerdict, SavedPlan
from tests.console.machines import ENTRIES, KETTLE, Kettle, Tea, counts, known, shown, without_code

FRAME = PageFrame(as_of=3_600_000)
NUMBERS = counts((("steeping",), "running", "2", 9), (("cold",), "running", "1", 2), (("drunk",), "done", "2", 1_200))
EVIL = "<script>alert(1)</script>"


def machine(**members: Any) -> str:
    return machine_page(MachineScene(FRAME, shown(**members)))


NAMES = (
    "machine", "machine then", "machine of a strange key", "machine without a chart", "machines", "no machines", "charts",
    "no charts", "troubles", "no troubles", "versions", "stale", *OVERLAYS,
)  # fmt: skip


@cache
def all_pages() -> dict[str, str]:
    traffic = traffic_of([[WalkEntry(1, 3_599_000, (WalkStep((), ("cold",), ("cold--fill--1",)),))]], 0, 3_600_000)
    fleet = FleetScene(FRAME, known(), NUMBERS)
    row = MachineRow("Kettle", EVIL, "running", "1", ("cold",), None, 1, (), "it is paused", (), None, None, "")
    coverage = (CoverageReport("tests.json", frozenset({"cold--fill--1"})),)
    pages = {
        "machine": machine(),
        "machine then": machine(n=2),
        "machine of a strange key": machine(key=EVIL, data={EVIL: EVIL}, entries=[{**ENTRIES[0], "event": EVIL}]),
        "machine without a chart": machine(chart=KnownChart("Kettle", None, "it carries none")),
        "machines": machines_page(MachinesScene(FRAME, known(), ListQuery.of({"prefix": EVIL}), [row], "k", NUMBERS)),
        "no machines": machines_page(MachinesScene(FRAME, known(), ListQuery(), [], None, NUMBERS)),
        "charts": charts_page(FRAME, [ChartCard(known(), NUMBERS, traffic), ChartCard(known(None), NUMBERS)]),
        "no charts": charts_page(FRAME, []),
        "troubles": troubles_page(FRAME, groups_of_troubles([Diagnosis("failed", EVIL, "repair", "Kettle", EVIL, 5)])),
        "no troubles": troubles_page(FRAME, []),
        "versions": versions_page(VersionsScene(FRAME, known(), NUMBERS, None, known().deployments[0])),
        "stale": machine_page(MachineScene(replace(FRAME, stale=EVIL), shown())),
    }
    for overlay in OVERLAYS:
        pages[overlay] = fleet_page(replace(fleet, overlay=overlay, traffic=traffic, coverage=coverage, state="cold"))
    return pages


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_nothing_that_its_policy_forbids_and_escapes_what_is_foreign(name: str) -> None:
    page = all_pages()[name]

    assert EVIL not in page
    assert not re.search(r"<[^>]*\s(style|on\w+)=", page)
    assert "<style" not in page
    assert re.findall(r"<script(?![^>]*(?:src=\"/static/|type=\"application/json\"))", page) == []
    assert re.findall(r"(?:src|href)=\"(?!/|#|\?)[^\"]*\"", page) == []  # nothing foreign
    assert page.count("<h1") == 1


def test_a_machine_is_shown_with_all_it_does_and_waits_for() -> None:
    page = machine()

    assert "Hot › Steeping" in page
    assert 'data-state="steeping"' in page
    assert re.search(r'class="fsm-state [^"]*is-active[^"]*" data-state="steeping"', page)
    assert re.search(r'class="fsm-transition [^"]*is-taken[^"]*"[^>]*data-key="boiling--done.invoke.boiling--1"', page)
    assert "forget" in page
    assert "after 5 min" in page
    assert "boiling failed" in page
    assert "Cold: card [redacted] is cold" in page
    assert "ann" in page
    assert "drink" in page
    assert "[is_ready]" in page
    assert 'data-until="361000"' in page


def test_a_machine_of_the_past_is_shown_as_it_was() -> None:
    page = machine(n=2)

    assert re.search(r'class="fsm-state [^"]*is-active[^"]*" data-state="boiling"', page)
    assert "as it was at 1970-01-01 00:01:01.000 UTC" in page
    assert "Step 2 of 4" in page
    assert 'class="d1 v-text new"' in page  # what the step changed
    assert "data-until" not in page  # timers belong to the present


def test_data_of_the_past_is_shown_only_where_it_is_recorded() -> None:
    bare = [{name: value for name, value in one.items() if name not in ("seed", "data", "set")} for one in ENTRIES]

    page = machine(n=1, entries=bare)

    assert "History(record=True)" in page
    assert "oolong" not in page.partition('id="p-side"')[2].partition("<dl")[0]


def test_a_machine_that_cannot_be_read_says_why_and_shows_nothing_raw() -> None:
    page = machine(status="levitating", data={"leaves": "raw-bytes"})

    assert "raw-bytes" not in page
    assert "Cannot be read" in page
    assert "unreadable" in page


def test_the_panels_have_the_ids_of_the_parts_that_they_replace() -> None:
    page, panels = machine(), machine_panels(MachineScene(FRAME, shown()))

    ids = re.findall(r'id="(p-[a-z]+)"', panels)
    assert ids == ["p-head", "p-time", "p-history", "p-side"]
    assert all(f'id="{id}"' in page for id in ids)


def test_the_story_is_json_that_cannot_end_its_element() -> None:
    page = machine(entries=[{**ENTRIES[0], "event": "</script><b>"}])

    text = re.findall(r'id="story">(.*?)</script>', page)
    assert json.loads(text[0])["steps"][0][2] == "</script><b>"


def test_a_history_is_filtered_to_failures_or_one_event() -> None:
    scene = MachineScene(FRAME, shown(), show="failures")

    page = machine_page(scene)

    assert re.findall(r'<tr data-n="(\d)"', page) == ["3"]
    assert "1 step of 4 steps" in page


def test_a_long_history_is_shown_in_parts() -> None:
    entries = [{"n": n, "seq": n, "at": n * 1_000, "event": "x"} for n in range(1, 251)]
    page = machine_page(MachineScene(FRAME, shown(entries=entries, seq=250)))
    earlier = machine_page(MachineScene(FRAME, shown(entries=entries, seq=250), upto=150))

    assert re.findall(r'<tr data-n="(\d+)"', page)[::99] == ["250", "151"]
    assert "upto=150" in page
    assert re.findall(r'<tr data-n="(\d+)"', earlier)[::99] == ["150", "51"]
    assert page.count('class="seg ') == 48


def test_a_segment_of_the_timeline_is_wide_as_its_time_is_long_but_idle_days_do_not_fill_it() -> None:
    moments = shown().moments

    found = segments_of(moments, 4, 63_000 + 3 * 86_400_000)

    assert round(sum(one.w for one in found)) in (99, 100)
    assert found[3].w > found[0].w > found[1].w
    assert found[3].w < 60
    assert segments_of((), 0, 0) == []


def test_a_fleet_shows_numbers_on_its_diagram_and_in_a_table() -> None:
    page = all_pages()["population"]

    assert re.findall(r'data-badge="(\w+)".*?>([\d\u202f]+)</text>', page) == [
        ("cold", "2"),
        ("steeping", "9"),
        ("drunk", "1\u202f200"),
    ]
    assert "1\u202f211" in page


def test_a_fleet_of_one_version_counts_only_that() -> None:
    panels = fleet_panels(FleetScene(FRAME, known(), NUMBERS, version="1"))

    assert re.findall(r"data-badge=\"(\w+)\"", panels) == ["cold"]
    assert fleet_print(NUMBERS) != fleet_print(counts((("cold",), "running", "1", 3)))


def test_transitions_that_nobody_took_are_marked() -> None:
    page = all_pages()["never"]

    assert re.search(r'fsm-transition [^"]*cold[^"]*"[^>]*data-key="steeping--drink--1"', page)
    assert re.search(r'fsm-transition [^"]*faint[^"]*"[^>]*data-key="cold--fill--1"', page)


def test_a_card_says_how_many_transitions_there_are_an_hour_and_of_what() -> None:
    steps = [WalkEntry(1, 3_599_000, (WalkStep((), ("cold",), ("cold--fill--1", "cold--fill--1")),))]
    day = traffic_of([steps, []], 3_600_000 - 86_400_000, 3_600_000)

    page = charts_page(FRAME, [ChartCard(known(), NUMBERS, day)])
    quick, slow = all_pages()["charts"].split('class="tile"')[1:]

    assert "<b>0.1</b> transitions an hour" in page
    assert "2 in 24 h, by the histories of 2 machines" in page
    assert page.count("<rect x=") == 1
    assert ("data-soon" in quick, "data-soon" in slow) == (False, True)
    assert [rate(value) for value in (0, 0.04, 3.14, 9.96, 1_204)] == ["0", "< 0.1", "3.1", "10", "1\u202f204"]


def test_coverage_is_read_from_what_pytest_and_explore_write(tmp_path: Path) -> None:
    edges = [edge.key for edge in KETTLE.transitions]
    counts = dict.fromkeys(edges, 0) | {"cold--fill--1": 3}
    written = {
        "pytest.json": {"format": 1, "charts": {"Kettle": {"version": "2", "digest": "old", "transitions": counts}}},
        "space.json": {"chart": "Kettle", "digest": KETTLE.digest, "transitions": {**counts, "gone--away--1": 2}},
        "report.json": [{"chart": "Kettle", "unreached": ["steeping--drink--1"]}, {"chart": "Cup", "unreached": []}],
    }
    for name, document in written.items():
        (tmp_path / name).write_text(json.dumps(document))

    found = read_coverage([tmp_path / name for name in written])
    tests, space, report = found["Kettle"]
    page = fleet_page(FleetScene(FRAME, known(), NUMBERS, "coverage", coverage=found["Kettle"]))

    assert covered_by(KETTLE, [tests]) == covered_by(KETTLE, [space]) == {"cold--fill--1"}
    assert covered_by(KETTLE, found["Kettle"]) == {*edges} - {"steeping--drink--1"}
    assert [one.is_old(KETTLE) for one in (tests, space, report)] == [True, False, False]
    assert "pytest.json is about an earlier Kettle: write it again." in page
    assert f"<span>{len(edges) - 1} of {len(edges)}</span>" in page
    assert covered_by(KETTLE, ()) is None


@pytest.mark.parametrize("text", ["", "[]x", "7", '"charts"', '{"chart": "Kettle"}', '{"charts": {"Kettle": {}}}'])
def test_a_file_that_says_nothing_of_coverage_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "some.json").write_text(text)

    with pytest.raises(NotACoverage, match=r"some\.json.*Name a file of pytest --fsm-coverage"):
        read_coverage([tmp_path / "some.json"])


@durable(name="Kettle", version="3", redact=("card",))
class Boiler(StateChart[Tea]):
    """The next version: it only boils."""

    cold = State(initial=True)

    class hot(State.Compound):
        boiling = State(initial=True)
        steeping = State()
        cool = boiling.to(steeping)

    fill = event(cold.to(hot), Tea)
    forget = after(timedelta(minutes=5), hot.to(cold))


def test_versions_are_compared_state_by_state() -> None:
    old, new = KETTLE, without_code(Boiler)
    builds = (DeployedChart("dp_2", "2031", new), DeployedChart("dp_1", "2030", old))
    both = replace(known(new), deployments=builds)

    page = versions_page(VersionsScene(FRAME, both, NUMBERS, *chosen(both, "2", "3")))

    assert states_between(old, new) == ({"drunk": "v-old", "boiling": "v-changed"}, {"boiling": "v-changed"})
    assert edges_between(old, new)[0]["steeping--drink--1"] == "v-old"
    assert edges_between(old, new)[1] == {"boiling--cool--1": "v-new"}
    assert re.search(r"removed</b></td><td>state</td><td>Drunk</td><td class=\"n\"><a[^>]*>1\u202f200<", page)
    assert [build and build.id for build in chosen(both, "", "")] == ["dp_1", "dp_2"]
    assert [build and build.id for build in chosen(both, "dp_1", "nine")] == ["dp_1", "dp_2"]


def test_the_verdicts_of_a_plan_are_shown_with_their_machines() -> None:
    kinds = (
        PlannedKind("Kettle", PlanVerdict.MOVES, "2", ("cold",), ("cold",), 7, "k-7"),
        PlannedKind("Kettle", PlanVerdict.BLOCKED, "2", ("drunk",), (), 2, "k-9", needs_you=True),
        PlannedKind("Cup", PlanVerdict.BLOCKED, "1", ("full",), (), 3, "c-1"),
    )
    plan = SavedPlan(Path("plan.json"), PlanHead("2030-01-01", "shop:app", None, ()), kinds)
    old, new = KETTLE, without_code(Boiler)
    builds = (DeployedChart("dp_2", "2031", new), DeployedChart("dp_1", "2030", old))
    both = replace(known(new), deployments=builds)

    page = versions_page(VersionsScene(FRAME, both, NUMBERS, builds[1], builds[0], plan))

    assert re.findall(r'class="w-(\w+)"', page) == ["blocked", "moves"]
    assert "key=k-9" in page
    assert "key=c-1" not in page
    assert re.search(r'class="fsm-state [^"]*v-old[^"]*" data-state="drunk"', page)
    assert re.search(r'class="fsm-state [^"]*v-new[^"]*" data-state="cold"', page)


def test_traffic_counts_moves_and_stays_of_every_machine() -> None:
    one = [
        WalkEntry(2, 3_000, (WalkStep(("a",), ("b",), ("a--go--1",)),)),
        WalkEntry(1, 1_000, (WalkStep((), ("a",)),)),
        WalkEntry(3, 9_000, (WalkStep(("b",), ("a",), ("b--back--1",)),)),
    ]
    other = [WalkEntry(1, "1970-01-01T00:00:05+00:00", (WalkStep(("a",), ("b",), ("a--go--1",)),))]

    found = traffic_of([one, other], 2_000, 8_000)

    assert (found.machines, found.entries, found.moves) == (2, 4, 2)
    assert found.taken == {"a--go--1": 2}
    assert found.ever == {"a--go--1": 2, "b--back--1": 1}
    assert found.dwell("a") == (2_000, 2_000)
    assert found.dwell("b") is None
    assert sum(found.buckets) == 2
    assert found.per_hour == 1_200


def test_the_filters_of_an_address_are_those_of_the_list_command() -> None:
    query = ListQuery.of({"state": "cold", "older": "2h", "parked": "1", "where": "customer=ann", "version": ""})

    assert query.wanted.older_than == timedelta(hours=2)
    assert (query.wanted.state, query.wanted.parked, query.wanted.version) == ("cold", True, None)
    assert query.wanted.fields == {"customer": "ann"}
    assert query.problem == ""


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [("older", "long", "not a duration"), ("status", "ill", "no status 'ill'"), ("where", "ann", "not a condition")],
)
def test_a_filter_that_cannot_be_meant_is_told(name: str, value: str, problem: str) -> None:
    assert problem in ListQuery.of({name: value}).problem


def test_a_text_that_a_spreadsheet_would_run_is_quoted() -> None:
    row = MachineRow("Kettle", "=1+1", "running", "1", ("cold", "x"), None, 0, (), None, (), None, None, "")

    assert list(csv_lines([row])) == [
        "key,status,states,version,changed,parked,stuck,failing\n",
        "'=1+1,running,cold x,1,,,,\n",
    ]


def test_troubles_are_grouped_by_kind_the_gravest_first() -> None:
    found = [Diagnosis("stale", "old", "rm"), *[Diagnosis("failed", f"{n}", "fix", "K", f"{n}", n) for n in range(60)]]

    groups = groups_of_troubles(found)

    assert [(group.kind, group.many, len(group.shown), group.more) for group in groups] == [
        ("failed", 60, 50, 10),
        ("stale", 1, 1, 0),
    ]
    assert grave(found) == 60
    (paused,) = groups_of_troubles([Diagnosis("paused", "K/k:1: it waits.", "resume", "K", "k:1")])
    assert paused.shown[0].what == "It waits."
    assert "Nothing is wrong" in all_pages()["no troubles"]


def test_a_command_that_is_copied_keeps_all_but_the_address_of_the_server() -> None:
    remedies = ["curl -X DELETE 'http://10.0.0.7:9070/deployments/dp_1?force=true'", "durable-fsm repair Kettle/k-1"]

    (group,) = groups_of_troubles([Diagnosis("stale", "http://10.0.0.7:9080 is old", one) for one in remedies])

    assert [one.remedy for one in group.shown] == ["curl -X DELETE $ADMIN'/deployments/dp_1?force=true'", remedies[1]]
    assert group.shown[0].what == "The server is old"
    assert "<code>$ADMIN</code> is the address" in troubles_page(FRAME, [group])


def test_a_picture_is_drawn_once_and_lit_afterwards() -> None:
    drawn = picture(KETTLE)

    assert drawn is not None
    assert drawn is picture(without_code(Kettle))  # equal charts share it
    assert drawn.states == {"cold", "hot", "boiling", "steeping", "drunk"}
    assert "<style" not in drawn.svg
    assert lit(drawn, transitions={"cold--fill--1": "x"}).count(' x"') == 1
    assert picture(None) is None
    assert [heat_of(value, 100) for value in (0, 1, 10, 100)] == [0, 1, 3, 4]


def test_scripts_are_small_and_of_one_piece() -> None:
    files = assets()

    assert sum(len(content) for name, content in files.items() if name.endswith(".js")) < 40_000
    assert all(b"http" not in content.replace(b"http://www.w3.org/2000/svg", b"") for content in files.values())
    assert "light-dark(#ffffff,#1a2538)" in theme_sheet()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0 s"),
        (400, "400 ms"),
        (59_999, "59 s"),
        (200_000, "3 min 20 s"),
        (3_600_000, "1 h"),
        (1e8, "1 d 3 h"),
        (None, ""),
    ],
)
def test_lengths_of_time_have_two_units(value: float | None, words: str) -> None:
    assert ago(value) == words


def test_numbers_and_instants_are_written_for_people() -> None:
    assert number(18_422) == "18\u202f422"
    assert [size(999), size(2_340), size(16_000_000)] == ["999 bytes", "2.3 KB", "16.0 MB"]
    assert (clock(None), clock(3_661_000), stamp(0)) == ("", "01:01:01", "1970-01-01 00:00:00.000 UTC")


def test_addresses_begin_with_the_path_of_the_proxy() -> None:
    page = machine_page(MachineScene(replace(FRAME, root="/fsm"), shown()))

    assert re.findall(r"(?:src|href)=\"/(?!fsm/)", page) == []


def test_an_address_may_have_conditions_of_any_names() -> None:
    foreign = {"path": "1", "self": "2", "query": "3", "template": "4"}

    assert FRAME.url("/chart", **foreign) == "/chart?path=1&self=2&query=3&template=4"
