"""`wait_for`: a client is answered when the machine meets the condition, or when it never will, despite crashes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from durable_fsm.errors import TooManyWaiting
from durable_fsm.local.failures import NotObserved
from durable_fsm.restate.machine.waiters import MOST, Waiters
from durable_fsm.restate.stored.waiters import Waiter
from durable_fsm.testing import wait_until
from tests.building import chart
from tests.server.clients import answered
from tests.web import web

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def asked(host: Host, chart: str, key: str, **request: object) -> httpx.Response:
    return host.post(chart, key, "wait_for", request)


def waiting(host: Host, chart: str, key: str) -> bool:
    """Whether a client is registered as waiting for the machine."""
    return "waiters" in host.stored(chart, key)


@contextmanager
def somebody(host: Host, chart: str, key: str, **request: object) -> Iterator[Future[httpx.Response]]:
    """A client that waits; inside the block it is registered."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(asked, host, chart, key, **request)
        try:
            wait_until(lambda: answer.done() or waiting(host, chart, key), what="the waiter to be registered")
        except NotObserved:
            raise AssertionError(f"nobody waits; history: {host.post(chart, key, 'history').text}") from None
        assert not answer.done(), answer.result().text
        yield answer


def told(answer: Future[httpx.Response]) -> dict[str, Any]:
    response = answer.result(timeout=60)
    assert response.status_code == 200, response.text
    return response.json()


# ── told ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_waiting_for_a_state_that_is_active_answers_at_once(host: Host) -> None:
    ticket = host.key("ticket")
    host.receipt("Ticket", ticket, "buy")

    answer = asked(host, "Ticket", ticket, state="sold").json()

    assert (answer["event"], answer["outcome"], answer["configuration"]) == ("wait_for", "met", ["sold"])
    assert not waiting(host, "Ticket", ticket)


def test_a_waiting_client_is_answered_when_the_machine_reaches_the_state(host: Host) -> None:
    ticket = host.key("ticket")
    host.receipt("Ticket", ticket, "create")

    with somebody(host, "Ticket", ticket, state="sold") as answer:
        host.receipt("Ticket", ticket, "buy")

    assert told(answer)["configuration"] == ["sold"]
    assert not waiting(host, "Ticket", ticket)
    host.settled()


def test_one_request_sends_an_event_and_waits_for_a_state(host: Host) -> None:
    order = host.key("order")

    answer = asked(host, "Order", order, state="paid", event="checkout", payload={"effect": order}).json()

    assert (answer["event"], answer["outcome"], answer["configuration"]) == ("checkout", "taken", ["paid"])
    assert len(host.effects.entries(order)) == 1


def test_the_condition_is_judged_after_the_event(host: Host) -> None:
    counter = host.key("counter")
    host.receipt("Counter", counter, "create")

    answer = asked(host, "Counter", counter, state="counting", event="increment").json()

    assert (answer["outcome"], answer["reply"], answer["seq"]) == ("taken", 1, 2)


def test_waiting_with_a_rejected_event_answers_at_once(host: Host) -> None:
    ticket = host.key("ticket")
    host.receipt("Ticket", ticket, "create")

    answer = asked(host, "Ticket", ticket, state="used", event="use")

    assert (answer.status_code, answer.json()["metadata"]["type"]) == (409, "EventRejected")
    assert not waiting(host, "Ticket", ticket)


@pytest.mark.parametrize(
    "until",
    [
        pytest.param({"state": "paid"}, id="state"),
        pytest.param({"settled": True}, id="settled"),
        pytest.param({"any": [{"state": "on_hold"}, {"state": "paid"}]}, id="any"),
    ],
)
def test_a_client_can_wait_for_each_kind_of_condition(host: Host, until: dict[str, object]) -> None:
    order = host.key("order")

    with host.effects.hold(f"before:{order}") as gate:
        host.receipt("Order", order, "checkout", {"effect": order})
        gate.wait_reached()
        with somebody(host, "Order", order, **until) as answer:
            gate.open()

            assert told(answer)["configuration"] == ["paid"]


def test_several_clients_may_wait_for_different_conditions(host: Host) -> None:
    ticket = host.key("ticket")
    host.receipt("Ticket", ticket, "create")

    with (
        somebody(host, "Ticket", ticket, state="sold") as first,
        somebody(host, "Ticket", ticket, status="done") as second,
    ):
        wait_until(lambda: host.stored("Ticket", ticket)["waiters"].count("until") == 2, what="both to be registered")
        host.receipt("Ticket", ticket, "buy")
        assert told(first)["configuration"] == ["sold"]
        assert not second.done()
        host.receipt("Ticket", ticket, "use")

    assert told(second)["status"] == "done"


# ── deferred events ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_sender_of_a_deferred_event_may_wait_for_its_outcome(host: Host) -> None:
    desk = host.key("desk")
    host.receipt("Desk", desk, "begin")
    assert host.receipt("Desk", desk, "ask", "first")["outcome"] == "deferred"

    with somebody(host, "Desk", desk, taken=True, event="ask", payload="second") as answer:
        assert [kept["payload"] for kept in host.snapshot("Desk", desk)["deferred"]] == ["first", "second"]
        host.receipt("Desk", desk, "rest")

    receipt = told(answer)
    assert (receipt["event"], receipt["outcome"], receipt["reply"]) == ("ask", "taken", 2)


def test_the_failure_of_a_deferred_event_is_told_only_to_its_sender(host: Host) -> None:
    desk = host.key("desk")
    host.receipt("Desk", desk, "begin")
    host.receipt("Desk", desk, "ask", "first")

    with somebody(host, "Desk", desk, taken=True, event="stumble") as answer:
        rested = host.receipt("Desk", desk, "rest")

    assert rested["configuration"] == ["free"]
    response = answer.result()
    assert (response.status_code, response.json()["metadata"]["type"]) == (500, "ActionError")
    assert "over a chair" in response.json()["message"]
    assert host.snapshot("Desk", desk)["data"]["asked"] == ["first"]


# ── told why not ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_client_that_waits_too_long_gets_a_timeout_and_is_forgotten(host: Host) -> None:
    ticket = host.key("ticket")
    host.receipt("Ticket", ticket, "create")

    answer = asked(host, "Ticket", ticket, state="used", event="buy", timeout="300ms")

    body = answer.json()
    assert (answer.status_code, body["metadata"]["type"]) == (408, "WaitTimedOut")
    assert '{"state":"used"} was not met within 0:00:00.3' in body["message"]
    assert host.snapshot("Ticket", ticket)["configuration"] == ["sold"]
    wait_until(lambda: not waiting(host, "Ticket", ticket), what="the waiter to be forgotten")
    host.settled()


def use(host: Host, ticket: str) -> None:
    host.receipt("Ticket", ticket, "buy")
    host.receipt("Ticket", ticket, "use")


def throw_away(host: Host, ticket: str) -> None:
    host.receipt("Ticket", ticket, "delete")


@pytest.mark.parametrize(("act", "word"), [(use, "at its end"), (throw_away, "deleted")])
def test_a_client_that_waits_in_vain_is_answered_when_the_machine_ends(
    host: Host, act: Callable[[Host, str], None], word: str
) -> None:
    ticket = host.key("ticket")
    host.receipt("Ticket", ticket, "create")

    with somebody(host, "Ticket", ticket, status="failed") as answer:
        act(host, ticket)

    response = answer.result()
    assert (response.status_code, response.json()["metadata"]["type"]) == (412, "WaitInVain")
    assert f"will not be met: the machine is {word}" in response.json()["message"]


def test_a_client_that_waits_for_a_failing_machine_is_answered_when_it_fails(host: Host) -> None:
    work = host.key("work")
    host.effects.fail_next(work, times=3)

    answer = asked(host, "Workshop", work, state="finished", event="try_careless", payload={"effect": work})

    assert (answer.status_code, answer.json()["metadata"]["status"]) == (412, "failed")


def test_waiting_for_a_machine_that_ended_in_another_state_answers_at_once(host: Host) -> None:
    ticket = host.key("ticket")
    use(host, ticket)

    assert asked(host, "Ticket", ticket, state="sold").status_code == 412


def test_waiting_for_a_machine_that_does_not_exist_is_refused(host: Host) -> None:
    assert asked(host, "Ticket", host.key("ticket"), state="sold").status_code == 404


@pytest.mark.parametrize(
    ("asks", "problem"),
    [
        pytest.param({}, "expected one of 'state'", id="nothing"),
        pytest.param({"state": "sold", "status": "done"}, "expected one of 'state'", id="two"),
        pytest.param({"state": "lost"}, "there is no state 'lost'. There is 'on_sale', 'sold', 'used'.", id="state"),
        pytest.param({"tag": "x"}, "no state has the tag 'x'.", id="tag"),
        pytest.param({"status": "asleep"}, "there is no status 'asleep'", id="status"),
        pytest.param({"settled": False}, "'settled' is true or left out", id="settled"),
        pytest.param({"taken": True}, "'taken' needs an event in the same request", id="taken"),
        pytest.param({"any": []}, "'any' is a list of 1 to 20", id="any"),
        pytest.param({"any": [{"any": [{"state": "sold"}]}]}, "none of them is an 'any'", id="nested"),
        pytest.param({"state": "sold", "timeout": "soon"}, "'soon' is not a duration", id="timeout"),
        pytest.param({"state": "sold", "timeout": "400d"}, "must be between 0 and 365 days", id="long"),
        pytest.param({"state": "sold", "payload": 1}, "'payload' belongs to an 'event'", id="payload"),
        pytest.param({"state": "sold", "event": 1}, "'event' must be the name of an event", id="event"),
    ],
)
def test_an_impossible_condition_is_refused_with_the_reason(awake: Host, asks: dict[str, object], problem: str) -> None:
    answer = asked(awake, "Ticket", awake.key("ticket"), **asks)

    assert (answer.status_code, answer.json()["metadata"]["type"]) == (400, "MalformedInput")
    assert problem in answer.json()["message"]


def test_a_private_event_cannot_be_sent_through_wait_for(awake: Host) -> None:
    answer = asked(awake, "Order", awake.key("order"), state="paid", event="done_invoke_charging")

    assert answer.status_code == 403


def test_only_so_many_clients_may_wait_for_a_machine() -> None:
    made = chart("free")
    waiters = Waiters({str(number): Waiter({"settled": True}) for number in range(MOST)})

    with pytest.raises(TooManyWaiting, match="1000 callers wait for this machine already"):
        waiters.add(made, "one more", Waiter({"settled": True}))


# ── through crashes ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("victim", ["service", "server"])
def test_a_waiting_client_is_answered_after_a_crash(host: Host, victim: str) -> None:
    ticket = host.key("ticket")
    host.receipt("Ticket", ticket, "create")
    request = {"state": "sold", "timeout": "60s"}
    url = host.url("Ticket", ticket, "wait_for")
    headers = {"idempotency-key": f"wait-{ticket}"}

    def wait() -> httpx.Response:
        """As a client would: ask again, under the same key, until there is an answer."""
        while True:
            try:
                answer = web.post(url, json=request, headers=headers)
            except httpx.TransportError:
                wait_until(lambda: host.server.process.alive, what="the server to be back")
            else:
                if answered(answer):
                    return answer

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(wait)
        wait_until(lambda: waiting(host, "Ticket", ticket), what="the waiter to be registered")
        if victim == "service":
            host.served.kill()
            host.served.restart()
        else:
            host.server.kill()
            host.server.start()
        assert not answer.done(), answer.result().text
        host.receipt("Ticket", ticket, "buy")
        assert told(answer)["configuration"] == ["sold"]

    host.settled()
    assert [row["target_handler_name"] for row in host.invocations("Ticket", ticket)].count("wait_for") == 1


def test_an_event_sent_with_a_wait_is_taken_once_per_idempotency_key(host: Host) -> None:
    counter = host.key("counter")
    url = host.url("Counter", counter, "wait_for")
    headers = {"idempotency-key": counter}
    request = {"state": "counting", "event": "increment"}

    answers = [web.post(url, json=request, headers=headers).json() for _ in range(3)]

    assert [answer["reply"] for answer in answers] == [1, 1, 1]
    assert host.snapshot("Counter", counter)["data"] == {"count": 1}
