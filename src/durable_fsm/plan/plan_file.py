"""The file that `durable-fsm plan` writes, and that `--check` and `durable-fsm migrate` read: a verdict for each machine.

It is one JSON document with one machine on each line, so that neither its writer nor its reader holds the whole fleet in
memory. It says where machines are and what would happen to them; it never contains values of their data.

    {"format":1,"made":"…","target":"service:app","server":"http://…","charts":[…],"machines":[
    ["Order","o-1","a1b2",7,"2","moves",0],
    ["Order","o-2","c3d4",4,"2","blocked",1]
    ],"kinds":[…]}
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

FORMAT = 1
"""The number of this form. A reader refuses one that it does not know."""


class PlanVerdict(StrEnum):
    """The effect of a build on one machine.

    OVER: it has ended, and the build can read it. STAYS: it continues as it is. MOVES: it migrates to another version.
    CHANGES: it continues, and will do something else. BLOCKED: the build cannot continue it; events would be answered 500.
    STRANDED: it would continue, and could never end. HELD: exclusive work holds it; it follows when that is over.
    UNREADABLE: this program cannot read it.
    """

    OVER = "over"
    STAYS = "stays"
    MOVES = "moves"
    CHANGES = "changes"
    BLOCKED = "blocked"
    STRANDED = "stranded"
    HELD = "held"
    UNREADABLE = "unreadable"


class PlannedMachine(msgspec.Struct, frozen=True, array_like=True):
    """One machine as it was when the plan was made: its life and seq say whether it has moved since.

    `kind` is its place among the kinds of the plan.
    """

    chart: str
    key: str
    life: str
    seq: int
    version: str
    verdict: PlanVerdict
    kind: int


class PlannedChart(msgspec.Struct, frozen=True, omit_defaults=True):
    """A chart of the build; `deployments` are those of the server that had the chart, the newest first."""

    chart: str
    version: str
    digest: str
    deployments: tuple[str, ...] = ()


class PlannedKind(msgspec.Struct, frozen=True, omit_defaults=True):
    """The machines that come to the same in the same way: of one version, in the same states before and after."""

    chart: str
    verdict: PlanVerdict
    version: str
    states: tuple[str, ...]
    becomes: tuple[str, ...]
    machines: int
    example: str
    needs_you: bool = False


class PlanHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """Facts about the whole plan; `target` names the build, and `server` is None for a plan of an exported file."""

    made: str
    target: str
    server: str | None
    charts: tuple[PlannedChart, ...]
    format: int = FORMAT


class NotAPlan(ValueError):
    """A file is not a plan, or one of another form. The message says why."""


_head = msgspec.json.Decoder(PlanHead)
_machine = msgspec.json.Decoder(PlannedMachine)
_kinds = msgspec.json.Decoder(list[PlannedKind])
_encode = msgspec.json.Encoder().encode

OPENS = b',"machines":['
CLOSES = b'],"kinds":'


class PlanWriter:
    """Writes a plan machine by machine; the file appears under its name once it is whole.

    with PlanWriter(path, head) as plan:
        plan.add(machine)
        plan.finish(kinds)
    """

    def __init__(self, path: Path, head: PlanHead) -> None:
        self._path = path
        self._draft = path.with_name(f".{path.name}.draft")
        self._file: IO[bytes] = self._draft.open("wb")
        # The format first, so that a person sees what this is.
        members = _encode(head).removeprefix(b"{").removesuffix(b"}")
        self._file.write(b'{"format":%d,%b%b' % (FORMAT, members, OPENS))
        self._many = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._draft.unlink(missing_ok=True)

    def add(self, machine: PlannedMachine) -> None:
        self._file.write(b"%b\n%b" % (b"," if self._many else b"", _encode(machine)))
        self._many += 1

    def finish(self, kinds: list[PlannedKind]) -> None:
        """Write the kinds, and give the file its name."""
        self._file.write(b"\n%b%b}\n" % (CLOSES, _encode(kinds)))
        self._file.close()
        self._draft.replace(self._path)


@dataclass(frozen=True)
class SavedPlan:
    """A plan in a file, of which only the head and the kinds are in memory."""

    path: Path
    head: PlanHead
    kinds: tuple[PlannedKind, ...]

    def machines(self) -> Iterator[PlannedMachine]:
        """The machines, in the order of the file.

        Raises:
            NotAPlan: the file has been changed, and a line is not a machine.
        """
        with self.path.open("rb") as file:
            next(file)
            for number, line in enumerate(file, 2):
                if line.startswith(CLOSES):
                    return
                try:
                    yield _machine.decode(line.rstrip(b",\n"))
                except msgspec.DecodeError as error:
                    raise NotAPlan(f"line {number} of '{self.path}' is not a machine of a plan: {error}") from error


def read_plan(path: Path) -> SavedPlan:
    """Read a plan's head and kinds.

    Raises:
        NotAPlan: the file is something else.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        first = file.readline().rstrip()
        last = b""
        for line in file:
            last = line.rstrip()
    try:
        form = msgspec.json.decode(first.removesuffix(OPENS) + b"}", type=dict[str, msgspec.Raw]).get("format")
        if form is not None and bytes(form) != b"%d" % FORMAT:
            raise NotAPlan(f"'{path}' is a plan of format {bytes(form).decode()}, and this program reads {FORMAT}.")
        head = _head.decode(first.removesuffix(OPENS) + b"}")
        if not first.endswith(OPENS) or not last.startswith(CLOSES):
            raise NotAPlan(f"'{path}' is not a whole plan: its last line is missing.")
        return SavedPlan(path, head, tuple(_kinds.decode(last.removeprefix(CLOSES).removesuffix(b"}"))))
    except msgspec.DecodeError as error:
        raise NotAPlan(f"'{path}' is not a plan: {error}. `durable-fsm plan` writes one.") from error
