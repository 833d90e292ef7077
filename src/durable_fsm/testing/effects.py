"""A recorder of side effects outside the service under test, so it survives when the test kills the service.

It plays the payment provider, the warehouse or the mail server: an effect happened if it is recorded. It can refuse a
call, delay it, or hold it at a named point, where the test kills the service.

The service calls `effect`; the test uses `EffectLog`. Standard library only.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import socket
import sys
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from durable_fsm.local.closing import Closing
from durable_fsm.local.failures import NotObserved
from durable_fsm.local.process import HOST
from durable_fsm.local.waiting import PATIENCE, wait_until

__all__ = ["URL_VARIABLE", "EffectLog", "EffectRefused", "Gate", "RecordedEffect", "effect"]

URL_VARIABLE = "DURABLE_FSM_EFFECTS_URL"
_CLIENT_PATIENCE = timedelta(minutes=10)


# ── in the service ────────────────────────────────────────────────────────────────────────────────────────────────


class EffectRefused(Exception):
    """The effect log answered with an error, as the test planned. `status` is the HTTP status."""

    def __init__(self, *, name: str, key: str, status: int) -> None:
        self.name = name
        self.key = key
        self.status = status
        super().__init__(f"Effect '{name}' for '{key}' was refused with status {status}.")


def effect(
    name: str, key: str, value: object = None, *, idempotency_key: str | None = None, url: str | None = None
) -> int:
    """Record an effect; return its number in the log. Blocks while the test holds it.

    Args:
        name: The kind of effect: `"charge"`.
        key: Whom it concerns: a machine's key, an activity's `stable_id`.
        value: Any JSON value.
        idempotency_key: Lets the log recognise a repeat, if the test asked for that.
        url: Address of the log; by default DURABLE_FSM_EFFECTS_URL of the environment.

    Raises:
        EffectRefused: The log answered 4xx or 5xx.
        OSError: The log cannot be reached.
    """
    place = urlsplit(url or os.environ[URL_VARIABLE])
    connection = http.client.HTTPConnection(
        place.hostname or HOST, place.port, timeout=_CLIENT_PATIENCE.total_seconds()
    )
    body = {"name": name, "key": key, "value": value, "idempotency_key": idempotency_key}
    try:
        connection.request("POST", "/effects", json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.status >= 400:
        raise EffectRefused(name=name, key=key, status=answer.status)
    seq: int = json.loads(content)["seq"]
    return seq


# ── in the test ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RecordedEffect:
    """One effect that happened. `seq` is its number in the log."""

    seq: int
    name: str
    key: str
    value: Any  # JSON, as the service sent it
    idempotency_key: str | None


class Gate(Closing):
    """A named point at which calls are held: `before:charge` or `after:charge`. Made by `EffectLog.hold`."""

    def __init__(self, log: EffectLog, point: str, times: int) -> None:
        when, colon, name = point.partition(":")
        if not colon or when not in ("before", "after") or not name:
            raise ValueError(f"'{point}' is not a point of an effect. Write 'before:<name>' or 'after:<name>'.")
        self.point = point
        self.name = name
        self.when = when
        self._log = log
        self._left = times
        self._reached = 0
        self._open = False
        self.held: list[_Call] = []

    def wait_reached(self, times: int = 1, timeout: timedelta = PATIENCE) -> None:
        """Return once a call is held here. It stays here until `open`, or until its caller is killed."""
        self._log.observe(lambda: self._reached >= times, timeout, f"a call to reach {self.point}")

    def wait_abandoned(self, times: int = 1, timeout: timedelta = PATIENCE) -> None:
        """Return once this many of the held callers are gone: their effects will not happen."""
        what = f"{times} callers at {self.point} to go away"
        wait_until(lambda: sum(call.caller_is_gone() for call in self.held) >= times, timeout, what)

    def open(self) -> None:
        """Release the held calls, and hold no more."""
        self._log.change(self._set_open)

    def close(self) -> None:
        """Open the gate."""
        self.open()

    def _set_open(self) -> None:
        self._open = True

    def takes(self, when: str, name: str) -> bool:
        """Decide whether a call at this point is held, and count it if so. The log calls this under its lock."""
        if self._open or self._left == 0 or (when, name) != (self.when, self.name):
            return False
        self._left -= 1
        self._reached += 1
        return True

    @property
    def is_open(self) -> bool:
        """Whether calls pass."""
        return self._open


class EffectLog(Closing):
    """An HTTP server in a thread of the test that records each `POST /effects`, and fails or holds it as planned.

        with EffectLog() as effects:
            service.env |= effects.env
            with effects.hold("after:charge") as charge:
                server.send("Shop", "o-1", "buy")
                charge.wait_reached()           # charged, but the shop does not know it yet
                service.kill()
            service.start()
            effects.wait_recorded("charge", 2)
            assert effects.counts("charge") == {"o-1": 2}

    Plans count calls in the order of their arrival; a call without a plan is recorded and answered at once.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._entries: list[RecordedEffect] = []
        self._arrived: Counter[str] = Counter()
        self._repeats: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._lost: Counter[str] = Counter()
        self._faults: defaultdict[str, deque[_Fault]] = defaultdict(deque)
        self._gates: list[Gate] = []
        self._deduplicated: dict[str, int] = {}
        self._closed = False
        self._http = _Server(self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), name="effect log", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address of the log."""
        return f"http://{HOST}:{self._http.server_address[1]}"

    @property
    def env(self) -> Mapping[str, str]:
        """The environment in which `effect` finds this log."""
        return {URL_VARIABLE: self.url}

    # ── what happened ─────────────────────────────────────────────────────────────────────────────────────────

    def entries(self, name: str | None = None) -> tuple[RecordedEffect, ...]:
        """The recorded effects, of one name or of all, in order."""
        with self._changed:
            return tuple(entry for entry in self._entries if name in (None, entry.name))

    def counts(self, name: str) -> dict[str, int]:
        """How often the effect happened, by key; recognised repeats are not counted."""
        return dict(Counter(entry.key for entry in self.entries(name)))

    def repeats(self, name: str) -> dict[str, int]:
        """How many repeats were recognised, by key; see `deduplicate`."""
        with self._changed:
            return dict(self._repeats[name])

    def arrived(self, name: str) -> int:
        """How many calls arrived, recorded or not."""
        with self._changed:
            return self._arrived[name]

    def lost(self, name: str) -> int:
        """How many calls were held before they were recorded while their caller died: they never happened."""
        with self._changed:
            return self._lost[name]

    def wait_arrived(self, name: str, calls: int = 1, timeout: timedelta = PATIENCE) -> None:
        """Return once this many calls of *name* arrived since the log started."""
        self.observe(lambda: self._arrived[name] >= calls, timeout, f"call {calls} of '{name}' to arrive")

    def wait_recorded(self, name: str, effects: int = 1, timeout: timedelta = PATIENCE) -> None:
        """Return once the effect happened this many times since the log started."""
        self.observe(
            lambda: sum(entry.name == name for entry in self._entries) >= effects,
            timeout,
            f"'{name}' to be recorded {effects} times",
        )

    # ── what the test plans ─────────────────────────────────────────────────────────────────────────────────────────

    def hold(self, point: str, times: int = 1) -> Gate:
        """Hold the next calls at `before:<name>` or `after:<name>` until the gate is opened.

        `before`: the request arrived and is not recorded. If the caller dies there, the effect never happened.
        `after`: the effect is recorded, and the answer is held back.

        Args:
            times: How many calls are held; later calls pass, such as the retry after a kill.
        """
        gate = Gate(self, point, times)
        with self._changed:
            self._gates.append(gate)
        return gate

    def fail_next(self, name: str, times: int = 1, status: int = 500) -> None:
        """Answer the next calls with *status*; they are not recorded."""
        with self._changed:
            self._faults[name].extend([_Fault("fail", status=status)] * times)

    def delay_next(self, name: str, by: timedelta, times: int = 1) -> None:
        """Delay the next calls by *by* before they are recorded, unless their caller dies meanwhile."""
        with self._changed:
            self._faults[name].extend([_Fault("delay", by=by)] * times)

    def deduplicate(self, name: str, repeat_status: int = 200) -> None:
        """Record a call of *name* once per idempotency key, and answer repeats with *repeat_status*, 200 or 409."""
        with self._changed:
            self._deduplicated[name] = repeat_status

    # ── end ───────────────────────────────────────────────────────────────────────────────────────────────────

    def close(self) -> None:
        """Release the held calls without recording them, and stop the server."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    # ── for gates and the handler ─────────────────────────────────────────────────────────────────────────────────

    def observe(self, seen: Callable[[], bool], timeout: timedelta, what: str) -> None:
        """Wait until *seen* is true. It is called under the log's lock after each change.

        Raises:
            NotObserved: After *timeout*; the message lists the calls that arrived and that were recorded.
        """
        with self._changed:
            if not self._changed.wait_for(seen, timeout.total_seconds()):
                recorded = dict(Counter(entry.name for entry in self._entries))
                raise NotObserved(
                    f"Waited {timeout.total_seconds():g} s for {what}."
                    f" Arrived so far: {dict(self._arrived)}; recorded: {recorded}."
                )

    def change(self, how: Callable[[], None]) -> None:
        """Call *how* under the log's lock, and wake every waiting thread."""
        with self._changed:
            how()
            self._changed.notify_all()

    def take(self, call: _Call) -> tuple[int, dict[str, object]] | None:
        """Apply the plans to one call; return status and body, or None if its caller is gone."""
        with self._changed:
            self._arrived[call.name] += 1
            faults = self._faults[call.name]
            fault = faults.popleft() if faults else None
            self._changed.notify_all()
        if not self._pass("before", call) or (fault and fault.kind == "delay" and not self._let_wait(fault.by, call)):
            with self._changed:
                self._lost[call.name] += 1
                self._changed.notify_all()
            return None
        if fault and fault.kind == "fail":
            return fault.status, {"error": "refused, as the test planned"}
        answer = self._record(call)
        return answer if self._pass("after", call) else None

    def _record(self, call: _Call) -> tuple[int, dict[str, object]]:
        with self._changed:
            if call.name in self._deduplicated and call.idempotency_key is not None:
                for entry in self._entries:
                    if (entry.name, entry.idempotency_key) == (call.name, call.idempotency_key):
                        self._repeats[call.name][call.key] += 1
                        self._changed.notify_all()
                        return self._deduplicated[call.name], {"seq": entry.seq, "repeat": True}
            seq = len(self._entries) + 1
            self._entries.append(RecordedEffect(seq, call.name, call.key, call.value, call.idempotency_key))
            self._changed.notify_all()
            return 200, {"seq": seq, "repeat": False}

    def _pass(self, when: Literal["before", "after"], call: _Call) -> bool:
        """Wait at a gate, if there is one; return False if the caller is gone or the log is closed."""
        with self._changed:
            gate = next((gate for gate in self._gates if gate.takes(when, call.name)), None)
            if gate is None:
                return True
            gate.held.append(call)
            self._changed.notify_all()
            self._changed.wait_for(lambda: gate.is_open or self._closed)
            return not self._closed and not call.caller_is_gone()

    def _let_wait(self, by: timedelta, call: _Call) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, by.total_seconds())
            return not self._closed and not call.caller_is_gone()


# ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Fault:
    kind: Literal["fail", "delay"]
    status: int = 500
    by: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    key: str
    value: Any
    idempotency_key: str | None
    connection: socket.socket

    def caller_is_gone(self) -> bool:
        try:
            if not select.select([self.connection], [], [], 0)[0]:
                return False
            return self.connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, log: EffectLog) -> None:
        super().__init__((HOST, 0), _Handler)
        self.log = log

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore callers that died: the test killed them."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(cast(Any, request), client_address)  # Any: typeshed's private union of sockets


class _Handler(BaseHTTPRequestHandler):
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]  (typeshed: BaseServer)

    def do_POST(self) -> None:
        """Handle one effect."""
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        try:
            sent = cast(dict[str, Any], json.loads(body))
            call = _Call(str(sent["name"]), str(sent["key"]), sent.get("value"), sent.get("idempotency_key"), self.connection)  # fmt: skip
        except (ValueError, KeyError, TypeError) as error:
            self._answer(400, {"error": f"An effect is an object with name and key, not {body!r}: {error!r}."})
            return
        answer = self.server.log.take(call)
        if answer is not None:
            self._answer(*answer)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing into the output of the test."""

    def _answer(self, status: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
