"""The log of side effects: what it records, and how it holds, refuses and forgets."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from durable_fsm.testing import EffectLog, EffectRefused, NotObserved, RecordedEffect, ServiceProcess, effect, free_port

A_MOMENT = timedelta(milliseconds=200)


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    """Threads that call while the test looks on."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_effects_are_recorded_in_order_with_their_values(effects: EffectLog) -> None:
    first = effect("charge", "o-1", {"cents": 500}, url=effects.url)
    second = effect("ship", "o-1", url=effects.url)

    assert (first, second) == (1, 2)
    assert effects.entries() == (
        RecordedEffect(1, "charge", "o-1", {"cents": 500}, None),
        RecordedEffect(2, "ship", "o-1", None, None),
    )
    assert effects.entries("ship") == (RecordedEffect(2, "ship", "o-1", None, None),)


def test_effects_are_counted_by_key(effects: EffectLog) -> None:
    for key in ("o-1", "o-2", "o-1"):
        effect("charge", key, url=effects.url)

    assert effects.counts("charge") == {"o-1": 2, "o-2": 1}
    assert effects.counts("ship") == {}


def test_the_environment_tells_a_service_where_the_log_is(effects: EffectLog, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in effects.env.items():
        monkeypatch.setenv(name, value)

    effect("charge", "o-1")

    assert effects.counts("charge") == {"o-1": 1}


def test_a_planned_failure_is_answered_and_not_recorded(effects: EffectLog) -> None:
    effects.fail_next("charge", times=2, status=503)

    for _ in range(2):
        with pytest.raises(EffectRefused, match=r"Effect 'charge' for 'o-1' was refused with status 503."):
            effect("charge", "o-1", url=effects.url)
    effect("charge", "o-1", url=effects.url)

    assert effects.counts("charge") == {"o-1": 1}
    assert effects.arrived("charge") == 3


def test_plans_leave_other_effects_alone(effects: EffectLog) -> None:
    effects.fail_next("charge")

    effect("ship", "o-1", url=effects.url)

    assert effects.counts("ship") == {"o-1": 1}


def test_a_call_held_before_has_arrived_and_is_not_recorded(effects: EffectLog, callers: ThreadPoolExecutor) -> None:
    gate = effects.hold("before:charge")
    call = callers.submit(effect, "charge", "o-1", url=effects.url)

    gate.wait_reached()
    assert effects.counts("charge") == {}
    assert not call.done()

    gate.open()
    assert call.result(5) == 1
    assert effects.counts("charge") == {"o-1": 1}


def test_a_call_held_after_is_recorded_and_not_answered(effects: EffectLog, callers: ThreadPoolExecutor) -> None:
    with effects.hold("after:charge") as gate:
        call = callers.submit(effect, "charge", "o-1", url=effects.url)

        gate.wait_reached()
        assert effects.counts("charge") == {"o-1": 1}
        assert not call.done()

    assert call.result(5) == 1


def test_only_as_many_calls_are_held_as_planned(effects: EffectLog, callers: ThreadPoolExecutor) -> None:
    with effects.hold("before:charge") as gate:
        held = callers.submit(effect, "charge", "o-1", url=effects.url)
        gate.wait_reached()

        effect("charge", "o-2", url=effects.url)

        assert effects.counts("charge") == {"o-2": 1}
        assert not held.done()


def test_a_caller_killed_before_the_effect_leaves_none(effects: EffectLog, tmp_path: Path) -> None:
    with effects.hold("before:charge") as gate, caller(effects, tmp_path) as service:
        gate.wait_reached()
        service.kill()

    effects.observe(lambda: effects.lost("charge") == 1, A_MOMENT * 10, "the call to be given up")
    assert effects.counts("charge") == {}


def test_a_caller_killed_after_the_effect_has_had_it(effects: EffectLog, tmp_path: Path) -> None:
    with effects.hold("after:charge") as gate, caller(effects, tmp_path) as service:
        gate.wait_reached()
        service.kill()

    assert effects.counts("charge") == {"o-1": 1}
    assert effects.lost("charge") == 0


def test_a_slow_effect_is_recorded_late(effects: EffectLog, callers: ThreadPoolExecutor) -> None:
    effects.delay_next("charge", by=A_MOMENT)

    call: Future[int] = callers.submit(effect, "charge", "o-1", url=effects.url)
    effects.wait_arrived("charge")
    before = effects.counts("charge")
    effects.wait_recorded("charge")

    assert before == {}
    assert call.result(5) == 1


@pytest.mark.parametrize("status", [200, 409])
def test_repeats_are_recognised_by_their_idempotency_key_where_wanted(effects: EffectLog, status: int) -> None:
    effects.deduplicate("charge", repeat_status=status)

    effect("charge", "o-1", idempotency_key="one", url=effects.url)
    repeated = outcome(effects, "one")
    effect("charge", "o-1", idempotency_key="two", url=effects.url)

    assert repeated == status
    assert effects.counts("charge") == {"o-1": 2}
    assert effects.repeats("charge") == {"o-1": 1}


def test_without_being_told_the_log_records_repeats(effects: EffectLog) -> None:
    for _ in range(2):
        effect("charge", "o-1", idempotency_key="one", url=effects.url)

    assert effects.counts("charge") == {"o-1": 2}


def test_waiting_in_vain_lists_what_did_arrive(effects: EffectLog) -> None:
    effects.fail_next("charge")
    with pytest.raises(EffectRefused):
        effect("charge", "o-1", url=effects.url)

    with pytest.raises(NotObserved) as raised:
        effects.wait_recorded("charge", timeout=A_MOMENT)

    assert str(raised.value) == (
        "Waited 0.2 s for 'charge' to be recorded 1 times. Arrived so far: {'charge': 1}; recorded: {}."
    )


def test_closing_the_log_lets_go_what_is_held(callers: ThreadPoolExecutor) -> None:
    log = EffectLog()
    gate = log.hold("before:charge")
    call = callers.submit(effect, "charge", "o-1", url=log.url)
    gate.wait_reached()

    log.close()

    assert isinstance(call.exception(5), OSError)
    assert log.entries() == ()


@pytest.mark.parametrize("point", ["charge", "during:charge", "before:"])
def test_a_point_that_does_not_exist_is_refused(effects: EffectLog, point: str) -> None:
    with pytest.raises(ValueError, match=f"'{point}' is not a point of an effect. Write 'before:<name>'"):
        effects.hold(point)


# ── given ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def caller(log: EffectLog, place: Path) -> ServiceProcess:
    """A process that answers on its port and asks for one effect."""
    port = free_port()
    program = (
        "import socket; from durable_fsm.testing import effect;"
        f"listening = socket.create_server(('127.0.0.1', {port}));"
        "effect('charge', 'o-1')"
    )
    return ServiceProcess([sys.executable, "-c", program], port=port, log=place / "caller.log", env=log.env)


def outcome(log: EffectLog, idempotency_key: str) -> int:
    """The status a call is answered with."""
    try:
        effect("charge", "o-1", idempotency_key=idempotency_key, url=log.url)
    except EffectRefused as refused:
        return refused.status
    return 200
