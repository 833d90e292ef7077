"""All that is stored of one machine, decoded. None of it may reach a browser before `redaction` has looked at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from durable_fsm.admin.histories import entries_of, tail_of
from durable_fsm.admin.past import EntryRecord
from durable_fsm.console.reading import ServerReader, Texts
from durable_fsm.errors import Gone, SnapshotUnreadable
from durable_fsm.restate.fastjson import loads
from durable_fsm.restate.names import StateKey
from durable_fsm.restate.stored.deliveries import ParkedDelivery, read_parked
from durable_fsm.restate.stored.failing import FailingStep
from durable_fsm.restate.stored.snapshot import StoredRecord, read_record, tokens_of
from durable_fsm.restate.stored.waiters import read_waiters


@dataclass(frozen=True)
class MachineFacts:
    """One machine as the server stores it.

    Attributes:
        stored: the machine; None if there is none, or it cannot be read.
        problem: why it cannot be read.
        gone: whether it has ended, and its key stays taken.
        failing: steps of its activities that fail, and are tried again.
        letters: how many messages wait, because no deployment can read the machine.
    """

    chart: str
    key: str
    stored: StoredRecord | None
    problem: str = ""
    gone: bool = False
    size: int = 0
    waiters: int = 0
    letters: int = 0
    parked: tuple[ParkedDelivery, ...] = ()
    failing: tuple[FailingStep, ...] = ()

    @classmethod
    def of(cls, chart: str, key: str, texts: Texts) -> MachineFacts | None:
        """Decode the texts; None if there is no machine."""
        text = texts.get(("", StateKey.SNAPSHOT))
        if text is None:
            return None
        stored, problem, gone = None, "", False
        try:
            stored = read_record(chart, text.encode())
        except Gone:
            gone = True
        except SnapshotUnreadable as error:
            problem = error.problem
        waiters = _decoded(read_waiters, texts.get(("", StateKey.WAITERS)))
        parked: Mapping[str, ParkedDelivery] = _decoded(read_parked, texts.get(("", StateKey.PARKED))) or {}
        letters = _decoded(loads, texts.get(("", StateKey.LETTERS)))
        live: set[str] = set() if stored is None else tokens_of(stored)
        return cls(
            chart,
            key,
            stored,
            problem,
            gone,
            size=len(text.encode()),
            waiters=len(waiters or ()),
            letters=len(letters or ()),
            parked=tuple(one for one in parked.values() if stored is None or one.token in live),
            failing=tuple(_failing(texts, stored)),
        )

    @property
    def mark(self) -> str:
        """Names this moment of this life: `<life>.<seq>`."""
        return "" if self.stored is None else f"{self.stored.life}.{self.stored.seq}"

    @property
    def first_kept(self) -> int:
        """Number of the first entry of the tail."""
        log = None if self.stored is None else self.stored.log
        return 1 if log is None else log.first

    @property
    def tail(self) -> list[EntryRecord]:
        """The latest entries, which the snapshot carries."""
        return [] if self.stored is None else tail_of(self.stored)


def history_of(reader: ServerReader, facts: MachineFacts, n: int | None = None) -> list[EntryRecord]:
    """The entries of a machine, consecutive up to the latest, and back to the one that is looked at, if it is kept."""
    if facts.stored is None:
        return []
    return entries_of(lambda keys: reader.pages(facts.chart, keys), facts.key, facts.stored, n)


def _failing(texts: Texts, stored: StoredRecord | None) -> Iterator[FailingStep]:
    """The steps that fail, of jobs that the machine waits for: earlier lives may have left others."""
    live: set[str] = set()
    if stored is not None:
        live = {one.token for ones in (stored.activities, stored.stopping) for one in ones}
        live |= {f"{done.token}.undo" for done in stored.undo}
    for (service, name), text in texts.items():
        if service and name.startswith(f"{StateKey.FAILING} "):
            step = _decoded(FailingStep.decode, text)
            if step is not None and (step.detached or step.token in live):
                yield step


def _decoded(decode: Any, text: str | None) -> Any:  # Any: a decoder, and what it makes
    """The value in a text; None if there is none, or it cannot be read: then `doctor` says so."""
    if text is None:
        return None
    try:
        return decode(text.encode())
    except (ValueError, LookupError, AttributeError, RecursionError):
        return None
