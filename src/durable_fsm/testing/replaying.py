"""Play a path of the explorer on a real server, with a service that may be killed after each move.

The machine is a real one: each event is an HTTP request, a timer is made due by a repair, and the activities wait until the
story comes to their outcome (`outcomes.py`). After each move the server's machine must be where the explorer's was.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from durable_fsm.core.chart import Chart
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.values import Json
from durable_fsm.explore.moves import Move, MoveKind
from durable_fsm.explore.player import Position
from durable_fsm.explore.properties import where
from durable_fsm.local import native
from durable_fsm.local.server import RestateServer
from durable_fsm.restate.names import Handler
from durable_fsm.testing.application import Served
from durable_fsm.testing.outcomes import TARGET, TRUSTED, UNDOES, URL, StoryOutcomes

PATIENCE_SECONDS = 20.0
"""How long a move may take to show on the server."""

LOOK_SECONDS = 0.02

REASON = "replayed by durable-fsm explore"


class Replayed(NamedTuple):
    """The result of playing a path.

    Attributes:
        same: whether the server came to the same machine; None if the path cannot be played there.
        words: where it came to, or why it cannot.
    """

    same: bool | None
    words: str


def unplayable(chart: Chart, path: Sequence[Move], *, kills: bool) -> str:
    """Why a server cannot play a path; empty if it can."""
    if any(state.machines for state in chart.states.values()):
        return f"machines of {chart.name} run others, whose activities would be the real ones"
    for move in path:
        if move.kind is MoveKind.SNAPSHOT:
            return "it begins with a snapshot, whose timers and activities this server does not have"
        if move.after_ms:
            return f"'{move.words}': the clock of a server cannot be moved"
        if move.kind is MoveKind.RETURNED:
            return f"'{move.words}': the receiver decides whether a message comes back"
        if kills and move.late and move.kind is MoveKind.DONE:
            return f"'{move.words}': work that was stopped does not outlive a kill; leave out --kills"
    return ""


@dataclass
class Stage:
    """A server and a service, for several paths."""

    server: RestateServer
    served: Served
    outcomes: StoryOutcomes
    chart: Chart
    kills: bool

    @classmethod
    @contextmanager
    def of(
        cls, chart: Chart, target: str, *, trusted: bool, kills: bool, server: RestateServer | None = None
    ) -> Generator[Stage]:
        """Start them, and end them afterwards.

        Args:
            target: The chart, as the service process finds it.
            server: One that runs already.

        Raises:
            HarnessError: One cannot be started.
        """
        with ExitStack() as stack:
            place = Path(stack.enter_context(TemporaryDirectory(prefix="durable-fsm-")))
            outcomes = StoryOutcomes()
            stack.enter_context(outcomes.served())
            server = server or stack.enter_context(RestateServer(binary=native.obtain()))
            env = {TARGET: target, URL: outcomes.url, TRUSTED: "1" if trusted else ""}
            served = stack.enter_context(
                Served.begin("durable_fsm.testing.outcomes:application", server, log=place / "service.log", env=env)
            )
            yield cls(server, served, outcomes, chart, kills)

    def play(
        self, key: str, path: Sequence[Move], positions: Sequence[Position], *, patience: float = PATIENCE_SECONDS
    ) -> Replayed:
        """Play a path on the machine of this key; a move may take so many seconds to show."""
        began, killed = time.monotonic(), 0
        with httpx.Client(base_url=self.server.ingress_url, trust_env=False, timeout=PATIENCE_SECONDS) as client:
            player = _Player(self, client, key, patience)
            for number, (move, at) in enumerate(zip(path, positions, strict=False)):
                there = player.play(move, at, is_first=number == 0)
                if there is not None:
                    place = "at the beginning" if number == 0 else f"after '{move.words}'"
                    return Replayed(same=False, words=f"{place} it is in {there}, and not in {where(at.snapshot)}")
                if self.kills and number < len(path) - 1:
                    self.served.restart()
                    killed += 1
        often = f", the service killed {killed} times" if killed else ""
        took = time.monotonic() - began
        return Replayed(same=True, words=f"the same: it ends in {where(positions[-1].snapshot)} ({took:.1f} s{often})")


class _Player:
    """Makes moves on one machine of a server."""

    def __init__(self, stage: Stage, client: httpx.Client, key: str, patience: float) -> None:
        self._patience = patience
        self.stage = stage
        self.client = client
        self.key = key
        self._repairs = 0
        self.url = f"/{stage.chart.name}/{quote(key, safe='')}"

    def play(self, move: Move, at: Position, *, is_first: bool) -> str | None:
        """Make one move; where the machine is instead, if it does not come to where it is expected."""
        match move.kind:
            case MoveKind.EVENT:
                sending = self._post("create" if is_first else move.name, move.payload)
                if at.held is None:
                    sending.join(self._patience)
            case MoveKind.TIMER:
                self._ring(move)
                self._repairs += 1
            case MoveKind.DONE:
                self._end(move.name, {"done": move.payload})
            case MoveKind.ERROR if move.late:
                # A run that was stopped may have ended by itself already.
                self.stage.outcomes.give(move.name, {"error": move.payload}, 1.0)
            case MoveKind.ERROR:
                self._end(move.name, {"error": move.payload})
            case MoveKind.LOST:
                self._lose()
            case MoveKind.RETURNED | MoveKind.SNAPSHOT | MoveKind.NEWS:
                raise AssertionError(move.words)
        return self._elsewhere(at.snapshot, at.snapshot.seq + self._repairs)

    def _post(self, handler: str, body: Json) -> Thread:
        """Send a request, whose answer may take until the story comes to the end of an exclusive activity."""
        content: dict[str, Any] = {} if body is None else {"json": body}
        url = f"{self.stage.server.ingress_url}{self.url}/{handler}"

        def send() -> None:
            with suppress(httpx.HTTPError):  # the server ends, and nothing of it is wanted any more
                httpx.post(url, timeout=None, trust_env=False, **content)

        sending = Thread(target=send, daemon=True)
        sending.start()
        return sending

    def _ring(self, move: Move) -> None:
        """Make a timer due now."""
        found = [timer for timer in self._read().get("timers", ()) if timer["event"] == move.name]
        token = found[move.place]["token"] if move.place < len(found) else move.name
        # Its turn may come to an exclusive activity, and then ends with it.
        self._post(Handler.REPAIR, {"timer": token, "after": 0, "reason": REASON})

    def _end(self, activity: str, outcome: Json) -> None:
        """Give an activity its outcome; one that undoes others runs once for each of them."""
        known = self.stage.chart.activities.get(activity)
        name = UNDOES if known is not None and known.undoes is not None else activity
        self.stage.outcomes.give(name, outcome, self._patience)

    def _lose(self) -> None:
        """Kill the invocation that holds the machine, and let the next one find that out."""
        rows = self.stage.server.query(
            "SELECT id FROM sys_invocation WHERE status NOT IN ('completed', 'scheduled')"
            f" AND target_service_name = '{self.stage.chart.name}' AND target_service_key = '{self.key}'"
        )
        for row in rows:
            self.stage.server.kill_invocation(row["id"])
        self._post(Handler.REPAIR, {"migrate": True, "reason": REASON})

    def _read(self) -> dict[str, Any]:
        try:
            answer = self.client.post(f"{self.url}/{Handler.SNAPSHOT}")
            found: dict[str, Any] = answer.json() if answer.is_success else {}
        except httpx.HTTPError:
            return {}
        return found

    def _elsewhere(self, expected: Snapshot, seq: int) -> str | None:
        """Wait until the machine is where it is expected, after so many steps; where it is, if it never comes there."""
        deadline = time.monotonic() + self._patience
        while True:
            found = self._read()
            leaves = list(found.get("leaves") or found.get("configuration") or ())
            running = sorted(one["id"] for one in found.get("activities", ()))
            if (
                int(found.get("seq") or 0) >= seq
                and sorted(leaves) == sorted(expected.configuration)
                and found.get("status") == expected.status.value
                and running == sorted(one.id for one in expected.activities)
            ):
                return None
            if time.monotonic() > deadline:
                return " + ".join(leaves) or "no state"
            time.sleep(LOOK_SECONDS)
