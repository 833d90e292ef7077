"""The short way does what the SDK does: the same commands, in the same order, for every handler, and from any journal."""

from __future__ import annotations

import asyncio
import copy
import logging
import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import restate
from pydantic import BaseModel
from restate.exceptions import RetryableError
from restate.server_context import set_extension_data
from statemachine import State, StateChart

from durable_fsm import ActivityContext, TerminalError, activity, after, app, durable, event
from durable_fsm.restate import short_way
from durable_fsm.restate.names import Handler
from durable_fsm.restate.registration import BYTES
from durable_fsm.restate.settings import Settings
from durable_fsm.restate.short_way import ShortWay
from tests.restate.golden_chart import Trip
from tests.restate.played import CALL, END, OUTPUT, PROPOSED, SEND, SLEEP, SUSPENSION, VERSION, Frame, Invoked, ask

COMPARING = Settings(compare_payloads=True)
"""Without time stamps; and the state machine compares what a replay writes with the journal."""

KEYS = ("a", "b")


class Parcel(BaseModel):
    weight: int = 1


class Sorted(BaseModel):
    weight: int = 0
    came: datetime | None = None


def weighed() -> int:
    return 7


async def sort(ctx: ActivityContext, data: Sorted) -> int:
    weight = await ctx.run("weigh", weighed)
    await ctx.sleep(timedelta(seconds=1))
    if data.weight > 5:
        raise TerminalError("too heavy")
    return weight


async def pack(data: Sorted) -> None: ...


@durable(version="1", clock=True, index=("weight",))
class Desk(StateChart[Sorted]):
    """Reads the clock, holds its key while it sorts, packs in the background, and is found by weight."""

    idle = State(initial=True)
    sorting = State(invoke=activity(sort, exclusive=True))
    packing = State(invoke=activity(pack, limit=2))
    closed = State(final=True)

    take = event(idle.to(sorting), Parcel)
    done_invoke_sorting = sorting.to(packing)
    error_invoke_sorting = sorting.to(idle)
    done_invoke_packing = packing.to(idle)
    error_invoke_packing = packing.to(idle)
    hurry = after(timedelta(hours=2), packing.to(idle))
    close = event(idle.to(closed))

    def on_take(self, data: Sorted, payload: Parcel, event: Any) -> None:
        data.weight += payload.weight
        data.came = event.at


BODIES = (
    b"",
    b"{}",
    b"[]",
    b"{",
    b'"inv_1"',
    b'{"reason": "so", "verb": "retry"}',
    b'{"event": "begin"}',
    b'{"token": "t.1.1"}',
)
OUTSIDE = [
    ("Trip", "begin", b""),
    ("Trip", "give_up", b""),
    ("Trip", "take_seat", b'{"fullName": "Ada", "seatNumber": 3}'),
    ("Trip", "take_seat", b'{"fullName": 1}'),
    ("Trip", "send", b'{"event": "begin"}'),
    ("Trip", "send", b'{"event": "done_invoke_booking"}'),
    ("Trip", "create", b'{"tripNumber": 4}'),
    ("Trip", "snapshot", b""),
    ("Trip", "history", b'{"last": 3}'),
    ("Trip", "wait_for", b'{"state": "waiting", "timeout": "1h"}'),
    ("Trip", "repair", b'{"verb": "resend", "reason": "so"}'),
    ("Trip", "repair", b'{"verb": "pause", "reason": "so"}'),
    ("Trip", "repair", b'{"verb": "resume", "reason": "so"}'),
    ("Trip", "delete", b'{"abandon": true}'),
    ("Desk", "take", b'{"weight": 2}'),
    ("Desk", "take", b""),
    ("Desk", "close", b""),
    ("Desk", "snapshot", b""),
    ("Desk", "delete", b'{"undo": true}'),
]


@dataclass
class Pair:
    """An application in both ways, and all that is stored and sent in a Restate that plays with it."""

    short: ShortWay
    sdk: Any
    dice: random.Random
    stored: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict[tuple[str, str], dict[str, bytes]])
    sent: list[tuple[str, str, str, bytes]] = field(default_factory=list[tuple[str, str, str, bytes]])
    number: int = 0
    replays: int = 0
    ended: int = 0
    hurried: int = 0

    @property
    def targets(self) -> list[tuple[str, str]]:
        paths = [path.split("/") for path in vars(self.short)["_handlers"]]
        return [(service, handler) for *_, service, handler in paths]

    async def invoke(self, service: str, handler: str, key: str, body: bytes) -> Frame | None:
        """Run an invocation until nothing more happens, each attempt in both ways; return its output, if it has one."""
        self.number += 1
        state = self.stored.setdefault((service, key), {})
        is_partial = self.dice.random() < 0.1
        invoked = Invoked(f"{service}/{handler}", key, body, self.number, state, is_partial=is_partial)
        for _ in range(20):
            sent = await self.attempt(invoked)
            if sent[-1].kind == END and self.dice.random() < 0.9:
                invoked.store(sent)
                self.sent += [sending(frame) for frame in sent if frame.kind == SEND]
                return next(frame for frame in invoked.journal if frame.kind == OUTPUT)
            # The connection may break, and everything after that is lost.
            kept = sent if self.dice.random() < 0.8 else sent[: self.dice.randrange(len(sent))]
            if not invoked.store(kept) and kept is sent:
                return None
            self.sent += [sending(frame) for frame in kept if frame.kind == SEND]
            for frame in kept:
                if frame.kind == SLEEP:
                    invoked.answer(frame, None)
                elif frame.kind == CALL and (output := await self.invoke(*sending(frame))) is not None:
                    invoked.answer(frame, output)
            if self.dice.random() < 0.05:
                invoked.cancel()
            self.replays += 1
        return None

    async def attempt(self, invoked: Invoked) -> list[Frame]:
        """Send the same request to both, and return what they have in common: that of one of them.

        In the short way an attempt may continue with a result that is only proposed. The SDK has to store it first, and
        writes the rest in its next attempt.
        """
        request, pieces, stays_open = invoked.request(), self.dice.randint(1, 3), self.dice.random() < 0.25
        answers = [
            await ask(app, invoked.target, request, pieces=pieces, stays_open=stays_open)
            for app in (self.short, self.sdk)
        ]
        ours, theirs = (answer.frames for answer in answers)
        if len(ours) > len(theirs) and [frame.kind for frame in theirs[-2:]] == [PROPOSED, SUSPENSION]:
            self.hurried += ours[-1].kind == END
            later = copy.deepcopy(invoked)
            later.store(theirs)
            rest = (await ask(self.sdk, later.target, later.request())).frames
            assert [frame.comparable for frame in ours] == [frame.comparable for frame in theirs[:-1] + rest], invoked
            return self.dice.choice([ours, theirs])
        assert [frame.comparable for frame in ours] == [frame.comparable for frame in theirs], invoked
        self.ended += ours[-1].kind == END
        return self.dice.choice([ours, theirs])


def sending(frame: Frame) -> tuple[str, str, str, bytes]:
    """The service, the handler, the key and the body of what was sent or called."""
    key = frame[6 if frame.kind == SEND else 5] or b""
    return frame[1].decode(), frame[2].decode(), key.decode(), frame[3] or b""


def both(*definitions: object, settings: Settings = COMPARING) -> tuple[ShortWay, Any]:
    """An application in the short way, and one of the SDK's."""
    short, sdk = (app(*definitions, settings=replace(settings, short_way=way)) for way in (True, False))
    assert isinstance(short, ShortWay)
    assert not isinstance(sdk, ShortWay)
    return short, sdk


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No records of crashes, and no log of what is refused on purpose."""
    monkeypatch.setenv("DURABLE_FSM_CRASH_DIR", "")
    monkeypatch.setattr(logging.getLogger("restate.server"), "disabled", True)
    monkeypatch.setattr(logging.getLogger("restate.server_context"), "disabled", True)


@pytest.fixture
def pair(dice: random.Random) -> Pair:
    return Pair(*both(Trip, Desk), dice)


def test_every_handler_answers_alike_whatever_it_is_sent(pair: Pair) -> None:
    async def send_all() -> None:
        for service, handler in pair.targets:
            for body in BODIES:
                await pair.invoke(service, handler, "c", body)

    asyncio.run(send_all())

    assert {Handler.DELIVER, Handler.MAIL, Handler.WAIT, "snapshot", "drop", "sorting"} <= {
        name for _, name in pair.targets
    }
    assert pair.replays > 100


def test_random_turns_write_the_same_commands_and_either_way_goes_on_with_the_journal_of_the_other(
    pair: Pair, scale: int
) -> None:
    taken: set[str] = set()

    async def run(turns: int) -> None:
        while pair.number < turns or pair.hurried < 10:
            if pair.sent and pair.dice.random() < 0.6:
                service, handler, key, body = pair.sent.pop(pair.dice.randrange(len(pair.sent)))
            else:
                (service, handler, body), key = pair.dice.choice(OUTSIDE), pair.dice.choice(KEYS)
            taken.add(f"{service}/{handler}")
            await pair.invoke(service, handler, key, body)

    asyncio.run(run(max(500, 200 * scale)))

    assert {"Trip/_deliver", "Trip.activities/booking", "Escort/_begin", "Desk/take"} <= taken
    assert pair.ended > 100


# ── the answer ────────────────────────────────────────────────────────────────────────────────────────────────────────


def begun(body: bytes = b"", *, target: str = "Trip/begin") -> Invoked:
    return Invoked(target, "k", body, 1, {})


def test_a_turn_is_answered_in_one_piece() -> None:
    short, sdk = both(Trip)
    created = begun(target="Trip/create")

    ours, theirs = (asyncio.run(ask(one, created.target, created.request(), pieces=2)) for one in (short, sdk))

    head, body = ours.messages
    assert dict(head["headers"])[b"content-length"] == b"%d" % len(body["body"])
    assert [body["more_body"], len(theirs.messages)] == [False, 3]
    assert (ours.frames, head["status"]) == (theirs.frames, theirs.messages[0]["status"])
    lacking = [header for header in theirs.messages[0]["headers"] if header not in head["headers"]]
    assert lacking == []


def test_nothing_leaves_before_the_turn_is_whole() -> None:
    short, _ = both(Trip)
    seen: list[int] = []
    request = begun(target="Trip/create").request()

    async def receive() -> dict[str, Any]:
        seen.append(len(sent))
        return {"type": "http.request", "body": request, "more_body": False}

    sent: list[Any] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(short(scope_of("/invoke/Trip/create"), receive, send))

    assert (seen, len(sent)) == ([0], 2)


def test_a_request_that_breaks_off_is_not_answered() -> None:
    short, _ = both(Trip)
    coming = [{"type": "http.request", "body": begun().request()[:50], "more_body": True}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return coming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(short(scope_of("/invoke/Trip/begin"), receive, send))

    assert (coming, sent) == ([], [])


# ── what is left to the SDK ───────────────────────────────────────────────────────────────────────────────────────────


def scope_of(path: str, **headers: str) -> dict[str, Any]:
    given = {"content-type": VERSION, "accept": VERSION, **headers}
    named = [(name.encode(), value.encode()) for name, value in given.items()]
    return {"type": "http", "http_version": "1.1", "method": "POST", "path": path, "headers": named}


KEY = "publickeyv1_w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f"


@pytest.mark.parametrize(
    ("path", "headers", "keys", "status"),
    [
        pytest.param("/health", {}, (), 200, id="health"),
        pytest.param(
            "/discover", {"accept": "application/vnd.restate.endpointmanifest.v4+json"}, (), 200, id="discovery"
        ),
        pytest.param("/invoke/Trip/nothing", {}, (), 404, id="no-such-handler"),
        pytest.param("/other", {}, (), 404, id="no-such-path"),
        pytest.param("/invoke/Trip/begin", {}, (KEY,), 401, id="not-signed"),
    ],
)
def test_the_sdk_answers_whatever_is_not_an_invocation_that_may_run(
    path: str, headers: dict[str, str], keys: tuple[str, ...], status: int
) -> None:
    short = app(Trip, identity_keys=keys)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(short(scope_of(path, **headers), receive, send))

    assert sent[0]["status"] == status


def test_a_version_of_the_protocol_that_the_sdk_does_not_know_fails_there() -> None:
    unknown = scope_of("/invoke/Trip/begin", **{"content-type": "application/vnd.restate.invocation.v999"})
    failed_in: list[str] = []

    for hosted in both(Trip):
        with pytest.raises(Exception, match="unsupported protocol version") as failed:
            asyncio.run(hosted(unknown, None, None))
        failed_in.append(failed.traceback[-2].path.name)

    assert failed_in == ["server.py", "server.py"]


def test_another_version_of_the_sdk_serves_every_request_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(short_way, "SDK_VERSION", "1.4.0")

    with caplog.at_level(logging.DEBUG, "durable_fsm"):
        hosted = app(Trip)

    assert not isinstance(hosted, ShortWay)
    assert [record.getMessage() for record in caplog.records] == [
        "the short way is off: it is not tested with restate-sdk 1.4.0, or not made for this platform"
    ]


def test_a_switch_turns_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DURABLE_FSM_SHORT_WAY", "0")

    assert not isinstance(app(Trip), ShortWay)


# ── the context ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def reads_twice(ctx: restate.ObjectContext, _: bytes) -> bytes:
    value = ctx.get("name", serde=BYTES)
    first, second = await value, await value
    typed = await ctx.get("number", type_hint=int)
    return repr((first, second, typed)).encode()


async def fails_twice(ctx: restate.ObjectContext, _: bytes) -> bytes:
    answer = ctx.generic_call("Other", "ask", b"")
    heard: list[str] = []
    for _number in range(2):
        try:
            await answer
        except restate.TerminalError as error:
            heard.append(error.message)
    return repr(heard).encode()


async def draws(ctx: restate.ObjectContext, _: bytes) -> bytes:
    request = ctx.request()
    drawn = ctx.uuid(), ctx.random().random(), ctx.uuid()
    return repr((drawn, request.id, request.headers, request.attempt_headers, request.body)).encode()


CLOSED: list[str] = []


class Closing:
    def __close__(self) -> None:
        CLOSED.append("closed")


async def leaves_extension_data(ctx: restate.ObjectContext, body: bytes) -> bytes:
    set_extension_data(ctx, "tidy", Closing())
    return body


def raising(name: str, error: BaseException) -> Any:
    async def raises(ctx: restate.ObjectContext, body: bytes) -> bytes:
        ctx.set("begun", body, serde=BYTES)
        raise error

    raises.__name__ = name
    return raises


PROBES = [
    reads_twice,
    fails_twice,
    draws,
    leaves_extension_data,
    raising("terminal", restate.TerminalError("no", 418, metadata={"so": "it is"})),
    raising("retryable", RetryableError("later", retry_after=timedelta(seconds=3))),
    raising("cancelled", asyncio.CancelledError()),
    raising("wrong", ValueError("never")),
]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)
def test_a_handler_finds_the_context_that_it_finds_in_the_sdk(probe: Any) -> None:
    service = restate.VirtualObject("Probe")
    service.handler(probe.__name__, input_serde=BYTES, output_serde=BYTES)(probe)
    sdk = restate.app([service])
    short = short_way.shortened(sdk, [service], (), compares=True)
    asked = Invoked(f"Probe/{probe.__name__}", "k", b"body", 7, {"name": b"Ada", "number": b"17"})
    CLOSED.clear()

    for _ in range(2):
        ours, theirs = (asyncio.run(ask(one, asked.target, asked.request())).frames for one in (short, sdk))
        assert [frame.comparable for frame in ours] == [frame.comparable for frame in theirs]
        asked.store(ours)
        for frame in ours:
            if frame.kind == CALL:
                asked.answer(frame, Frame(OUTPUT, ((15, Frame(0, ((1, 500), (2, b"broken"))).encode()[8:]),)))

    assert len(CLOSED) == (4 if probe is leaves_extension_data else 0)
