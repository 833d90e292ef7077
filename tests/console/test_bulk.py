"""Acting on many machines: those that match, or those that are ticked; an event for them, or their migration."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from statemachine import State, StateChart

from durable_fsm import activity, chart_from, durable, event, migration
from durable_fsm.admin.inventory import MachineRow
from durable_fsm.console.acting import Acting
from durable_fsm.console.bulk import BulkActing, BulkRun, Seen
from durable_fsm.console.list_page import ListQuery, MachinesScene, machines_page
from durable_fsm.console.logins import ActingOptions
from durable_fsm.console.operators import Operator
from durable_fsm.console.reading import DeployedChart, KnownChart
from durable_fsm.console.rendering import PageFrame
from durable_fsm.console.site import site_of
from durable_fsm.errors import EventRejected, NoAnswer, NotIndexed
from tests.console.kitchen import BOOK, BREWING, BULK, CARRIED, HOSTILE, KNOWN, SECRET, Cup, Kitchen, brew, stored
from tests.console.machines import without_code


@pytest.fixture
def many(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> Kitchen:
    kitchen.machines = {f"t-{number}": stored(**(BREWING if number % 3 else {})) for number in range(60)}
    rows = [SimpleNamespace(key=key) for key in kitchen.machines]
    monkeypatch.setattr("durable_fsm.console.bulk.every", lambda *_: iter(rows))
    kitchen.log_in()
    return kitchen


def groups_in(page: str) -> list[tuple[str, str]]:
    """The lines of a preview."""
    return re.findall(r"<tr><td(?: class=.bad.)?>(.*?)</td><td class=.n.>(\d+)</td></tr>", page)


def run_through(kitchen: Kitchen, path: str, form: dict[str, str]) -> tuple[str, str]:
    """Begin a run, and let it end: its page, and its report."""

    async def run() -> tuple[str, str]:
        transport = httpx.ASGITransport(site_of(kitchen.context))
        base = "http://localhost"
        async with httpx.AsyncClient(transport=transport, base_url=base, cookies=kitchen.cookies) as client:
            begun = await client.post(path, data=form, headers={"sec-fetch-site": "same-origin"})
            assert begun.status_code == 303, begun.text
            page = (await client.get(begun.headers["location"])).text
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            await asyncio.gather(*tasks)
            report = (await client.get(begun.headers["location"].replace("/act/run", "/panel/run"))).text
            return page, report

    return asyncio.run(run())


# ── an event ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_for_many_is_looked_at_first_then_run_and_reported(many: Kitchen) -> None:
    shown = many.ask("GET", BULK).text
    assert "<option selected>stop</option>" in shown
    assert groups_in(shown) == [("→ empty", "40"), ("refused in empty", "20")]
    assert many.calls == []

    hidden = many.hidden(BULK)
    without = many.ask("POST", BULK, {**hidden, "do": "run"})
    other = many.ask("POST", BULK, {**hidden, "do": "run", "count": "59", "reason": "the cook is ill"})
    assert (without.status_code, other.status_code) == (422, 422)
    assert "Now 60 machines match, and you saw 59." in other.text

    page, report = run_through(many, BULK, {**hidden, "do": "run", "reason": "the cook is ill"})

    assert "Send stop to many" in page
    assert "60 of 60 machines: it is over." in report
    assert len(many.calls) == 60
    assert {(call[0], call[2], call[3]) for call in many.calls} == {("ann", 3, "stop")}


def test_only_machines_that_are_ticked_get_the_event(many: Kitchen) -> None:
    ticked = "/act/bulk?chart=Teapot&chosen=1&key=t-1&key=t-2&key=t-1&key=t-99&event=stop&state=ready"

    shown = many.ask("GET", ticked).text
    _, report = run_through(many, ticked, {**many.hidden(ticked), "do": "run", "reason": "the cook is ill"})

    assert groups_in(shown) == [("→ empty", "2"), ("is not there any more", "1")]
    assert re.findall(r"Send to (\d+) machines", shown) == ["2"]
    assert "2 of 2 machines: it is over." in report
    assert sorted(call[1] for call in many.calls) == ["t-1", "t-2"]


def test_to_tick_none_is_not_to_mean_all(many: Kitchen) -> None:
    for path in ("/act/bulk?chart=Teapot&chosen=1&event=stop", "/act/bulk?chart=Teapot&chosen=1&migrate=1"):
        page = many.ask("GET", path)

        assert (page.status_code, "No machine is chosen" in page.text, groups_in(page.text)) == (422, True, [])


def test_a_list_has_boxes_to_tick_only_for_operators_who_may_act_on_many() -> None:
    row = MachineRow("Teapot", HOSTILE, "running", "1", ("empty",), None, 0, (), None, (), None, None, "")

    def page(*roles: str) -> str:
        frame = PageFrame(operator=Operator("ann", frozenset(roles)) if roles else None)
        return machines_page(MachinesScene(frame, KNOWN, ListQuery.of({"state": "empty", "key": "x"}), [row]))

    sending, repairing, others = page("bulk", "send"), page("bulk", "repair"), page("send", "repair", "delete")
    assert 'name="key" value="&lt;script&gt;' in sending
    assert '<input type="hidden" name="state" value="empty">' in sending.split('class="panel choose"')[1]
    seen = [("Send an event" in one, "Migrate …" in one) for one in (sending, repairing, page("bulk"))]
    assert seen == [(True, False), (False, True), (False, False)]
    assert ('type="checkbox" name="key"' in others, "Act on all" in others, "<form" in others) == (False, False, True)


def test_a_run_reports_who_refused_and_why(many: Kitchen) -> None:
    run = BulkRun("r1", "ann", "Teapot", "stop", tuple(Seen(f"t-{n}", 3, "", refused=False) for n in range(3)), "/")
    many.refusal = EventRejected(chart="Teapot", key="t-1", event="stop", configuration=("empty",), accepted=())

    asyncio.run(BulkActing(Acting(many.context, many.options))._all(run, BOOK.named("ann") or Operator("x"), None))

    assert (run.taken, run.done, run.is_over, [len(keys) for _, keys in run.reasons]) == (0, 3, True, [2, 1])


def test_a_run_names_no_address_of_the_server(many: Kitchen) -> None:
    run = BulkRun("r1", "ann", "Teapot", "stop", (Seen("t-1", 3, "", refused=False),), "/")
    url, problem = "http://10.0.0.7:8080/Teapot/t-1/send", "refused"
    many.refusal = NoAnswer(
        chart="Teapot", key="t-1", url=url, attempts=3, waited=timedelta(seconds=3), problem=problem
    )

    asyncio.run(BulkActing(Acting(many.context, many.options))._all(run, BOOK.named("ann") or Operator("x"), None))

    assert "10.0.0.7" in str(many.refusal)
    assert "10.0.0.7" not in run.refused["t-1"]
    assert "look before you try again" in run.refused["t-1"]


def test_a_condition_that_cannot_be_met_sends_nothing(many: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    def every(*_: object) -> Iterator[object]:
        raise NotIndexed(chart="Teapot", field="colour", known=("kind",))

    monkeypatch.setattr("durable_fsm.console.bulk.every", every)

    answer = many.ask("POST", f"{BULK}&where=colour%3Dred", {**many.hidden(BULK), "do": "preview"})

    assert (answer.status_code, "there is no index of &#39;colour&#39;" in answer.text) == (422, True)


# ── a migration ───────────────────────────────────────────────────────────────────────────────────────────────────────


@durable(
    name="Teapot", version="2", redact=("card",), migrations=[migration("1", to="2", states={"brewing": "boiling"})]
)
class Samovar(StateChart[Cup]):
    """The next version."""

    empty = State(initial=True)
    boiling = State(invoke=activity(brew))
    cold = State(final=True)

    order = event(empty.to(boiling), Cup)
    done_invoke_boiling = boiling.to(cold)
    error_invoke_boiling = boiling.to(empty)


SAMOVAR, LATEST = chart_from(Samovar), without_code(Samovar)
DEPLOYED = (DeployedChart("dp_2", "2031", LATEST), DeployedChart("dp_1", "2030", CARRIED))
MIGRATE = "/act/bulk?chart=Teapot&migrate=1"


def two_versions(many: Kitchen, monkeypatch: pytest.MonkeyPatch, charts: dict[str, Any]) -> Kitchen:
    """The kitchen after a deployment: of sixty machines some run, one has ended, and others cannot follow or have done so."""
    newer = {"version": "2", "digest": LATEST.digest}
    many.machines |= {
        "t-0": stored(configuration=["cold"], status="done"),
        "t-3": stored(configuration=["ready"]),
        "t-6": stored(version="0"),
        "t-9": stored(**newer),
    }
    found = KnownChart("Teapot", LATEST, "", KNOWN.redaction, DEPLOYED)
    many.options = many.context.logins.options = ActingOptions(SECRET, BOOK, charts=charts)
    monkeypatch.setattr(Kitchen, "chart", lambda *_: found)
    many.log_in()
    return many


def test_many_are_migrated_after_a_preview_that_says_what_a_plan_says(
    many: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_versions(many, monkeypatch, {"Teapot": SAMOVAR})

    shown = many.ask("GET", MIGRATE).text
    hidden = many.hidden(MIGRATE)
    without = many.ask("POST", MIGRATE, {**hidden, "do": "run"})
    page, report = run_through(many, MIGRATE, {**hidden, "do": "run", "reason": "the new pot is here"})

    told = dict(groups_in(shown))
    assert told.pop("1 → 2; brewing → boiling; stop no longer leads on; the work continues as boiling") == "40"
    assert told.pop("1 → 2; empty") == "16"
    assert told.pop("has ended") == told.pop("is at version 2 already") == "1"
    assert (
        sorted((words.partition(":")[0].partition(";")[0], count) for words, count in told.items())
        == [("blocked", "1")] * 2
    )
    assert (without.status_code, "Give a reason" in without.text) == (422, True)
    assert "Migrate many" in page
    assert "56 migrated" in report
    assert len(many.calls) == 56
    assert {(call[0], *call[2:4]) for call in many.calls} == {("ann", 3, "repair")}
    assert many.calls[0][4] == {"reason": "the new pot is here", "migrate": True}


def test_without_the_code_only_versions_are_compared(many: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    two_versions(many, monkeypatch, {})

    told = dict(groups_in(many.ask("GET", MIGRATE).text))

    assert told == {
        "1 → 2 if a migration leads there": "57",
        "0 → 2 if a migration leads there": "1",
        "has ended": "1",
        "is at version 2 already": "1",
    }


def test_many_are_migrated_only_by_those_who_may_repair_one(many: Kitchen) -> None:
    may = {"name": "gus", "charts": frozenset({"Teapot"})}
    sessions = many.context.logins._sessions
    seen: list[tuple[int, int, bool]] = []
    for roles in ({"bulk"}, {"bulk", "send"}, {"bulk", "repair"}):
        session = next(iter(sessions))
        sessions[session] = replace(sessions[session], operator=Operator(**may, roles=frozenset(roles)))
        chosen = [many.ask("GET", path).status_code for path in (MIGRATE, BULK)]
        seen.append((*chosen, "Migrate to version" in many.ask("GET", "/act/bulk?chart=Teapot").text))

    assert seen == [(403, 403, False), (403, 200, False), (200, 403, True)]


def test_a_console_without_data_does_not_tell_where_they_do_not_fit(
    many: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_versions(many, monkeypatch, {"Teapot": SAMOVAR})
    many.machines["t-12"] = stored(data={"sugar": "much"})
    shown = many.ask("GET", MIGRATE).text
    many.context.options = replace(many.context.options, hide_data=True)

    assert "sugar" in shown
    assert "sugar" not in many.ask("GET", MIGRATE).text


def test_a_migration_needs_the_role_for_many_and_something_to_do(many: Kitchen) -> None:
    shown = many.ask("GET", MIGRATE).text
    nothing = many.ask("POST", MIGRATE, {**many.hidden(MIGRATE), "count": "60", "do": "run", "reason": "so"})
    many.log_in("bob", "coffee at six")

    assert groups_in(shown) == [("is at version 1 already", "60")]
    assert 'value="run"' not in shown
    assert (nothing.status_code, "There is nothing to do" in nothing.text) == (422, True)
    assert many.ask("GET", MIGRATE).status_code == 403
    assert many.calls == []
