"""Acting in the console: forms, previews, repairs, and events for many machines."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest

from durable_fsm.console.logins import ActingOptions
from durable_fsm.console.previews import exact
from durable_fsm.core.codec import snapshot_from_json
from durable_fsm.errors import EventRejected, Moved, NotIndexed, NotOperator
from tests.console.kitchen import (
    BOOK,
    BREWING,
    CARD,
    CODE,
    ORDER,
    REPAIR,
    SECRET,
    Kitchen,
    order,
    stored,
)

# ── sending ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_is_sent_by_a_form_made_of_its_schema(kitchen: Kitchen) -> None:
    kitchen.log_in()
    page = kitchen.ask("GET", ORDER).text
    assert all(
        name in page for name in ('name="f.sugar"', 'name="f.kind"', 'type="checkbox" name="f.milk"', "spoons, ≥ 0")
    )

    sent = order(kitchen)

    assert (sent.status_code, sent.headers["location"]) == (303, "/chart/Teapot/machine?key=t-1")
    payload = {"sugar": 2, "kind": "green", "milk": False}
    assert kitchen.calls == [("ann", "t-1", 3, "order", payload, {})]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"f.sugar": "two"}, "expected a number"),
        ({"f.sugar": "true"}, "expected a number"),
        ({"reason": "  "}, "Give a reason"),
        ({"if_seq": "x"}, "does not say at which step"),
    ],
    ids=str,
)
def test_a_form_that_lacks_something_is_shown_again(kitchen: Kitchen, fields: dict[str, str], problem: str) -> None:
    kitchen.log_in()

    answer = order(kitchen, **fields)

    assert (answer.status_code, problem in answer.text, kitchen.calls) == (422, True, [])


def test_an_event_that_comes_too_late_keeps_its_form_and_shows_where_the_machine_is(kitchen: Kitchen) -> None:
    kitchen.log_in()
    fields = {**kitchen.hidden(ORDER), "f.sugar": "7", "f.kind": "oolong", "do": "send", "reason": "by phone"}
    kitchen.machines["t-1"] = stored(seq=9, **BREWING)
    kitchen.refusal = Moved(chart="Teapot", key="t-1", expected=3, seq=9, configuration=("brewing",))

    answer = kitchen.ask("POST", ORDER, fields)

    assert answer.status_code == 409
    assert "The request was made at step 3; it is at step 9 now, in &#39;brewing&#39;" in answer.text
    for kept in ('value="7"', 'value="oolong"', 'value="by phone"', 'name="if_seq" value="9"'):
        assert kept in answer.text
    assert 'is in <span class="pill">Brewing</span>' in answer.text


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (EventRejected(chart="Teapot", key="t-1", event="order", configuration=("ready",), accepted=()), 409),
        (NotOperator(chart="Teapot", key="t-1", handler="send", problem="its signature is wrong."), 403),
    ],
    ids=["rejected", "not an operator"],
)
def test_a_refusal_of_the_machine_is_told(kitchen: Kitchen, refusal: Exception, status: int) -> None:
    kitchen.log_in()
    kitchen.refusal = refusal

    answer = order(kitchen)

    assert (answer.status_code, str(refusal).partition(": ")[2][:20] in unescape(answer.text)) == (status, True)


def test_a_machine_that_is_not_there_can_be_created(kitchen: Kitchen) -> None:
    kitchen.log_in()
    create = "/act/create?chart=Teapot&key=t-9"
    hidden = kitchen.hidden(create)

    without = kitchen.ask("POST", create, hidden)
    created = kitchen.ask("POST", create, {**hidden, "f.kind": "green", "reason": "a guest has come"})

    assert (without.status_code, created.status_code) == (422, 303)
    assert created.headers["location"] == "/chart/Teapot/machine?key=t-9"
    assert kitchen.calls == [("ann", "t-9", 0, "create", {"kind": "green", "milk": False}, {})]
    assert kitchen.ask("GET", "/act/create?chart=Nothing&key=t-9").status_code == 404


# ── previews ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_preview_is_exact_where_the_code_is_and_shows_no_secret(kitchen: Kitchen) -> None:
    kitchen.log_in()

    shown = order(kitchen, do="preview", **{"f.card": "5555-6666"}).text.split('aria-label="Preview"')[1]

    assert "exactly" in shown
    for words in ("Brewing", "begins brewing", "<code>/sugar</code>", "<code>2</code>"):
        assert words in shown
    assert "5555" not in shown
    assert CARD not in shown
    assert kitchen.calls == []


def test_a_preview_by_another_build_or_without_code_is_by_the_chart(kitchen: Kitchen) -> None:
    kitchen.machines["t-1"] = stored(**BREWING)
    without = Kitchen(kitchen.machines, ActingOptions(SECRET, BOOK))
    without.log_in()

    stop = without.ask("GET", "/act/send?chart=Teapot&key=t-1&event=stop").text.split('aria-label="Preview"')[1]
    refused = without.ask("GET", ORDER).text.split('aria-label="Preview"')[1]

    assert "by the chart" in stop
    assert '→ <span class="pill">Empty</span>' in stop
    assert "It would be refused: not accepted in brewing; accepted in empty." in refused


def test_an_exact_preview_is_what_the_turn_does() -> None:
    machine = snapshot_from_json(CODE, stored(**BREWING))

    stop, after_it = exact(CODE, machine, "stop", None, now=None)  # type: ignore[arg-type]
    refused, same = exact(CODE, machine, "order", {"sugar": -1}, now=None)  # type: ignore[arg-type]

    assert (stop.leaves, stop.lines, after_it.configuration) == (("empty",), ("stops brewing",), ("empty",))
    assert ("at $.sugar" in refused.refused, same) == (True, machine)


# ── repairs ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"verb": "retry", "about.retry": "brewing"},
            ("repair", {"reason": "the kettle is mended", "retry": "brewing"}),
        ),
        (
            {"verb": "skip", "about.skip": "brewing", "result": '"cold"'},
            ("repair", {"reason": "the kettle is mended", "skip": "brewing", "result": "cold"}),
        ),
        ({"verb": "move", "about.move": "ready"}, ("repair", {"reason": "the kettle is mended", "move": ["ready"]})),
        ({"verb": "pause"}, ("repair", {"reason": "the kettle is mended", "pause": True})),
        ({"verb": "cancel", "about.cancel": "brewing"}, ("cancel", "brewing", {})),
        ({"verb": "delete", "about.delete": "abandon"}, ("delete", {"compensate": False, "abandon": True})),
    ],
    ids=lambda one: one["verb"] if isinstance(one, dict) else "",
)
def test_a_machine_is_repaired_with_a_reason(
    kitchen: Kitchen, fields: dict[str, str], expected: tuple[Any, ...]
) -> None:
    kitchen.log_in()
    kitchen.machines["t-1"] = stored(**BREWING)
    hidden = kitchen.hidden(REPAIR)

    without = kitchen.ask("POST", REPAIR, {**hidden, **fields})
    done = kitchen.ask("POST", REPAIR, {**hidden, **fields, "reason": "the kettle is mended"})

    assert (without.status_code, done.status_code) == (422, 303)
    assert kitchen.calls == [("ann", "t-1", 3, *expected)]


def test_a_repair_that_makes_no_sense_is_refused(kitchen: Kitchen) -> None:
    kitchen.log_in()
    hidden = {**kitchen.hidden(REPAIR), "reason": "so"}

    for fields in ({"verb": "explode"}, {}, {"verb": "skip", "about.skip": "brewing", "result": "{"}):
        assert kitchen.ask("POST", REPAIR, {**hidden, **fields}).status_code == 422
    assert kitchen.ask("GET", "/act/repair?chart=Teapot&key=nothing").status_code == 404
    assert kitchen.calls == []


# ── what is downloaded ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("condition", ["older=soon", "status=asleep", "where=colour", "where=colour%3Dred"])
def test_a_list_is_not_downloaded_without_a_condition_that_cannot_be_meant(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch, condition: str
) -> None:
    def every(*_: object) -> Iterator[object]:
        raise NotIndexed(chart="Teapot", field="colour", known=("kind",))
        yield

    monkeypatch.setattr("durable_fsm.console.fleet_reading.every", every)

    answer = kitchen.ask("GET", f"/chart/Teapot/machines.csv?{condition}")

    assert (answer.status_code, answer.headers["content-type"]) == (422, "text/html; charset=utf-8")


def test_a_machine_of_any_key_can_be_downloaded(kitchen: Kitchen) -> None:
    kitchen.machines['茶/%2F"1'] = stored()

    answer = kitchen.ask("GET", "/chart/Teapot/machine.svg?key=%E8%8C%B6%2F%252F%221")

    assert (answer.status_code, answer.text[:4]) == (200, "<svg")
    assert answer.headers["content-disposition"] == 'attachment; filename="Teapot----2F-1.svg"'
