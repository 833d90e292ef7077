"""The client against real servers: typed and by name, with and without asyncio."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm import chart_from, errors
from durable_fsm.client import Client, SyncClient
from durable_fsm.testing import wait_until
from tests.server.client_app import Address, Charge, Count, Errand, Holder, Messenger, Purchase, Seat, Tally

if TYPE_CHECKING:
    from durable_fsm.testing import EffectLog, RestateServer
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


MAIN_STREET = Address(street="Main Street", number=1)


@pytest.fixture(scope="module")
def hosted(
    hosting: type[Host], restate_server: RestateServer, effect_log: EffectLog, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    log = tmp_path_factory.mktemp("client") / "service.log"
    settings = {"INGRESS_URL": restate_server.ingress_url}
    with hosting.on(restate_server, effect_log, log, "client_app:app", **settings) as host:
        yield host


@pytest.fixture
def shop(hosted: Host) -> Iterator[Host]:
    yield hosted
    hosted.mend()


@pytest.fixture
def client(shop: Host) -> Iterator[SyncClient]:
    with SyncClient(shop.server.ingress_url) as found:
        yield found


def test_the_client_sends_an_event_and_reads_the_machine(shop: Host, client: SyncClient) -> None:
    seat = client.machine(Seat, shop.key("seat"))

    receipt = seat.send(Seat.book, MAIN_STREET)

    assert (receipt.chart, receipt.key, receipt.event) == ("Seat", seat.key, "book")
    assert (receipt.outcome, receipt.configuration, receipt.status) == ("taken", ("booked",), "running")
    view = client.machine("Seat", seat.key).snapshot()
    assert (view.configuration, view.data) == (("booked",), {"count": 0})
    assert {one.event: one.accepts for one in view.events} == {"book": "no", "use": "yes"}


def test_the_asyncio_client_makes_the_same_calls(shop: Host) -> None:
    async def story() -> list[object]:
        async with Client(shop.server.ingress_url) as client:
            seat = client.machine("Seat", shop.key("seat"))
            told = [(await seat.send("book", MAIN_STREET)).configuration, (await seat.send("use")).status]
            return [*told, [entry.event async for entry in seat.history(page=1)]]

    assert asyncio.run(story())[:2] == [("booked",), "done"]
    assert asyncio.run(story())[2][-2:] == ["book", "use"]


def test_a_refusal_raises_the_error_of_the_machine_in_the_client(shop: Host, client: SyncClient) -> None:
    seat = client.machine("Seat", shop.key("seat"))
    with pytest.raises(errors.InvalidPayload) as invalid:
        seat.send("book", {"street": "Main Street", "number": 0})
    with pytest.raises(errors.NotStarted):
        seat.snapshot()
    seat.send("book", MAIN_STREET)

    with pytest.raises(errors.EventRejected) as rejected:
        seat.send("book", MAIN_STREET)
    with pytest.raises(errors.UnknownEvent) as unknown:
        seat.send("boko")
    seat.send("use")
    with pytest.raises(errors.Finished) as finished:
        seat.send("use")

    assert invalid.value.path == "$.number"
    assert (rejected.value.accepted, rejected.value.configuration) == (("use",), ("booked",))
    assert (rejected.value.chart, rejected.value.key) == ("Seat", seat.key)
    assert unknown.value.known == ("book", "use")
    assert finished.value.configuration == ("used",)


def test_an_event_sent_again_under_its_idempotency_key_gets_the_same_receipt(shop: Host, client: SyncClient) -> None:
    tally = client.machine(Tally, shop.key("tally"))

    receipts = [tally.send(Tally.increment, idempotency_key="order-17") for _ in range(3)]

    assert receipts == [receipts[0]] * 3
    assert tally.snapshot().data == Count(count=1)


KEYS = ["a/b", "..", ".", "a?b#c", "a%2Fb", "ключ 🗝", " ", "a\nb", "..%2f", "+&=;:@", "a//b", "a\\b"]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_may_be_any_text(shop: Host, client: SyncClient, key: str) -> None:
    tally = client.machine("Tally", key)

    receipt = tally.send("increment")

    assert (receipt.key, tally.snapshot().key) == (key, key)
    assert shop.stored("Tally", key)


def test_the_receipt_of_a_one_way_event_can_be_fetched_later(shop: Host, client: SyncClient) -> None:
    tally = client.machine("Tally", shop.key("tally"))

    sent = tally.tell("increment", delay=timedelta(milliseconds=300))
    early = sent.output()
    receipt = sent.attach()

    assert (early, receipt.outcome, receipt.reply) == (None, "taken", 1)
    assert client.invocation("Tally", tally.key, sent.id).output() == receipt
    assert tally.send("increment", delay=timedelta(milliseconds=1)).reply == 2


def test_attaching_to_a_refused_one_way_event_raises_its_error(shop: Host, client: SyncClient) -> None:
    sent = client.machine(Seat, shop.key("seat")).tell(Seat.use)

    with pytest.raises(errors.EventRejected) as rejected:
        sent.attach()

    assert rejected.value.accepted == ("book",)


def test_the_client_waits_for_a_state_of_a_machine(shop: Host, client: SyncClient) -> None:
    seat = client.machine(Seat, shop.key("seat"))

    there = seat.wait_for(state=Seat.booked, event=Seat.book, payload=MAIN_STREET, timeout=timedelta(minutes=1))
    either = seat.wait_for(any_of=[{"state": "used"}, {"status": "running"}])
    with pytest.raises(errors.WaitTimedOut) as late:
        seat.wait_for(state="used", timeout=timedelta(milliseconds=100))

    assert (there.outcome, there.configuration, either.outcome) == ("taken", ("booked",), "met")
    assert late.value.condition == '{"state":"used"}'


def test_an_event_is_taken_once_although_service_and_server_are_killed_while_it_is_sent(
    shop: Host, client: SyncClient
) -> None:
    tally = client.machine("Tally", shop.key("tally"))
    tally.send("increment")
    found: list[object] = []
    shop.served.kill()
    sending = threading.Thread(target=lambda: found.append(tally.send("increment").reply))

    sending.start()
    wait_until(lambda: shop.invocations("Tally", tally.key, status="backing-off"), what="the event to wait")
    shop.server.kill()
    shop.server.start()
    shop.served.restart()
    sending.join(30)

    assert found == [2]
    assert tally.snapshot().data == {"count": 2}


def test_each_of_many_events_is_taken_once_although_service_and_server_are_killed_meanwhile(
    shop: Host, client: SyncClient
) -> None:
    tally = client.machine(Tally, shop.key("tally"))
    replies: list[object] = []

    def send_all() -> None:
        replies.extend(tally.send(Tally.increment).reply for _ in range(100))

    sending = threading.Thread(target=send_all)
    sending.start()
    wait_until(lambda: shop.stored("Tally", tally.key), what="the first event to be taken")
    shop.served.kill()
    shop.server.kill()
    cut_short = sending.is_alive()
    shop.server.start()
    shop.served.restart()
    sending.join(30)

    assert cut_short
    assert replies == list(range(1, 101))
    assert tally.snapshot().data == Count(count=100)


def test_an_activity_sends_to_another_machine_once_however_often_it_is_retried(shop: Host, client: SyncClient) -> None:
    tally = client.machine(Tally, shop.key("tally"))
    messenger = client.machine(Messenger, shop.key("messenger"))
    shop.effects.fail_next(tally.key, times=2)  # it has told already when it fails

    messenger.send(Messenger.go, Errand(tally=tally.key))
    messenger.wait_for(state=Messenger.told, timeout=timedelta(seconds=60))

    assert shop.effects.entries(tally.key)
    assert tally.wait_for(status="running").configuration == ("counting",)
    assert tally.snapshot().data == Count(count=5)


def test_the_client_creates_repairs_and_deletes_a_machine(shop: Host, client: SyncClient) -> None:
    seat = client.machine(Seat, shop.key("seat"))
    created = [seat.create({"count": 3}).outcome for _ in range(2)]
    moved = seat.repair(move=Seat.booked, reason="booked at the counter")
    deleted = seat.delete()

    assert [*created, moved.outcome, deleted.outcome] == ["created", "exists", "repaired", "deleted"]
    assert moved.configuration == ("booked",)
    with pytest.raises(errors.NotStarted):
        seat.delete()


def test_the_client_cancels_an_activity(shop: Host, client: SyncClient) -> None:
    holder = client.machine(Holder, shop.key("holder"))
    with shop.effects.hold(f"before:{holder.key}") as gate:
        holder.send(Holder.begin, Errand(tally=holder.key))
        gate.wait_reached()

        assert holder.cancel("holding") == ("holding",)

        assert holder.wait_for(state=Holder.over, timeout=timedelta(seconds=60)).status == "done"
    with pytest.raises(errors.NotRunning):
        holder.cancel("holding")


def test_calling_a_chart_that_is_not_deployed_says_what_to_do(shop: Host) -> None:
    with (
        SyncClient(shop.server.ingress_url, patience=timedelta(milliseconds=300)) as client,
        pytest.raises(errors.UnexpectedAnswer, match="register the deployment that hosts it"),
    ):
        client.machine("Nobody", "k").send("go")


def test_the_examples_of_the_client_page_run(shop: Host) -> None:
    page = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf-8")
    snippets = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    names: dict[str, Any] = {"__name__": "page"}

    for snippet in snippets:
        exec(snippet.replace("http://localhost:8080", shop.server.ingress_url), names)  # noqa: S102 - our own page
    names["client"].close()

    assert len(snippets) == 10
    for chart in (Charge, Purchase):
        assert chart_from(names[chart.__name__]) == chart_from(chart)


def test_delete_undoes_completed_work_if_the_caller_asks_for_it(sagas_awake: Host) -> None:
    trip = sagas_awake.key("trip")
    with SyncClient(sagas_awake.server.ingress_url) as client:
        booking = client.machine("Booking", trip)
        booking.send("book", {"effect": trip})
        booking.wait_for(state="booked")

        with pytest.raises(errors.NotUndone) as refused:
            booking.delete()
        deleted = booking.delete(compensate=True)

        assert refused.value.done == ("flight", "car", "paying")
        assert deleted.reply == ["paying", "car", "flight"]
        assert client.machine("Tour", trip).run({"effect": f"{trip}-tour"}) is None


@pytest.mark.parametrize("victim", ["service", "server"])
def test_a_kill_while_an_event_is_taken_costs_its_sender_only_time(host: Host, victim: str) -> None:
    key = host.key("door")
    answers: list[Any] = []
    with SyncClient(host.server.ingress_url) as client, host.effects.hold(f"after:{key}") as gate:
        door = client.machine("Door", key)
        pushing = threading.Thread(target=lambda: answers.append(door.send("push", {"effect": key})))
        pushing.start()
        gate.wait_reached()
        if victim == "service":
            host.served.kill()
            host.served.restart()
        else:
            host.server.kill()
            host.server.start()
        gate.open()
        pushing.join()

        assert [(one.event, one.outcome) for one in answers] == [("push", "taken")]
        assert [entry.event for entry in door.history()].count("push") == 1
        assert len({entry.key for entry in host.effects.entries(key)}) == 1


def test_an_idempotency_key_that_was_used_for_another_event_is_told_and_sends_nothing(
    shop: Host, client: SyncClient
) -> None:
    seat = client.machine("Seat", shop.key("seat"))
    seat.send("book", MAIN_STREET, idempotency_key="r-1")

    with pytest.raises(
        errors.KeyReused, match="'use' was not sent: the idempotency key 'r-1' was already used for 'book'"
    ):
        seat.send("use", idempotency_key="r-1")
    with pytest.raises(errors.KeyReused):
        seat.send("use", idempotency_key="r-1", delay=timedelta(milliseconds=1))
    seat.wait_for(state="booked", idempotency_key="r-2")
    with pytest.raises(errors.KeyReused):
        seat.wait_for(state="used", event="use", idempotency_key="r-2")

    assert seat.snapshot().configuration == ("booked",)
