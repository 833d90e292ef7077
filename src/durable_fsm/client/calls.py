"""Every call to a machine as an exchange: the request to send, and the meaning of its answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, cast
from urllib.parse import quote
from uuid import uuid4

from durable_fsm.client.protocol import Exchange, HttpRequest, HttpResponse, Ingress, ask
from durable_fsm.client.values import HistoryPage, View, as_it_is, receipt_in
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical, plain
from durable_fsm.core.durations import LONGEST_DELAY
from durable_fsm.core.fields import entry_of, text_of
from durable_fsm.core.operators import IF_SEQ, SignedRequest
from durable_fsm.core.program import index_of
from durable_fsm.core.receipt import Receipt
from durable_fsm.core.values import Json, Misfit
from durable_fsm.errors import (
    ActionError,
    InvalidPayload,
    KeyReused,
    MigrationError,
    NotIndexed,
    NotStarted,
    Paused,
    SnapshotUnreadable,
    UnexpectedAnswer,
    UnknownEvent,
    VersionError,
)
from durable_fsm.frontends import chart_from

NOT_READY = 470
"""Restate's status for the output of an invocation that is still running."""

BUILT_IN = frozenset({"cancel", "create", "delete", "history", "repair", "run", "send", "snapshot", "wait_for"})
"""Handlers that every machine has; an event of such a name goes through `send`."""

UNMOVED = (ActionError, MigrationError, Paused, SnapshotUnreadable, VersionError)
"""Answers that the next build may not give; the machine has not changed."""

KEPT = (
    "With this idempotency key the answer stays the same for a day, even after the cause is fixed: then send it with another"
    " key. The machine has not changed."
)

USUAL_WAIT = timedelta(hours=1)
"""How long the host waits when the caller gives no timeout."""


class Named(Protocol):
    """A state or an event of a definition: it has an id."""

    @property
    def id(self) -> str: ...


def id_of(named: str | Named) -> str:
    """The id of a state or an event; a string is its own id. An event of python-statemachine is both."""
    found = getattr(named, "id", named)
    return str(found)


def segment(key: str) -> str:
    """Encode *key* as one segment of a path.

    Raises:
        ValueError: it is empty, or has an unpaired surrogate.
    """
    if not key:
        raise ValueError("a machine's key must not be empty")
    if set(key) == {"."}:
        return "%2E" * len(key)  # a proxy must not resolve it as a relative path
    return quote(key, safe="")


@dataclass(frozen=True, slots=True)
class SentCall:
    """One call that continues at the server without its caller, by its id there."""

    id: str
    ingress: Ingress
    chart: str
    key: str

    def attach(self, timeout: timedelta | None) -> Exchange[Receipt]:
        """Wait for its receipt."""
        path = f"/restate/invocation/{quote(self.id, safe='')}/attach"
        request = HttpRequest("GET", path, lasts=timedelta(0) if timeout is None else timeout)
        answer = yield from ask(self.ingress, request, chart=self.chart, key=self.key)
        return receipt_in(_json(answer, self.chart, self.key))

    def output(self) -> Exchange[Receipt | None]:
        """Read its receipt; None while it is running."""
        request = HttpRequest("GET", f"/restate/invocation/{quote(self.id, safe='')}/output", reads=True)
        try:
            answer = yield from ask(self.ingress, request, chart=self.chart, key=self.key)
        except UnexpectedAnswer as error:
            if error.status != NOT_READY:
                raise
            return None
        return receipt_in(_json(answer, self.chart, self.key))


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls to one machine; with its definition, mistakes in names are found before anything is sent.

    With `if_seq` they are only taken if the machine is still at this step.
    """

    ingress: Ingress
    chart: str
    key: str
    definition: Chart | None = None
    if_seq: int | None = None

    @classmethod
    def to(cls, ingress: Ingress, definition: object, key: str) -> Calls:
        """Prepare calls to the machine *key* of a definition, or of a chart that is known by name.

        Raises:
            ValueError: the key cannot be sent.
        """
        segment(key)
        if isinstance(definition, str):
            return cls(ingress, definition, key)
        chart = chart_from(definition)
        return cls(ingress, chart.name, key, chart)

    @classmethod
    def listed(cls, ingress: Ingress, definition: object, where: Mapping[str, str | float]) -> Exchange[list[str]]:
        """Read the keys of the machines that are listed under all of these values.

        Raises:
            ValueError: *where* is empty.
            NotIndexed: the definition has no index of one of the fields.
        """
        if not where:
            raise ValueError("say which machines: where={'customer': 'ada'}")
        if isinstance(definition, str):
            name = definition
        else:
            chart = chart_from(definition)
            name, known = chart.name, chart.hosting.index
            for field in where:
                if field not in known:
                    raise NotIndexed(chart=name, field=field, known=known)
        found: list[set[str]] = []
        for field, value in where.items():
            entry = cls(ingress, f"{name}.index", entry_of(field, text_of(value)))
            found.append((yield from entry.keys()))
        return sorted(found[0].intersection(*found[1:]))

    def keys(self) -> Exchange[set[str]]:
        """Read a list of an index."""
        keys: set[str] = set()
        after: str | None = ""
        while after is not None:
            answer = yield from self._ask("machines", {"after": after}, reads=True)
            page = cast("dict[str, Any]", _json(answer, self.chart, self.key))
            keys.update(page["keys"])
            after = page["next"]
        return keys

    # ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def send(
        self, event: str | Named, payload: object, *, idempotency_key: str | None, delay: timedelta | None
    ) -> Exchange[Receipt]:
        """Send an event and wait for its receipt."""
        if delay:
            sent = yield from self.tell(event, payload, idempotency_key=idempotency_key, delay=delay)
            return self._own((yield from sent.attach(delay)), id_of(event), idempotency_key)
        handler, body = self._addressed(event, payload)
        return (yield from self._receipt(handler, body, about=id_of(event), idempotency_key=idempotency_key))

    def tell(
        self, event: str | Named, payload: object, *, idempotency_key: str | None, delay: timedelta | None
    ) -> Exchange[SentCall]:
        """Send an event without waiting for its receipt."""
        if delay is not None and not timedelta(0) <= delay <= LONGEST_DELAY:
            raise ValueError(f"a delay must be between 0 and {LONGEST_DELAY.days:,} days")
        after = f"?delay={round(delay / timedelta(milliseconds=1))}ms" if delay else ""
        handler, body = self._addressed(event, payload)
        answer = yield from self._ask(f"{handler}/send{after}", body, idempotency_key=idempotency_key or _fresh())
        told = cast("dict[str, Any]", _json(answer, self.chart, self.key))
        return SentCall(told["invocationId"], self.ingress, self.chart, self.key)

    def _addressed(self, event: str | Named, payload: object) -> tuple[str, Json]:
        """The handler and its body: the event's own handler, if the definition has one, or `send`."""
        sent = self._event(event, payload)
        name = str(sent["event"])
        open_to_all = self.definition is not None and name in self.definition.public_events
        if open_to_all and name.isidentifier() and name.isascii() and name[0] != "_" and name not in BUILT_IN:
            return name, sent["payload"]
        return "send", sent

    def _event(self, event: str | Named, payload: object) -> dict[str, Json]:
        return {"event": self._known(id_of(event)), "payload": self._plain(payload, f"payload of '{id_of(event)}'")}

    def _known(self, event: str) -> str:
        """Check that the chart declares *event*; the host refuses private ones.

        Raises:
            UnknownEvent: the chart declares no such event.
        """
        if self.definition is None or any(event in (name, name.replace(".", "_")) for name in _events(self.definition)):
            return event
        if any(index_of(chart).admits(event) for chart in self.definition.served):
            return event
        known = tuple(sorted({name for chart in self.definition.served for name in chart.public_events}))
        raise UnknownEvent(chart=self.chart, key=self.key, event=event, known=known)

    def _plain(self, value: object, subject: str) -> Json:
        try:
            record = plain(value)
            canonical(record).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidPayload(
                chart=self.chart, key=self.key, subject=subject, expected="JSON", problem=f"{error}"
            ) from error
        return record

    # ── the machine ───────────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, data: object, *, idempotency_key: str | None) -> Exchange[Receipt]:
        """Create the machine."""
        body = self._plain(data, "data")
        return self._receipt("create", body, about="create", idempotency_key=idempotency_key)

    def snapshot(self) -> Exchange[View[Json]]:
        """Read the machine, with its data as JSON."""
        answer = yield from self._ask("snapshot", None, reads=True)
        return View.of(_json(answer, self.chart, self.key), as_it_is)

    def typed_snapshot(self) -> Exchange[View[Any]]:  # Any: the type of the data, which the caller knows
        """Read the machine, with its data as a value of the type that its chart declares."""
        answer = yield from self._ask("snapshot", None, reads=True)
        return View.of(_json(answer, self.chart, self.key), self._typed)

    def _typed(self, version: str, data: Json) -> object:
        """The data as its type reads it; JSON, if the chart declares none.

        Raises:
            InvalidPayload: it does not fit that type here.
        """
        type_ = self.definition.of(version).data if self.definition is not None else None
        if type_ is None or type_.schema() is None:
            return data
        try:
            return type_.load(data)
        except Misfit as error:
            raise InvalidPayload(
                chart=self.chart,
                key=self.key,
                subject="the data",
                expected=type_.name,
                problem=error.problem,
                path=error.path,
            ) from error

    def page(self, *, after: int, limit: int) -> Exchange[HistoryPage]:
        """Read entries of its history in order."""
        return self._page({"after": after, "limit": limit})

    def latest(self, last: int) -> Exchange[HistoryPage]:
        """Read the last entries of its history."""
        return self._page({"last": last})

    def _page(self, wanted: dict[str, Json]) -> Exchange[HistoryPage]:
        answer = yield from self._ask("history", wanted, reads=True)
        return HistoryPage.of(_json(answer, self.chart, self.key))

    def wait_for(
        self,
        *,
        state: str | Named | None,
        tag: str | None,
        status: str | None,
        settled: bool,
        taken: bool,
        any_of: Iterable[Mapping[str, object]],
        event: str | Named | None,
        payload: object,
        timeout: timedelta | None,
        idempotency_key: str | None,
    ) -> Exchange[Receipt]:
        """Wait for a condition, and send an event first if there is one."""
        wish: dict[str, Json] = {} if state is None else {"state": id_of(state)}
        wish |= {name: str(value) for name, value in (("tag", tag), ("status", status)) if value is not None}
        wish |= {name: True for name, wanted in (("settled", settled), ("taken", taken)) if wanted}
        either = [_condition(one) for one in any_of]
        wish |= {"any": list[Json](either)} if either else {}
        if event is not None:
            wish |= self._event(event, payload)
        if timeout is not None:
            wish["timeout"] = timeout.total_seconds()
        key = idempotency_key if event is None else idempotency_key or _fresh()
        answer = yield from self._ask("wait_for", wish, idempotency_key=key, lasts=timeout or USUAL_WAIT)
        about = "wait_for" if event is None else id_of(event)
        return self._own(receipt_in(_json(answer, self.chart, self.key)), about, idempotency_key)

    def cancel(self, activity: str | Named | None) -> Exchange[tuple[str, ...]]:
        """Cancel an activity."""
        body: dict[str, Json] = {} if activity is None else {"activity": id_of(activity)}
        answer = yield from self._ask("cancel", body, idempotency_key=_fresh())
        told = cast("dict[str, Any]", _json(answer, self.chart, self.key))
        return tuple(told["cancelled"])

    def delete(self, *, compensate: bool, abandon: bool) -> Exchange[Receipt]:
        """Delete the machine."""
        if compensate and abandon:
            raise ValueError("give compensate=True or abandon=True, not both")
        body: Json = {"compensate": True} if compensate else {"abandon": True} if abandon else {}
        return self._receipt("delete", body, about="delete")

    def repair(
        self,
        *,
        reason: str,
        retry: str | None,
        skip: str | None,
        result: object,
        move: str | Named | Iterable[str | Named] | None,
        resend: bool,
        migrate: bool,
        pause: bool,
        resume: bool,
        timer: str | Named | None,
        after: timedelta | None,
    ) -> Exchange[Receipt]:
        """Repair the machine by hand."""
        body: dict[str, Json] = {"reason": reason}
        body |= {verb: about for verb, about in (("retry", retry), ("skip", skip)) if about is not None}
        wanted_verbs = (("resend", resend), ("migrate", migrate), ("pause", pause), ("resume", resume))
        body |= {verb: True for verb, wanted in wanted_verbs if wanted}
        if result is not None:
            body["result"] = self._plain(result, "result")
        if timer is not None:
            body["timer"] = id_of(timer)
        if after is not None:
            body["after"] = after.total_seconds()
        if move is not None:
            targets = cast("Iterable[str | Named]", move)
            body["move"] = id_of(cast("str | Named", move)) if _is_one(move) else [id_of(one) for one in targets]
        return self._receipt("repair", body, about="repair")

    # ── as a workflow ─────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, data: object, timeout: timedelta | None) -> Exchange[Json]:
        """Start the workflow, unless it was started before, and wait for its output."""
        yield from self.submit(data)
        return (yield from self.output(timeout))

    def submit(self, data: object) -> Exchange[None]:
        """Start the workflow, unless it was started before."""
        body = self._plain(data, "data")
        path = f"/{quote(f'{self.chart}.workflow', safe='')}/{segment(self.key)}/run/send"
        content = None if body is None else canonical(body).encode()
        headers = {} if body is None else {"content-type": "application/json"}
        yield from ask(self.ingress, HttpRequest("POST", path, content, headers), chart=self.chart, key=self.key)

    def output(self, timeout: timedelta | None) -> Exchange[Json]:
        """Wait for the output of the workflow."""
        path = f"/restate/workflow/{quote(f'{self.chart}.workflow', safe='')}/{segment(self.key)}/attach"
        request = HttpRequest("GET", path, lasts=timeout or USUAL_WAIT)
        return _json((yield from ask(self.ingress, request, chart=self.chart, key=self.key)), self.chart, self.key)

    # ── one request ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _receipt(
        self, handler: str, body: Json, *, about: str, idempotency_key: str | None = None
    ) -> Exchange[Receipt]:
        try:
            answer = yield from self._ask(handler, body, idempotency_key=idempotency_key or _fresh())
        except UNMOVED as error:
            if idempotency_key is not None:
                error.add_note(KEPT)
            raise
        return self._own(receipt_in(_json(answer, self.chart, self.key)), about, idempotency_key)

    def _own(self, receipt: Receipt, about: str, idempotency_key: str | None) -> Receipt:
        """The receipt, if it is that of this call.

        Raises:
            KeyReused: it is that of an earlier call with the same idempotency key.
        """
        if idempotency_key is None or receipt.event in ("", about):
            return receipt
        raise KeyReused(
            chart=self.chart, key=self.key, event=about, idempotency_key=idempotency_key, before=receipt.event
        )

    def _ask(
        self,
        handler: str,
        body: Json,
        *,
        idempotency_key: str | None = None,
        lasts: timedelta = timedelta(0),
        reads: bool = False,
    ) -> Exchange[HttpResponse]:
        headers = {} if idempotency_key is None else {"idempotency-key": _sendable(idempotency_key)}
        if body is not None:
            headers["content-type"] = "application/json"
        content = None if body is None else canonical(body).encode()
        path = f"/{quote(self.chart, safe='')}/{segment(self.key)}/{handler}"
        changes = not reads and handler != "wait_for"
        seq = self.if_seq if changes else None
        if seq is None and changes and self.ingress.signed:
            seq = yield from self._seq()
        signs = SignedRequest(self.chart, handler.partition("/")[0], self.key, content or b"", seq)
        if seq is not None:
            headers[IF_SEQ] = str(seq)
        request = HttpRequest("POST", path, content, headers, lasts=lasts, reads=reads, signs=signs)
        return (yield from ask(self.ingress, request, chart=self.chart, key=self.key))

    def _seq(self) -> Exchange[int]:
        """The step at which the machine is; 0 if there is none."""
        try:
            return (yield from self.snapshot()).seq
        except NotStarted:
            return 0


def _condition(wanted: Mapping[str, object]) -> dict[str, Json]:
    return {name: value if isinstance(value, bool) else id_of(cast("str", value)) for name, value in wanted.items()}


def _is_one(named: object) -> bool:
    return isinstance(named, str) or hasattr(named, "id")


def _events(chart: Chart) -> Iterable[str]:
    for served in chart.served:
        yield from served.events
        yield from served.hosting.handlers


def _json(answer: HttpResponse, chart: str, key: str) -> Json:
    try:
        return cast("Json", json.loads(answer.body))
    except ValueError:
        text = answer.body[:500].decode(errors="replace")
        raise UnexpectedAnswer(chart=chart, key=key, status=answer.status, text=text) from None


def _sendable(idempotency_key: str) -> str:
    """Check that a header carries the key unchanged: a key that changes on its way would not be the same key again.

    Raises:
        ValueError: it holds more than printable ASCII, or begins or ends with a space.
    """
    if idempotency_key.isascii() and idempotency_key.isprintable() and idempotency_key == idempotency_key.strip():
        return idempotency_key
    raise ValueError(
        f"the idempotency key {idempotency_key!r} cannot be sent: it must have printable ASCII characters only, and no"
        " space at its ends; encode it, for instance with urllib.parse.quote"
    )


def _fresh() -> str:
    return uuid4().hex
