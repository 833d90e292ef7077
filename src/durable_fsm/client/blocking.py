# Generated from awaited.py by python -m tests.client.unasync. Change that, not this.
"""The client without asyncio: every method passes an exchange of `calls` to `_take`, which does the I/O."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast, overload

import httpx

from durable_fsm.client.calls import Calls, Named, SentCall
from durable_fsm.client.protocol import Answer, Exchange, HttpRequest, HttpResponse, Ingress, Lost, Pause
from durable_fsm.client.transport import lost
from durable_fsm.client.values import Entry, View
from durable_fsm.core.chart import Chart
from durable_fsm.core.operators import VALID_SECONDS
from durable_fsm.core.receipt import Receipt
from durable_fsm.core.values import Json

if TYPE_CHECKING:
    from statemachine import StateChart

    from durable_fsm.frontends.declare import EventOf, SomeTransitions
    from durable_fsm.frontends.transitions import TransitionsConfig

P = TypeVar("P")
D = TypeVar("D")
T = TypeVar("T")


class SyncClient:
    """Calls machines through Restate's ingress, without asyncio.

    Every call that changes something has an idempotency key, so a repeated call has no second effect. The client
    repeats calls on connection errors, on 502, 503 and 504, and while a server that has just started does not know the
    service.
    """

    def __init__(
        self,
        url: str = "http://localhost:8080",
        *,
        token: str | None = None,
        verify: bool | ssl.SSLContext = True,
        timeout: timedelta = timedelta(seconds=30),
        patience: timedelta = timedelta(minutes=1),
        http: httpx.Client | None = None,
    ) -> None:
        """Prepare calls; nothing is sent yet.

        Args:
            url: of Restate's ingress.
            token: sent as `Authorization: Bearer …`.
            verify: False does not check the server's certificate; an SSLContext says how.
            timeout: the limit for one attempt, unless the call itself waits longer.
            patience: how long to repeat a call while no server answers.
            http: your own httpx client; `verify` is then ignored, and you close the client.

        Raises:
            ValueError: the URL has no scheme.
        """
        self._ingress = Ingress(url.rstrip("/"), patience)
        self._timeout = timeout
        self._headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self._own = http is None
        self._operator: tuple[str, str] | None = None
        # Reading the certificates takes longer than most calls.
        self._http = http or httpx.Client(verify=verify if url.startswith("https:") else False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @overload
    def machine(self, definition: type[StateChart[D]], key: str) -> SyncTypedMachine[D]: ...

    @overload
    def machine(self, definition: str | Chart | TransitionsConfig, key: str) -> SyncNamedMachine: ...

    def machine(self, definition: object, key: str) -> SyncTypedMachine[Any] | SyncNamedMachine:
        """The machine of this key, whether it exists or not.

        Args:
            definition: a python-statemachine class, whose typed events are then checked, a configuration of
                transitions, a chart, or the name of one.

        Raises:
            ValueError: the key is empty, or has an unpaired surrogate.
            DefinitionError: the definition cannot become a chart.
        """
        calls = Calls.to(self._ingress, definition, key)
        return SyncTypedMachine(self, calls) if isinstance(definition, type) else SyncNamedMachine(self, calls)

    def find(self, definition: object, where: Mapping[str, str | float]) -> list[str]:
        """The keys of the machines whose indexed fields have these values, sorted: `{"customer": "ada"}`.

        The list follows a change of a value with a short delay. Read the snapshot of a machine before you act on it.

        Raises:
            NotIndexed: the chart has no index of one of the fields.
            ValueError: *where* is empty.
        """
        return self._take(Calls.listed(self._ingress, definition, where))

    def invocation(self, chart: str, key: str, id: str) -> SyncSent:
        """An event that was sent one-way, by the id of its invocation."""
        return SyncSent(self, SentCall(id, self._ingress, chart, key))

    def as_operator(self, name: str, secret: str) -> Self:
        """Return the same client with calls signed by an operator; see `DURABLE_FSM_OPERATOR_SECRETS` of the service.

        A signed call that changes a machine names the step at which the machine was seen. The client reads that step
        first, unless `SyncMachine.if_seq` gives it.
        """
        signing = copy(self)
        signing._own, signing._operator = False, (name, secret)
        signing._ingress = replace(self._ingress, signed=True)
        return signing

    def close(self) -> None:
        """Close the connections, unless the caller passed the httpx client."""
        if self._own:
            self._http.close()

    def _take(self, exchange: Exchange[T]) -> T:
        """Send and wait as *exchange* asks, until it has a result."""
        answer: Answer = None
        try:
            while True:
                wanted = exchange.send(answer)
                answer = self._ask(wanted) if isinstance(wanted, HttpRequest) else self._pause(wanted)
        except StopIteration as end:
            return cast("T", end.value)

    def _ask(self, wanted: HttpRequest) -> HttpResponse | Lost:
        timeout = httpx.Timeout(self._timeout.total_seconds(), read=(self._timeout + wanted.lasts).total_seconds())
        headers = {**wanted.headers, **self._headers}
        if wanted.signs is not None and self._operator is not None:
            headers |= wanted.signs.signed(*self._operator, until=int(time.time()) + VALID_SECONDS)
        try:
            answer = self._http.request(
                wanted.method,
                self._ingress.url + wanted.path,
                content=wanted.body,
                headers=headers,
                timeout=timeout,
            )
        except httpx.TransportError as error:
            return lost(error, time.monotonic())
        return HttpResponse(answer.status_code, answer.content, answer.headers, time.monotonic())

    def _pause(self, wanted: Pause) -> Answer:
        time.sleep(wanted.seconds)
        return None


@dataclass(frozen=True, slots=True)
class SyncSent:
    """An event that was sent one-way; its receipt can be fetched for a day."""

    _client: SyncClient
    _invocation: SentCall

    @property
    def id(self) -> str:
        """Restate's id of the invocation; `SyncClient.invocation` finds it again."""
        return self._invocation.id

    def attach(self, timeout: timedelta | None = None) -> Receipt:
        """Wait for the receipt.

        Args:
            timeout: how long to wait beyond the client's patience.

        Raises:
            EventError, MachineError: the machine refused the event.
            CallError: no receipt came in time.
        """
        return self._client._take(self._invocation.attach(timeout))  # pyright: ignore[reportPrivateUsage]

    def output(self) -> Receipt | None:
        """The receipt, or None as long as there is none; raises what `attach` raises."""
        return self._client._take(self._invocation.output())  # pyright: ignore[reportPrivateUsage]


class SyncMachine:
    """A handle on one machine, with the calls that every machine supports; made by `SyncClient.machine`.

    Every call raises the exception of `durable_fsm.errors` that the machine raised, with its attributes, or `CallError` if
    no machine answered.
    """

    def __init__(self, client: SyncClient, calls: Calls) -> None:
        self._client = client
        self._calls = calls

    @property
    def chart(self) -> str:
        """Name of its chart."""
        return self._calls.chart

    @property
    def key(self) -> str:
        return self._calls.key

    def _take(self, exchange: Exchange[T]) -> T:
        return self._client._take(exchange)  # pyright: ignore[reportPrivateUsage]

    def if_seq(self, seq: int) -> Self:
        """Return the same machine, for calls that are accepted only at this step (`View.seq`, `Receipt.seq`).

        They raise `Moved` if it is not; 0 means that it must not exist yet.
        """
        return type(self)(self._client, replace(self._calls, if_seq=seq))

    def create(self, data: object = None, *, idempotency_key: str | None = None) -> Receipt:
        """Create the machine with this data; `outcome` is `created`, or `exists` if the same data was given before."""
        return self._take(self._calls.create(data, idempotency_key=idempotency_key))

    def snapshot(self) -> View[Any]:
        """Read the machine's states, its data, the events it accepts, its timers and activities."""
        return self._take(self._calls.snapshot())

    def wait_for(
        self,
        *,
        state: str | Named | None = None,
        tag: str | None = None,
        status: str | None = None,
        settled: bool = False,
        taken: bool = False,
        any_of: Iterable[Mapping[str, object]] = (),
        event: str | Named | None = None,
        payload: object = None,
        timeout: timedelta | None = None,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Wait until the machine is in a state, has a tag or a status, or has settled. Pass exactly one condition.

        Args:
            taken: wait until *event* has been processed, even if it is deferred first; the receipt has its reply.
            any_of: wait for one of several conditions: `[{"state": "paid"}, {"status": "failed"}]`.
            event: send this event first, with *payload*; only states after it count.
            timeout: how long to wait; one hour by default.

        Raises:
            WaitTimedOut, WaitInVain: the condition was not met.
            EventError: the event was rejected, perhaps after it had been deferred.
        """
        wait = self._calls.wait_for(
            state=state,
            tag=tag,
            status=status,
            settled=settled,
            taken=taken,
            any_of=any_of,
            event=event,
            payload=payload,
            timeout=timeout,
            idempotency_key=idempotency_key,
        )
        return self._take(wait)

    def history(self, *, after: int = 0, last: int | None = None, page: int = 100) -> Iterator[Entry]:
        """Read the machine's history, oldest entry first; pages are fetched during iteration.

        Args:
            after: number of an entry; only later entries are read.
            last: read only this many of the latest entries.
            page: entries to fetch in one request.
        """
        read = self._take(self._calls.page(after=after, limit=page) if last is None else self._calls.latest(last))
        while True:
            yield from read.entries
            if read.next is None:
                return
            read = self._take(self._calls.page(after=read.next, limit=page))

    def cancel(self, activity: str | Named | None = None) -> tuple[str, ...]:
        """Cancel the running exclusive activity, or *activity*; returns the ids of the cancelled activities."""
        return self._take(self._calls.cancel(activity))

    def delete(self, *, compensate: bool = False, abandon: bool = False) -> Receipt:
        """Stop the machine's activities and children, and free its key.

        Args:
            compensate: undo the completed work of its activities first.
            abandon: keep the completed work.
        """
        return self._take(self._calls.delete(compensate=compensate, abandon=abandon))

    def repair(
        self,
        *,
        reason: str,
        retry: str | None = None,
        skip: str | None = None,
        result: object = None,
        move: str | Named | Iterable[str | Named] | None = None,
        resend: bool = False,
        migrate: bool = False,
        pause: bool = False,
        resume: bool = False,
        timer: str | Named | None = None,
        after: timedelta | None = None,
    ) -> Receipt:
        """Repair the machine by one action: retry, skip, move, resend, migrate, pause, resume or timer.

        Args:
            result: the result of the skipped activity.
            timer: the event or the id of a pending timer. It becomes due now, or *after* this time from now.
            reason: kept in the machine's history.
        """
        repair = self._calls.repair(
            reason=reason,
            retry=retry,
            skip=skip,
            result=result,
            move=move,
            resend=resend,
            migrate=migrate,
            pause=pause,
            resume=resume,
            timer=timer,
            after=after,
        )
        return self._take(repair)

    def run(self, data: object = None, *, timeout: timedelta | None = None) -> Json:
        """Run the machine as a workflow, or join the run of its key; returns its output when it ends.

        Args:
            timeout: how long to wait beyond the client's patience; one hour by default.
        """
        return self._take(self._calls.run(data, timeout))

    def submit(self, data: object = None) -> None:
        """Start the machine as a workflow, unless its key has a run already. Wait for the result with `output`."""
        self._take(self._calls.submit(data))

    def output(self, *, timeout: timedelta | None = None) -> Json:
        """Wait for the output of its workflow, which must have been started."""
        return self._take(self._calls.output(timeout))

    def _send(
        self, event: str | Named, payload: object, idempotency_key: str | None, delay: timedelta | None
    ) -> Receipt:
        return self._take(self._calls.send(event, payload, idempotency_key=idempotency_key, delay=delay))

    def _tell(
        self, event: str | Named, payload: object, idempotency_key: str | None, delay: timedelta | None
    ) -> SyncSent:
        told = self._calls.tell(event, payload, idempotency_key=idempotency_key, delay=delay)
        return SyncSent(self._client, self._take(told))


class SyncNamedMachine(SyncMachine):
    """A machine whose events are named by strings; a payload is JSON or a model."""

    def send(
        self,
        event: str,
        payload: object = None,
        *,
        idempotency_key: str | None = None,
        delay: timedelta | None = None,
    ) -> Receipt:
        """Send an event and wait until the machine has processed it.

        Args:
            idempotency_key: the same key within a day gets the same receipt, and the event is not sent again. By default
                each call has a fresh key.
            delay: how long the server keeps the event before delivery; the call lasts that much longer.

        Raises:
            UnknownEvent, InvalidPayload, EventRejected, …: the machine has not changed.
        """
        return self._send(event, payload, idempotency_key, delay)

    def tell(
        self,
        event: str,
        payload: object = None,
        *,
        idempotency_key: str | None = None,
        delay: timedelta | None = None,
    ) -> SyncSent:
        """Send an event without waiting for its receipt; `SyncSent.attach` waits for it, and raises what `send` would."""
        return self._tell(event, payload, idempotency_key, delay)


class SyncTypedMachine(SyncMachine, Generic[D]):
    """A machine of a class: type checkers check payloads against its events, and know the type of its data."""

    def snapshot(self) -> View[D]:
        """Read the machine, whether it runs, has ended or has failed; its data is a value of its declared type.

        Raises:
            NotStarted: there is no such machine.
            InvalidPayload: the data does not fit that type here; `record` of an untyped client has it.
        """
        return self._take(self._calls.typed_snapshot())

    @overload
    def send(
        self,
        event: EventOf[None],
        payload: None = None,
        *,
        idempotency_key: str | None = None,
        delay: timedelta | None = None,
    ) -> Receipt: ...

    @overload
    def send(
        self, event: EventOf[P], payload: P, *, idempotency_key: str | None = None, delay: timedelta | None = None
    ) -> Receipt: ...

    @overload
    def send(
        self,
        event: SomeTransitions,
        payload: object = None,
        *,
        idempotency_key: str | None = None,
        delay: timedelta | None = None,
    ) -> Receipt: ...

    def send(
        self,
        event: object,
        payload: object = None,
        *,
        idempotency_key: str | None = None,
        delay: timedelta | None = None,
    ) -> Receipt:
        """Send an event and wait until the machine has processed it.

        Args:
            idempotency_key: the same key within a day gets the same receipt, and the event is not sent again. By default
                each call has a fresh key.
            delay: how long the server keeps the event before delivery; the call lasts that much longer.

        Raises:
            UnknownEvent, InvalidPayload, EventRejected, …: the machine has not changed.
        """
        return self._send(cast("Named", event), payload, idempotency_key, delay)

    @overload
    def tell(
        self,
        event: EventOf[None],
        payload: None = None,
        *,
        idempotency_key: str | None = None,
        delay: timedelta | None = None,
    ) -> SyncSent: ...

    @overload
    def tell(
        self, event: EventOf[P], payload: P, *, idempotency_key: str | None = None, delay: timedelta | None = None
    ) -> SyncSent: ...

    @overload
    def tell(
        self,
        event: SomeTransitions,
        payload: object = None,
        *,
        idempotency_key: str | None = None,
        delay: timedelta | None = None,
    ) -> SyncSent: ...

    def tell(
        self,
        event: object,
        payload: object = None,
        *,
        idempotency_key: str | None = None,
        delay: timedelta | None = None,
    ) -> SyncSent:
        """Send an event without waiting for its receipt; `SyncSent.attach` waits for it, and raises what `send` would."""
        return self._tell(cast("Named", event), payload, idempotency_key, delay)
