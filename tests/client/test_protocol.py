"""How a client repeats calls while servers are away: no network and no clock, only values."""

from __future__ import annotations

from datetime import timedelta

import pytest

from durable_fsm.client import SyncClient
from durable_fsm.client.protocol import Answer, HttpRequest, HttpResponse, Ingress, Lost, Pause, ask
from durable_fsm.errors import EventRejected, NoAnswer, UnexpectedAnswer

INGRESS = Ingress("http://restate", timedelta(seconds=10))
EVENT = HttpRequest("POST", "/Order/o-17/send")
LOST = "ConnectError"
UNKNOWN = b'{"message": "service \'Order\' not found"}'


def response(status: int, body: bytes = b"{}", source: str = "", at: float = 0.0) -> HttpResponse:
    return HttpResponse(status, body, {"x-restate-error-source": source} if source else {}, at)


def asked(*answers: Answer, request: HttpRequest = EVENT) -> list[HttpRequest | Pause | HttpResponse]:
    """The yielded requests and pauses and the result for these answers; a pause needs none."""
    exchange = ask(INGRESS, request, chart="Order", key="o-17")
    out: list[HttpRequest | Pause | HttpResponse] = [next(exchange)]
    try:
        for answer in answers:
            out.append(exchange.send(answer))
            while isinstance(out[-1], Pause):
                out.append(exchange.send(None))
    except StopIteration as end:
        out.append(end.value)
    return out


@pytest.mark.parametrize(
    "away",
    [
        pytest.param(Lost(LOST, 0), id="no connection"),
        pytest.param(response(502), id="502"),
        pytest.param(response(503), id="503"),
        pytest.param(response(504), id="504"),
        pytest.param(response(404, UNKNOWN, "ingress"), id="no service yet"),
    ],
)
def test_a_call_is_repeated_after_a_pause_while_servers_are_away(away: Answer) -> None:
    well = response(200, at=1)

    assert asked(away, well) == [EVENT, Pause(0.1), EVENT, well]


def test_pauses_grow_up_to_two_seconds() -> None:
    out = asked(*(Lost(LOST, 0) for _ in range(7)))

    pauses = [pause.seconds for pause in out if isinstance(pause, Pause)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_patience_ends_with_an_error_that_says_where_and_what_now() -> None:
    with pytest.raises(NoAnswer) as caught:
        asked(Lost(LOST, 100), Lost(LOST, 109), Lost(LOST, 110))

    assert str(caught.value) == (
        "Order/o-17: no answer from http://restate, asked 3 times within 10 s: ConnectError. It is not known whether the"
        " machine has changed. Call again with the same idempotency key when the server can be reached."
    )


READ = HttpRequest("POST", "/Order/o-17/snapshot", reads=True)
SLOW = Lost("ReadTimeout", 30, slow=True)
NOWHERE = Lost(LOST, 0, sent=False)


@pytest.mark.parametrize("request_", [READ, EVENT], ids=["a read", "an event"])
def test_without_any_server_nothing_was_sent(request_: HttpRequest) -> None:
    with pytest.raises(NoAnswer) as caught:
        asked(NOWHERE, Lost(LOST, 10, sent=False), request=request_)

    assert str(caught.value) == (
        "Order/o-17: no Restate server at http://restate, asked 2 times within 10 s: ConnectError. Nothing was sent."
        " Is `durable-fsm dev` running, or another server? Name it if it is elsewhere."
    )


def test_a_read_that_was_not_answered_in_time_is_not_sent_again() -> None:
    with pytest.raises(NoAnswer) as caught:
        asked(SLOW, request=READ)

    assert str(caught.value) == (
        "Order/o-17: the service of Order has not answered through http://restate, asked once: ReadTimeout. Is it"
        " running, and registered where it runs? `durable-fsm doctor` says what is down."
    )


def test_an_event_that_may_have_arrived_is_sent_again() -> None:
    well = response(200, at=31)

    assert asked(NOWHERE, SLOW, well)[-1] == well
    with pytest.raises(NoAnswer, match="It is not known whether the machine has changed"):
        asked(SLOW, Lost(LOST, 40, sent=False))


def test_an_attempt_that_was_held_for_long_begins_a_new_outage() -> None:
    well = response(200, at=5_002)

    assert asked(Lost(LOST, 0), Lost(LOST, 5_000), Lost(LOST, 5_001), well)[-1] == well


def test_a_call_that_may_not_be_repeated_is_made_once() -> None:
    with pytest.raises(NoAnswer, match="asked once"):
        asked(Lost(LOST, 0), request=HttpRequest("POST", "/x", repeatable=False))


def test_a_service_that_stays_unknown_is_not_waited_for_as_long() -> None:
    with pytest.raises(UnexpectedAnswer) as caught:
        asked(response(404, UNKNOWN, "ingress", 0), response(404, UNKNOWN, "ingress", 5))

    assert str(caught.value) == (
        "Order/o-17: the call was answered with status 404: service 'Order' not found"
        " Check the chart's name; register the deployment that hosts it."
    )


@pytest.mark.parametrize("status", [502, 503, 504])
def test_what_a_machine_itself_has_answered_is_not_asked_again(status: int) -> None:
    with pytest.raises(UnexpectedAnswer, match=f"status {status}"):
        asked(response(status, source="invocation"))


def test_a_refusal_is_raised_at_once() -> None:
    body = (
        b'{"message": "no", "metadata": {"type": "EventRejected", "chart": "Order", "key": "o-17", "event": "pay",'
        b' "configuration": "[\\"cart\\"]", "accepted": "[\\"checkout\\"]", "reason": ""}}'
    )

    with pytest.raises(EventRejected) as caught:
        asked(response(409, body, "invocation"))

    assert str(caught.value) == "Order/o-17: event 'pay' is not accepted in state 'cart'. Accepted now: 'checkout'."
    assert caught.value.accepted == ("checkout",)


def test_a_url_without_its_scheme_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="write it as http://localhost:8080"):
        SyncClient("localhost:8080")
