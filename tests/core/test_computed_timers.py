"""Timers that are computed, that are set to an instant, that come again, and that are renewed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from durable_fsm.core.chart import Callback, Chart, Timer
from durable_fsm.core.codec import snapshot_from_json, snapshot_to_json
from durable_fsm.core.effects import Cancel, Send, Step
from durable_fsm.core.events import Event, Origin
from durable_fsm.core.turn import Turn
from durable_fsm.errors import ActionError, SnapshotUnreadable
from tests.building import Driven, action, chart, edge

MINUTE = timedelta(minutes=1)
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
LAMP = """
    dark
    lit
"""


def lamp(*timers: Timer, **rest: object) -> Chart:
    edges = (
        edge("dark", "light", "lit"),
        edge("lit", "fade", "dark"),
        edge("lit", "tick", actions=[action(lambda s: s.data["log"].append("tick"))]),
        edge("lit", "touch", actions=[action(lambda s: s.effects.renew("fade"), "renew")]),
    )
    return chart(LAMP, *edges, timers={"lit": timers}, **rest)  # type: ignore[arg-type]


def lit(*timers: Timer) -> Driven:
    driven = Driven(lamp(*timers))
    driven.take("light")
    return driven


def computed(value: object) -> Callback:
    return Callback("computed", lambda _: value)


def arrive(driven: Driven, token: str) -> Step:
    return driven.take(Event("timer", origin=Origin.PLATFORM, token=token))


def test_a_computed_timer_is_computed_when_it_starts() -> None:
    hours = Callback("hours", lambda scope: timedelta(hours=len(scope.configuration)))
    driven = lit(Timer("fade", when=hours))

    assert [timer.after for timer in driven.snapshot.timers] == [timedelta(hours=1)]
    assert driven.last.effects == (Send("life.2.1", "fade", timedelta(hours=1)),)


def test_a_computed_timer_that_lies_in_the_past_is_over_at_once() -> None:
    assert lit(Timer("fade", when=computed(-MINUTE))).last.effects == (Send("life.2.1", "fade", timedelta(0)),)


def test_a_computed_timer_may_decide_that_there_is_none() -> None:
    assert lit(Timer("fade", when=computed(None))).snapshot.timers == ()


def test_an_instant_is_kept_in_utc_and_left_to_the_host() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=5)))
    driven = lit(Timer("fade", when=computed(there)))

    (timer,) = driven.snapshot.timers
    assert timer.at == NOON
    assert timer.at.utcoffset() == timedelta(0)
    assert driven.last.effects == (Send("life.2.1", "fade", timedelta(0), NOON),)
    assert snapshot_from_json(driven.chart, snapshot_to_json(driven.snapshot)) == driven.snapshot


def test_an_instant_is_no_self_send_without_delay() -> None:
    made = lamp(Timer("fade", when=computed(NOON)))
    turn = Turn(made, None, seed="")
    turn.create(None, life="life", created_from="")
    turn.take(Event("light"))

    assert turn.next_call() is None
    assert turn.machine.configuration == ("lit",)
    assert turn.take_effects() == [Send("life.2.1", "fade", timedelta(0), NOON)]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        pytest.param(datetime(2030, 1, 1), "an instant needs a time zone", id="naive"),  # noqa: DTZ001 - meant
        pytest.param(90, "expected a timedelta, a datetime or None, got int", id="number"),
    ],
)
def test_what_is_no_time_is_an_error_of_its_callback(value: object, problem: str) -> None:
    with pytest.raises(ActionError, match=problem):
        lit(Timer("fade", when=computed(value)))


def test_an_instant_that_cannot_be_read_is_said_so() -> None:
    record = snapshot_to_json(lit(Timer("fade", when=computed(NOON))).snapshot)
    record["timers"] = [{**record["timers"][0], "at": "noon"}]  # type: ignore[index, dict-item, call-overload]

    with pytest.raises(SnapshotUnreadable, match=r"Invalid isoformat string: 'noon' - at `\$\.timers\[0\]`"):
        snapshot_from_json(lamp(), record)


# ── again and again ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_recurring_timer_starts_again_whenever_it_is_over() -> None:
    driven = lit(Timer("tick", MINUTE, recurring=True))

    for round in (3, 4, 5):
        (timer,) = driven.snapshot.timers
        arrive(driven, timer.token)
        assert driven.log == ["tick"]
        assert driven.last.effects == (Send(f"life.{round}.1", "tick", MINUTE),)


def test_a_recurring_timer_ends_with_its_state() -> None:
    driven = lit(Timer("fade", MINUTE, recurring=True))

    arrive(driven, "life.2.1")

    assert driven.leaves == ("dark",)
    assert driven.snapshot.timers == ()
    turned = Turn(driven.chart, driven.snapshot, seed="")
    turned._absorb("timer", driven.last, Event("timer"))
    assert turned.take_effects() == []


def test_a_recurring_timer_is_computed_anew_each_time() -> None:
    driven = lit(Timer("tick", when=Callback("later", lambda s: MINUTE * (1 + len(s.data["log"]))), recurring=True))

    driven.take("tick")
    arrive(driven, "life.2.1")

    assert [timer.after for timer in driven.snapshot.timers] == [MINUTE]


# ── renewing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_renewed_timer_starts_again_from_now() -> None:
    driven = lit(Timer("fade", MINUTE))

    result = driven.take("touch")

    assert result.effects == (Cancel("life.2.1"), Send("life.3.1", "fade", MINUTE))
    assert [timer.token for timer in driven.snapshot.timers] == ["life.3.1"]


def test_renewing_what_is_not_pending_does_nothing() -> None:
    assert lit().take("touch").effects == ()


def test_a_send_is_renewed_by_its_id_with_its_payload() -> None:
    made = chart(
        "on",
        edge("on", "ask", actions=[action(lambda s: s.effects.send("ring", 7, after=MINUTE, id="bell"), "send")]),
        edge("on", "again", actions=[action(lambda s: s.effects.renew("bell"), "renew")]),
        edge("on", "ring"),
    )
    driven = Driven(made)
    driven.take("ask")

    result = driven.take("again")

    assert result.effects == (Cancel("life.2.1"), Send("life.3.1", "ring", MINUTE))
    (timer,) = driven.snapshot.timers
    assert (timer.id, timer.payload) == ("bell", 7)


def test_a_send_is_not_renewed_by_its_event() -> None:
    made = chart(
        "on",
        edge("on", "ask", actions=[action(lambda s: s.effects.send("ring", after=MINUTE), "send")]),
        edge("on", "again", actions=[action(lambda s: s.effects.renew("ring"), "renew")]),
        edge("on", "ring"),
    )
    driven = Driven(made)
    driven.take("ask")

    assert driven.take("again").effects == ()
