"""One run of `durable-fsm migrate`: which machines it moves, what became of each, and the file that remembers it."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Self

import click
import msgspec

from durable_fsm.cli.transfer import FORMAT as LINE_FORMAT
from durable_fsm.errors import CallError, DurableFSMError, Moved
from durable_fsm.plan.plan_file import PlannedChart, PlannedMachine, PlanVerdict, SavedPlan

if TYPE_CHECKING:
    from durable_fsm.admin.client import Admin
    from durable_fsm.admin.inventory import MachineRow
    from durable_fsm.client import SyncClient

FORMAT = 1
HEAD = b'{"format": '
"""Every run file begins like this."""

_line = msgspec.json.Decoder(dict[str, object])

AT_ONCE = 8
"""Requests in flight at once."""

CHUNK = 100
"""Machines that are looked at together, right before they are moved."""

CAN_MOVE = (PlanVerdict.MOVES, PlanVerdict.CHANGES)
NEED_YOU = (PlanVerdict.BLOCKED, PlanVerdict.STRANDED, PlanVerdict.UNREADABLE)


class MigrationResult(StrEnum):
    """The result of one machine. MIGRATED and ALREADY are on the new build, GONE no longer exists; the others are as before."""

    MIGRATED = "migrated"
    ALREADY = "already"
    GONE = "gone"
    MOVED = "moved"
    BUSY = "busy"
    REFUSED = "refused"


SETTLED = frozenset({MigrationResult.MIGRATED, MigrationResult.ALREADY, MigrationResult.GONE})
"""The results with which nothing is left to do for a machine."""


@dataclass
class RunFile:
    """The file that remembers what became of each machine; without a path, nothing is written.

    Each line is written before the next machine begins. A kill may cut the last one: it is left out.
    """

    path: Path | None
    settled: set[str] = field(default_factory=set[str])
    backup: str = ""
    is_proved: bool = False
    _file: IO[str] | None = None

    @classmethod
    def open(cls, path: Path | None, chart: str, made: str, backup: Path | None) -> Self:
        """Begin a run, or continue one.

        Raises:
            click.UsageError: The file is of another plan, or something else.
        """
        run = cls(path)
        if path is None:
            return run
        lines, cut = _lines_of(path) if path.exists() else ([], 0)
        if lines:
            head = lines[0]
            if head.get("format") != FORMAT or head.get("chart") != chart:
                raise click.UsageError(f"'{path}' does not remember a migration of {chart}. Name another file.")
            if head.get("plan") != made:
                raise click.UsageError(
                    f"'{path}' is of a plan that was made {head.get('plan')}, not {made}. Name another file."
                )
            run.backup = str(head.get("backup") or "")
            run.settled = {str(line["key"]) for line in lines[1:] if line.get("result") in SETTLED}
            run.is_proved = any(line.get("canary") == "well" for line in lines)
        if cut:
            os.truncate(path, path.stat().st_size - cut)  # nothing else is written again
        run._file = path.open("a", encoding="utf-8")
        if not lines:
            run.backup = str(backup) if backup is not None else ""
            run.note({"format": FORMAT, "chart": chart, "plan": made, "backup": run.backup or None})
        return run

    def note(self, line: Mapping[str, object]) -> None:
        """Remember something."""
        if self._file is not None:
            self._file.write(f"{json.dumps(line, ensure_ascii=False)}\n")
            self._file.flush()

    def settle(self, key: str, result: MigrationResult, why: str) -> None:
        """Remember what became of a machine."""
        if result in SETTLED:
            self.settled.add(key)
        self.note({"key": key, "result": result.value, **({"why": why} if why else {})})

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _lines_of(path: Path) -> tuple[list[dict[str, object]], int]:
    """The lines of a run file, and the length of the last one if a kill has cut it.

    Raises:
        click.UsageError: It is another file.
    """
    whole, _, cut = path.read_bytes().rpartition(b"\n")
    try:
        lines = [_line.decode(line) for line in whole.splitlines()]
        begins = b"{" if lines else HEAD
        if cut.startswith(begins[: len(cut)]):
            return lines, len(cut)
    except msgspec.DecodeError:
        pass
    raise click.UsageError(f"'{path}' is not the file of a run. Name another file.")


@dataclass
class Outcomes:
    """How many machines came to what, and the first of those that did not move, with the reason of each."""

    counts: Counter[MigrationResult] = field(default_factory=Counter[MigrationResult])
    left: dict[str, tuple[MigrationResult, str]] = field(default_factory=dict[str, tuple[MigrationResult, str]])

    def add(self, key: str, result: MigrationResult, why: str) -> None:
        """Count one; a machine that is tried again counts once."""
        if key in self.left:
            self.counts[self.left.pop(key)[0]] -= 1
        self.counts[result] += 1
        if result not in SETTLED:
            self.left[key] = result, why


class FleetMigration:
    """Moves the machines of a plan, each after a look at whether it is still where the plan found it."""

    def __init__(self, plan: SavedPlan, build: PlannedChart, only: Collection[PlanVerdict], run: RunFile) -> None:
        self.plan = plan
        self.build = build
        self.only = frozenset(only)
        self.run = run
        self.outcomes = Outcomes()
        self._lock = Lock()

    def machines(self) -> Iterator[PlannedMachine]:
        """The machines that are still to be moved."""
        for machine in self.plan.machines():
            if (
                machine.chart == self.build.chart
                and machine.verdict in self.only
                and machine.key not in self.run.settled
            ):
                yield machine

    def canaries(self, many: int) -> list[PlannedMachine]:
        """Some machines to begin with: of each kind one, then of each kind another."""
        kinds: dict[int, list[PlannedMachine]] = {}
        for machine in self.machines():
            found = kinds.setdefault(machine.kind, [])
            if len(found) < many:
                found.append(machine)
        rounds = [found[place] for place in range(many) for found in kinds.values() if place < len(found)]
        return rounds[:many]

    def move(
        self, admin: Admin, client: SyncClient, machines: Iterable[PlannedMachine], rate: float | None, reason: str
    ) -> Iterator[int]:
        """Move machines; yields how many were looked at, after each chunk.

        Raises:
            CallError: The server does not answer.
            AdminRefused: The admin API does not answer.
        """
        size = CHUNK if rate is None else max(1, min(CHUNK, int(rate * 2)))
        pace = Pace(rate)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                for chunk in chunks(machines, size):
                    self._move_chunk(admin, client, chunk, pool, pace, reason)
                    yield len(chunk)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _move_chunk(
        self,
        admin: Admin,
        client: SyncClient,
        chunk: list[PlannedMachine],
        pool: ThreadPoolExecutor,
        pace: Pace,
        reason: str,
    ) -> None:
        from durable_fsm.admin.inventory import machines_at

        there = machines_at(admin, self.build.chart, [machine.key for machine in chunk])
        begun: list[Future[None]] = []
        for machine in chunk:
            found = looked_at(machine, there.get(machine.key), self.build)
            if found is not None:
                self._settle(machine.key, *found)
                continue
            pace.wait()
            begun.append(pool.submit(self._move_one, client, machine, reason))
        for future in begun:
            future.result()

    def _move_one(self, client: SyncClient, planned: PlannedMachine, reason: str) -> None:
        """Let the service migrate a machine, unless it moves right now; what became of it is remembered at once."""
        machine = client.machine(self.build.chart, planned.key).if_seq(planned.seq)
        try:
            machine.repair(migrate=True, reason=reason)
        except CallError:
            raise
        except Moved as error:
            self._settle(planned.key, MigrationResult.MOVED, _steps_since(planned, error.seq))
        except DurableFSMError as error:
            self._settle(planned.key, MigrationResult.REFUSED, str(error))
        else:
            self._settle(planned.key, MigrationResult.MIGRATED, "")

    def _settle(self, key: str, result: MigrationResult, why: str) -> None:
        with self._lock:
            self.run.settle(key, result, why)
            self.outcomes.add(key, result, why)


def looked_at(
    planned: PlannedMachine, found: MachineRow | None, build: PlannedChart
) -> tuple[MigrationResult, str] | None:
    """The result of a machine that is not to be moved; None for one that is where the plan found it."""
    if found is None:
        return MigrationResult.GONE, ""
    stored = found.stored
    if stored is None:
        return MigrationResult.MOVED, f"it cannot be read: {found.problem}"
    if (stored.version, stored.digest) == (build.version, build.digest):
        return MigrationResult.ALREADY, ""
    if stored.life != planned.life:
        return MigrationResult.MOVED, "it was deleted, and created again"
    if stored.seq != planned.seq:
        return MigrationResult.MOVED, _steps_since(planned, stored.seq)
    if found.stuck is not None:
        return MigrationResult.BUSY, f"an invocation holds it: {found.stuck}"
    return None


def _steps_since(planned: PlannedMachine, seq: int) -> str:
    return f"it has moved since: {seq - planned.seq} more steps"


def problems_of(found: Mapping[str, MachineRow], machines: Iterable[PlannedMachine]) -> list[str]:
    """The reasons not to continue after the canaries, a line for each."""
    told: list[str] = []
    for machine in machines:
        row = found.get(machine.key)
        if row is None:
            continue
        if row.problem is not None:
            told.append(f"{machine.key}: it cannot be read: {row.problem}")
        elif row.status == "failed":
            told.append(f"{machine.key}: it has failed in {', '.join(row.states)}")
        elif row.stuck is not None:
            told.append(f"{machine.key}: {row.stuck}")
        elif row.parked:
            told.append(f"{machine.key}: {row.parked} parked")
        elif row.failing:
            told.append(f"{machine.key}: {row.failing[0].work} fails: {row.failing[0].type}")
    return told


@dataclass
class Pace:
    """Lets so many begin in a second."""

    rate: float | None
    _next: float = field(default_factory=time.monotonic)

    def wait(self) -> None:
        """Wait for the turn of the next one."""
        if self.rate is None:
            return
        now = time.monotonic()
        if now < self._next:
            time.sleep(self._next - now)
        self._next = max(self._next, now - 1) + 1 / self.rate


def chunks(machines: Iterable[PlannedMachine], size: int) -> Iterator[list[PlannedMachine]]:
    """Some machines at a time."""
    chunk: list[PlannedMachine] = []
    for machine in machines:
        chunk.append(machine)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def back_up(admin: Admin, chart: str, machines: Iterable[PlannedMachine], path: Path) -> int:
    """Write each machine as `durable-fsm export` does; the file appears under its name once it is whole."""
    from durable_fsm.admin.inventory import texts_at

    draft = path.with_name(f".{path.name}.draft")
    written = 0
    try:
        with draft.open("w", encoding="utf-8") as file:
            for chunk in chunks(machines, CHUNK * 5):
                for key, text in texts_at(admin, chart, [machine.key for machine in chunk]):
                    if text is not None:
                        line = {"format": LINE_FORMAT, "chart": chart, "key": key, "snapshot": json.loads(text)}
                        file.write(f"{json.dumps(line, ensure_ascii=False)}\n")
                        written += 1
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return written
