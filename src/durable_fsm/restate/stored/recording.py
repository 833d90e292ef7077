"""Recorded entries of a history: with what came in, who sent it, and what it changed in the data.

An entry gains these members, each only if it is not the usual:

    in      the payload of the event, or the result of an activity
    by      its sender, if that is not a client: `operator:ann`, `kafka:orders`, `webhook:bank`, `machine:Cart/c-1`,
            `timer`, `activity`, `deferred` for an event that was kept, `self` for what follows from the entry before
    seed    that of ids and random numbers; every recorded entry has it, so it tells which entries are recorded
    clock   the time that callbacks decided by
    set     changes of the data, see `core.changes`
    data    the whole data: in the first entry of what the snapshot carries, so that a reader has where to begin
    cut     which of these are too long: they are `{"bytes": …, "sha256": …}` instead
    renames, was    of a migration: the new names of states by the old ones, and the leaves before

Nothing that the chart redacts is in them. A text that quotes a secret is recorded without it for as long as the text stays in
the data, and so is a copy of that text. That is known from the recorded form of the data. Data that is too long has none: then
a text that quotes a secret which is no longer in the data is recorded as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec
from msgspec import UNSET, UnsetType

from durable_fsm.core.changes import Change, changes, patched
from durable_fsm.core.codec import failure_to_json, plain
from durable_fsm.core.events import FROM_OUTSIDE, Event, Failure, Origin
from durable_fsm.core.redact import REDACTED, without
from durable_fsm.core.turn import Taken
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.observability.redaction import SeenValues
from durable_fsm.restate.stored.history import LONGEST_PART, FullPage, HistoryTail, entry_of

LONGEST_PAYLOAD = 2 * 1024
LONGEST_CHANGE = 4 * 1024
LONGEST_DATA = LONGEST_PART
"""Bytes of what is recorded; longer data is left out."""

SHORTEST_SECRET = 4
"""Characters of the shortest number, or copy of a secret, that is hidden outside of redacted members: shorter ones are in all
data by chance."""

_MASKS = re.compile(f"(?:{re.escape(REDACTED)})+")

Known = Json | UnsetType  # UNSET: it is not known


class RecordedMembers(msgspec.Struct):
    """The members of an entry from which the data after it follows."""

    n: int
    seed: str | UnsetType = UNSET
    data: Any = UNSET  # Any: JSON
    set: Any = UNSET
    cut: tuple[str, ...] = ()


_MEMBERS = msgspec.json.Decoder(RecordedMembers)


def data_after(entries: Iterable[RecordedMembers]) -> Known:
    """The data after the last of some entries in order, without redacted members; UNSET if they do not tell.

    Raises:
        ValueError: their changes are of other data.
    """
    data: Known = UNSET
    made: list[Change] = []
    for entry in entries:
        if entry.data is not UNSET:
            data, made = entry.data, []
        elif entry.seed is UNSET or "set" in entry.cut:
            data = UNSET
        elif entry.set is not UNSET:
            made += entry.set
    return data if isinstance(data, UnsetType) else patched(data, made)


class Recorder:
    """Adds recorded entries to the history of a machine.

    Args:
        log: the history so far.
        before: the machine's data before; UNSET if there is no machine yet.
        by: the sender of the event that this invocation takes; empty for a client.
        seed: that of the invocation.
        seen: what the chart redacts, and the values that may have it; None if it redacts nothing.
    """

    def __init__(
        self, log: HistoryTail, before: Known, *, by: str = "", seed: str = "", seen: SeenValues | None = None
    ) -> None:
        self.log = log
        self.by = by
        self.seed = seed
        self._form = None if seen is None else _Form(seen)
        self._raw = before
        self._data = _known(log)
        self._is_known = not isinstance(self._data, UnsetType)

    def with_entries(self, changed: Iterable[Taken], at: int) -> tuple[HistoryTail, list[FullPage]]:
        """Add an entry for each event that was processed; return the pages, or parts of them, that leave the snapshot."""
        log, left = self.log, list[FullPage]()
        taken = [(one, None if one.took is None else _payload_of(one.took)) for one in changed]
        self._begin(taken)
        size = sum(map(len, log.tail))
        for one, payload in taken:
            entry = entry_of(one, log.entries + 1, at) | self._members(one, payload)
            is_known, data = self._is_known, self._advance(one.data)
            if not isinstance(data, UnsetType) and (made := changes(data, cast("Json", self._data))):
                self._cap(entry, "set", cast("Json", made), LONGEST_CHANGE)
            is_cut = "set" in cast("list[str]", entry.get("cut", ()))
            text = dumps(cast("Json", entry))
            if log.fills_page or (log.tail and size + len(text) > LONGEST_PART):
                log, page = log.without_tail()
                left.append(page)
                size = 0
            if not log.tail or not is_known or is_cut:
                whole = dumps(cast("Json", self._data))
                self._is_known = len(whole) <= LONGEST_DATA
                if self._is_known:
                    text = dumps({**entry, "data": cast("Json", msgspec.Raw(whole))})
            log, _ = log.with_texts([msgspec.Raw(text)])
            size += len(text)
        return log, left

    def _begin(self, taken: Iterable[tuple[Taken, Json]]) -> None:
        """Hide all that is redacted before and after; begin with the data as it was recorded, or as it is."""
        before, known = self._raw, self._data
        if self._form is not None:
            more = () if isinstance(before, UnsetType) or isinstance(known, UnsetType) else hidden_in(known, before)
            values = [] if isinstance(before, UnsetType) else [before]
            self._form.hide([*values, *([one.data, payload] for one, payload in taken)], more)
        if isinstance(known, UnsetType) and not isinstance(before, UnsetType):
            self._data = before if self._form is None else self._form.of(before)

    def _advance(self, after: Json) -> Known:
        """Go on to the data *after* an entry; return the recorded form of the data before it."""
        before = self._data
        if self._form is None:
            self._data = after
        else:
            self._data = self._form.of(after, self._raw, before)
        self._raw = after
        return before

    def _members(self, one: Taken, payload: Json) -> dict[str, Json]:
        entry: dict[str, Json] = {"seed": self.seed}
        took = one.took
        if took is None:
            return entry
        if took.seed:
            entry["seed"] = took.seed
        if took.at is not None:
            entry["clock"] = took.at.isoformat()
        if by := self._sender(one, took):
            entry["by"] = by
        if one.event == "migrated" and isinstance(payload, dict):
            return entry | {name: names for name, names in payload.items() if names}
        if self._form is not None:
            payload = self._form.of(payload)
        if payload is not None:
            self._cap(entry, "in", payload, LONGEST_PAYLOAD)
        return entry

    def _sender(self, one: Taken, took: Event) -> str:
        if one.token:
            return "deferred"
        if isinstance(one.note, dict) and "reason" in one.note:
            return self.by  # an operator has resent it
        if took.token is not None:
            return "timer" if took.name == "timer" else "activity" if ".invoke." in took.name else "self"
        is_made = took.origin is Origin.PLATFORM and one.event in ("create", "migrated")
        return "self" if is_made else self.by

    @staticmethod
    def _cap(entry: dict[str, Json], name: str, value: Json, longest: int) -> None:
        text = dumps(value)
        if len(text) <= longest:
            entry[name] = cast("Json", msgspec.Raw(text))
            return
        entry[name] = {"bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}
        entry["cut"] = [*cast("list[Json]", entry.get("cut", [])), name]


def _known(log: HistoryTail) -> Known:
    """The data after the last entry of a tail, as it was recorded; UNSET if that is not known."""
    try:
        return data_after(_MEMBERS.decode(text) for text in log.tail)
    except (ValueError, RecursionError):
        return UNSET


def _payload_of(took: Event) -> Json:
    """The payload; of a failure only what the entry does not tell anyway."""
    if not isinstance(took.payload, Failure):
        return cast("Json", took.payload) if took.origin in FROM_OUTSIDE else plain(took.payload)
    failure = took.payload
    return failure_to_json(failure) if failure.code is not None or failure.metadata is not None else None


# ── redaction ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Form:
    """The recorded form of values: without redacted members, and without their values anywhere else."""

    def __init__(self, seen: SeenValues) -> None:
        self._seen = seen
        self._redaction = seen.redaction
        self._texts: list[str] = []

    def hide(self, values: Iterable[Json], more: Iterable[str] = ()) -> None:
        """Hide the redacted members of values from now on, and *more* texts; errors that are shown do not quote them, too."""
        seen = self._seen
        seen.values += [value for value in values if not any(value is other for other in seen.values)]
        seen.hidden += more
        self._texts = seen.texts()

    def of(self, after: Json, before: Known = UNSET, known: Known = UNSET, at: tuple[str, ...] = ()) -> Json:
        """The form of a value. Where it is the same as *before*, that is the form which is *known*."""
        if isinstance(after, dict):
            return self._of_members(after, before, known, at)
        if isinstance(after, list):
            items: list[Json] = before if isinstance(before, list) else []
            forms: list[Json] = known if isinstance(known, list) else []
            common = min(len(items), len(forms))
            made: list[Json] = []
            for place, item in enumerate(after):
                if place >= common:
                    made.append(self.of(item, at=at))
                elif type(item) is str and item == items[place]:
                    made.append(forms[place])
                else:
                    made.append(self.of(item, items[place], forms[place], at))
            return made
        if not isinstance(known, UnsetType) and type(before) is type(after) and before == after:
            return known
        if isinstance(after, str):
            return without(after, self._texts)
        if isinstance(after, bool) or after is None:
            return after
        text = str(after)
        return REDACTED if len(text) >= SHORTEST_SECRET and text in self._texts else after

    def _of_members(self, after: dict[str, Json], before: Known, known: Known, at: tuple[str, ...]) -> Json:
        was: Mapping[str, Json] = before if isinstance(before, dict) else {}
        told: Mapping[str, Json] = known if isinstance(known, dict) else {}
        made: dict[str, Json] = {}
        for name, member in after.items():
            shown, path = without(name, self._texts), (*at, name)
            if shown in made:
                return REDACTED  # two names would look the same, and be taken for each other later
            if self._redaction.names(path):
                made[shown] = REDACTED
            else:
                made[shown] = self.of(member, was.get(name, UNSET), told.get(shown, UNSET), path)
        return made


def hidden_in(known: Json, raw: Json) -> Iterator[str]:
    """The texts that a recorded form hides, outside of redacted members too."""
    if isinstance(known, dict) and isinstance(raw, dict):
        masked = [shown for shown in known if REDACTED in shown]
        for name, member in raw.items():
            if name in known:
                form = known[name]
                if type(form) is not str or REDACTED in form:
                    yield from hidden_in(form, member)
                continue
            for shown in masked:
                if found := _behind(shown, name):
                    yield from found
                    yield from hidden_in(known[shown], member)
    elif isinstance(known, list) and isinstance(raw, list):
        for form, item in zip(known, raw, strict=False):
            if type(form) is not str or REDACTED in form:
                yield from hidden_in(form, item)
    elif isinstance(known, str) and REDACTED in known:
        if isinstance(raw, str | int | float):
            yield from _behind(known, str(raw))
        else:
            yield from _texts_in(raw)


def _texts_in(raw: Json) -> Iterator[str]:
    """Every text and number in a value, names too, that is long enough to be a secret."""
    if isinstance(raw, dict):
        for name, member in raw.items():
            yield from (name,) if len(name) >= SHORTEST_SECRET else ()
            yield from _texts_in(member)
    elif isinstance(raw, list):
        for item in raw:
            yield from _texts_in(item)
    elif isinstance(raw, str | int | float) and not isinstance(raw, bool) and len(str(raw)) >= SHORTEST_SECRET:
        yield str(raw)


def _behind(known: str, raw: str) -> tuple[str, ...]:
    """The parts of a text that its recorded form hides; none if that is the form of another text."""
    found = re.fullmatch("(.+)".join(map(re.escape, _MASKS.split(known))), raw, re.DOTALL)
    return () if found is None else tuple(text for text in found.groups() if len(text) >= SHORTEST_SECRET)


def recorded_members(entry: Mapping[str, Json]) -> RecordedMembers:
    """The members of an entry as it was stored."""
    return msgspec.convert(entry, RecordedMembers)
