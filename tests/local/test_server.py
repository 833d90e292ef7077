"""The real server: what it keeps when it is killed, and what a kill of the service costs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from durable_fsm.local.process import port_answers
from durable_fsm.testing import AdminError, EffectLog, RestateServer, ServiceProcess, wait_until, wait_until_async
from durable_fsm.testing.plugin import Serve

pytestmark = pytest.mark.server

APP = "counter_app:app"


def test_a_killed_server_comes_back_with_what_it_had(fresh_server: RestateServer, serve: Serve) -> None:
    serve(APP, on=fresh_server)
    fresh_server.call("Counter", "one", "add", 2)

    fresh_server.kill()
    assert not port_answers(fresh_server.ingress_port)
    assert not port_answers(fresh_server.admin_port)
    fresh_server.start()

    assert fresh_server.call("Counter", "one", "add", 3) == 5


def test_a_durable_sleep_goes_on_after_the_server_is_killed(fresh_server: RestateServer, serve: Serve) -> None:
    serve(APP, on=fresh_server)
    sleeping = fresh_server.send("Counter", "one", "nap", 1_000)
    wait_until(
        lambda: fresh_server.query(f"SELECT id FROM sys_journal WHERE id = '{sleeping}' AND entry_type LIKE '%Sleep%'"),
        what="the sleep to be in the journal",
    )

    fresh_server.kill()
    killed = datetime.now(UTC)
    fresh_server.start()

    assert fresh_server.output(sleeping) == "rested"
    [ended] = fresh_server.query(f"SELECT completed_at FROM sys_invocation WHERE id = '{sleeping}'")
    assert datetime.fromisoformat(ended["completed_at"]) > killed


def test_a_server_that_is_stopped_in_order_ends_by_itself(fresh_server: RestateServer) -> None:
    assert fresh_server.stop() == 0
    assert not fresh_server.process.alive


def test_two_servers_know_nothing_of_each_other(
    restate_server: RestateServer, fresh_server: RestateServer, serve: Serve
) -> None:
    serve(APP)

    with pytest.raises(httpx.HTTPStatusError, match="404"):
        fresh_server.call("Counter", "one", "add", 1)


def test_a_service_killed_before_its_effect_has_it_once(
    restate_server: RestateServer, serve: Serve, effects: EffectLog
) -> None:
    service = serve(APP)

    with effects.hold("before:charge") as charge:
        buying = restate_server.send("Shop", "o-1", "buy")
        charge.wait_reached()
        service.kill()
    service.restart()

    assert restate_server.output(buying) == 1
    assert effects.counts("charge") == {"o-1": 1}
    assert effects.arrived("charge") == 2


def test_a_service_killed_after_its_effect_has_it_twice_and_the_state_once(
    restate_server: RestateServer, serve: Serve, effects: EffectLog
) -> None:
    service = serve(APP)

    with effects.hold("after:charge") as charge:
        buying = restate_server.send("Shop", "o-1", "buy")
        charge.wait_reached()
        service.kill()
    service.restart()

    assert restate_server.output(buying) == 1
    assert effects.counts("charge") == {"o-1": 2}
    assert restate_server.state("Shop", "o-1") == {"bought": "1"}


def test_a_receiver_that_knows_repeats_sees_one_effect_all_the_same(
    restate_server: RestateServer, serve: Serve, effects: EffectLog
) -> None:
    service = serve(APP)
    effects.deduplicate("charge")

    with effects.hold("after:charge") as charge:
        buying = restate_server.send("Shop", "o-1", "buy")
        charge.wait_reached()
        service.kill()
    service.restart()

    assert restate_server.output(buying) == 1
    assert effects.counts("charge") == {"o-1": 1}
    assert effects.repeats("charge") == {"o-1": 1}


def test_a_failed_effect_is_tried_again(restate_server: RestateServer, serve: Serve, effects: EffectLog) -> None:
    serve(APP)
    effects.fail_next("charge", times=2)

    assert restate_server.call("Shop", "o-1", "buy") == 1
    assert effects.arrived("charge") == 3


def test_a_restarted_service_orders_its_sets_differently(restate_server: RestateServer, serve: Serve) -> None:
    service = serve(APP)
    before = restate_server.call("Counter", "one", "hash_seed")

    service.restart()

    assert restate_server.call("Counter", "one", "hash_seed") != before


def test_forced_replay_finds_what_is_not_deterministic(replaying_server: RestateServer, serve: Serve) -> None:
    serve(APP, on=replaying_server)

    rolling = replaying_server.send("Counter", "one", "roll")

    failure = wait_until(
        lambda: next(row.get("last_failure", "") for row in replaying_server.invocations("Counter", "one")),
        what="the replay to fail",
    )
    assert "mismatch" in failure
    assert replaying_server.status(rolling) in ("backing-off", "running", "ready")


def test_without_forced_replay_the_same_code_seems_right(serve: Serve, tmp_path: Path) -> None:
    with RestateServer(base_dir=tmp_path / "restate") as server:
        serve(APP, on=server)

        assert server.call("Counter", "one", "roll") == "rolled"
    assert (tmp_path / "restate" / "restate-server.log").exists()


def test_a_service_may_be_spoken_to_in_requests_and_responses(restate_server: RestateServer, serve: Serve) -> None:
    served = serve(APP, http1=True)

    assert restate_server.call("Counter", "one", "nap", 10) == "rested"
    mine = restate_server.query(f"SELECT ty FROM sys_deployment WHERE id = '{served.deployment.id}'")
    assert [row["ty"] for row in mine] == ["http"]


def test_a_waiting_invocation_can_be_cancelled(restate_server: RestateServer, serve: Serve) -> None:
    serve(APP)
    waiting = restate_server.send("Counter", "one", "never")
    wait_until(lambda: restate_server.status(waiting) in ("running", "suspended"))

    restate_server.cancel(waiting)

    with pytest.raises(httpx.HTTPStatusError) as raised:
        restate_server.output(waiting)
    assert raised.value.response.json()["message"] == "cancelled"


def test_a_waiting_invocation_can_be_killed(restate_server: RestateServer, serve: Serve) -> None:
    serve(APP)
    waiting = restate_server.send("Counter", "one", "never")
    wait_until(lambda: restate_server.status(waiting) in ("running", "suspended"))

    restate_server.kill_invocation(waiting)

    with pytest.raises(httpx.HTTPStatusError) as raised:
        restate_server.output(waiting)
    assert raised.value.response.json()["message"] == "killed"


def test_a_paused_invocation_goes_on_when_resumed(
    restate_server: RestateServer, serve: Serve, effects: EffectLog
) -> None:
    service = serve(APP)
    with effects.hold("before:charge") as charge:
        buying = restate_server.send("Shop", "o-1", "buy")
        charge.wait_reached()
        service.kill()
    wait_until(lambda: restate_server.status(buying) == "backing-off", what="the purchase to be tried again later")
    restate_server.pause(buying)
    wait_until(lambda: restate_server.status(buying) == "paused", what="the purchase to be paused")
    service.restart()

    restate_server.resume(buying)

    assert restate_server.output(buying) == 1


def test_a_send_can_be_late_and_can_be_repeated(restate_server: RestateServer, serve: Serve) -> None:
    serve(APP)
    later = timedelta(milliseconds=300)

    first = restate_server.send("Counter", "one", "add", 2, after=later, idempotency_key="once")
    again = restate_server.send("Counter", "one", "add", 2, after=later, idempotency_key="once")

    assert first == again
    assert restate_server.status(first) == "scheduled"
    assert restate_server.output(first) == 2


def test_keys_may_contain_anything(restate_server: RestateServer, serve: Serve) -> None:
    serve(APP)
    awkward = "a/b?c='d' é%2F"

    restate_server.call("Counter", awkward, "add", 1)

    assert restate_server.state("Counter", awkward) == {"total": "1"}
    assert [row["target_service_key"] for row in restate_server.invocations("Counter", awkward)] == [awkward]


def test_a_refused_call_keeps_its_status_and_body(restate_server: RestateServer, serve: Serve) -> None:
    serve(APP)

    with pytest.raises(httpx.HTTPStatusError) as raised:
        restate_server.call("Counter", "one", "refuse")

    assert raised.value.response.status_code == 409
    assert raised.value.response.json()["message"] == "refused"


def test_what_the_admin_api_refuses_is_said_in_its_own_words(restate_server: RestateServer) -> None:
    with pytest.raises(AdminError) as raised:
        restate_server.query("SELECT nothing FROM nowhere")

    assert str(raised.value).startswith("POST /query: Restate answered 5")
    assert "nowhere" in raised.value.body


def test_clearing_leaves_no_state_and_no_invocation(restate_server: RestateServer, serve: Serve) -> None:
    service = serve(APP)
    restate_server.call("Counter", "one", "add", 2, idempotency_key="once")
    restate_server.send("Counter", "two", "never")
    restate_server.send("Counter", "three", "add", 1, after=timedelta(hours=1))

    restate_server.clear(service.deployment)

    assert restate_server.invocations("Counter") == []
    assert restate_server.call("Counter", "one", "add", 5, idempotency_key="once") == 5


async def _ask_twice(server: RestateServer, service: ServiceProcess) -> list[int]:
    await asyncio.to_thread(server.register, service.url)
    async with httpx.AsyncClient(base_url=server.ingress_url, timeout=60) as client:
        answers = await asyncio.gather(*(client.post("/Counter/one/add", json=1) for _ in range(2)))

    async def stored() -> bool:
        return await asyncio.to_thread(server.state, "Counter", "one") == {"total": "2"}

    await wait_until_async(stored, what="both additions to be stored")
    return sorted(answer.json() for answer in answers)


def test_an_asynchronous_test_can_use_it_too(restate_server: RestateServer, serve: Serve) -> None:
    service = serve(APP)

    assert asyncio.run(_ask_twice(restate_server, service.process)) == [1, 2]
