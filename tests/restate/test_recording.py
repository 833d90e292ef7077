"""Recorded histories: what an entry gains, how long it may be, what it never has, and the way back to any entry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from msgspec import UNSET, Raw

from durable_fsm.admin.past import GONE, MISSING, NOT_RECORDED, RENAMED, TOO_LONG, changed_by, past
from durable_fsm.core.chart import Callback, Chart, Hosting
from durable_fsm.core.effects import Step
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.index import Index
from durable_fsm.core.migration import Migration
from durable_fsm.core.redact import REDACTED, Redaction
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.turn import Turn
from durable_fsm.core.upgrade import upgrade
from durable_fsm.core.values import changed
from durable_fsm.errors import DurableFSMError
from durable_fsm.frontends.values import Typed
from durable_fsm.restate.observability.redaction import SeenValues
from durable_fsm.restate.stored.history import LONGEST_PART, PAGE, HistoryTail
from durable_fsm.restate.stored.recording import Recorder
from tests.building import Members, edge
from tests.building import chart as built
from tests.explore.charts import EVENTS, random_chart
from tests.scaling import TIMES

MACHINES, MOMENTS = 140 * TIMES, 25
"""At SCALE=1 about a thousand moments."""


@dataclass
class Data:
    n: int = 0
    card: str = ""
    pin: int = 0
    owner: dict[str, str] = field(default_factory=dict[str, str])
    notes: list[Any] = field(default_factory=list[Any])
    more: dict[str, Any] = field(default_factory=dict[str, Any])


class Kept:
    """A machine and all that was ever kept of it, as the host keeps it."""

    def __init__(self, chart: Chart, *, life: str = "life") -> None:
        self.chart = chart
        self.machine: Snapshot | None = None
        self.log = HistoryTail()
        self.pages: dict[int, list[Raw]] = {}
        self.saved: dict[int, tuple[str, tuple[str, ...], tuple[str, ...], Any]] = {}
        self.life = life
        self.turns = 0

    def turn(self, act: Any, *, by: str = "", records: bool = True, chart: Chart | None = None) -> Turn:
        """One transaction: load, act, save; raises what the turn raises, and keeps nothing then."""
        self.chart = chart or self.chart
        machine, settled = self.machine, None
        if machine is not None and machine.version != self.chart.version:
            taken = upgrade(self.chart, machine)
            machine, settled = taken.machine, taken.upgrade
        self.turns += 1
        turn = Turn(self.chart, machine, seed=f"inv_{self.turns}")
        if settled is not None:
            turn.migrate(settled)
        act(turn)
        turn.next_call()
        hosting = self.chart.hosting
        seen = SeenValues(Redaction.of(hosting.redact)) if hosting.redact else None
        before = UNSET if self.machine is None else self.machine.data
        if records:
            recorder = Recorder(self.log, before, by=by, seed=f"inv_{self.turns}", seen=seen)
            self.log, left = recorder.with_entries(turn.log, at=self.turns)
        else:
            self.log, left = self.log.with_entries(turn.log, at=self.turns)
        for page in left:
            assert page.begins == (page.number not in self.pages)
            self.pages.setdefault(page.number, []).extend(page.entries)
            assert page.ends == (len(self.pages[page.number]) == PAGE)
        self.machine = turn.machine
        index = Index(self.chart)
        for place, one in enumerate(turn.log):
            number = self.log.entries - len(turn.log) + place + 1
            self.saved[number] = (
                self.chart.version,
                tuple(index.in_order(index.active[one.configuration])),
                one.configuration,
                one.data,
            )
        return turn

    @property
    def entries(self) -> list[dict[str, Any]]:
        texts = [text for number in sorted(self.pages) for text in self.pages[number]] + [*self.log.tail]
        return [json.loads(bytes(text)) for text in texts]

    def at(self, n: int, charts: dict[str, Chart] | None = None) -> Any:
        assert self.machine is not None
        known = charts or {self.chart.version: self.chart}
        return past(known.get, self.machine.version, self.machine.configuration, self.entries, n)


# ── random machines ───────────────────────────────────────────────────────────────────────────────────────────────────


def shuffle(scope: Any) -> None:
    """Change the data by chance; payloads and secrets wander through it."""
    random, data, payload = scope.ids.random, scope.data, scope.event.payload
    data.n = min(data.n + 1, 3)
    sources = [data.card, str(data.pin), *data.owner.values(), random.choice(["", "note", "~/", 7, None, True, 1.5])]
    if isinstance(payload, dict):
        data.card, data.pin = payload["card"], payload["pin"]
        data.owner = {"name": "Ann", "email": payload["owner"]["email"]}
        sources += [payload["card"], payload["pin"], f"card {payload['card']}, {payload['owner']['email']}"]
    value = random.choice(sources)
    match random.randint(0, 6):
        case 0:
            data.notes.append(value)
        case 1 if data.notes:
            data.notes.pop(random.randrange(len(data.notes)))
        case 2:
            data.notes = [{"text": one} for one in data.notes][:5]
        case 3:
            data.more[random.choice(["a", "b/c", "~d"])] = value
        case 4:
            data.more[f"by {data.card}"] = {"deep": [value, data.notes[-1:]]}
        case 5 if data.more:
            data.more.pop(random.choice(sorted(data.more)))
        case _:
            data.more = {}


def random_machine(seed: int, *, redact: tuple[str, ...] = (), turns: int = 60) -> tuple[Kept, list[str]]:
    """A machine that has lived for so many turns, and the secrets that it was sent."""
    made, random = random_chart(seed), Random(seed)
    changes = Callback("shuffle", shuffle)
    own = replace(
        made,
        data=Typed(Data),
        transitions=tuple(replace(one, actions=(changes,)) for one in made.transitions),
        hosting=Hosting(redact=redact),
    )
    kept, secrets = Kept(own), list[str]()
    kept.turn(lambda turn: turn.autostart(life="life", data=None))
    for number in range(turns):
        machine = kept.machine
        assert machine is not None
        if machine.status is not Status.RUNNING:
            break
        payload = None
        if random.random() < 0.5:
            card, email, pin = f"4111-{number:04d}'\\{random.random()}", f"ä{number}@example.org", 70_000 + number
            payload = {"card": card, "pin": pin, "owner": {"email": email}}
            secrets += [card, email, str(pin)]
        event = random.choice([*EVENTS, *arriving(machine, payload)])
        try:
            if isinstance(event, str):
                kept.turn(lambda turn, name=event, with_=payload: turn.take(Event(name, with_)))
            else:
                kept.turn(lambda turn, arrived=event: turn.deliver(arrived))
        except DurableFSMError:
            continue
    return kept, secrets


def arriving(machine: Snapshot, payload: Any) -> Iterator[Event]:
    """What could arrive by itself."""
    for timer in machine.timers:
        yield Event("timer", origin=Origin.PLATFORM, token=timer.token)
    for running in machine.activities:
        yield Event(f"done.invoke.{running.id}", payload, Origin.PLATFORM, token=running.token)
        failure = Failure("TerminalError", "it failed", 409, payload)
        yield Event(f"error.invoke.{running.id}", failure, Origin.PLATFORM, token=running.token)


def test_a_machine_is_found_again_as_it_was_at_any_entry() -> None:
    moments = 0
    for seed in range(MACHINES):
        kept, _ = random_machine(seed)
        for n in Random(seed).sample(range(1, kept.log.entries + 1), min(MOMENTS, kept.log.entries)):
            found = kept.at(n)
            assert (found.version, found.active, found.leaves, found.data) == kept.saved[n], (
                f"machine {seed}, entry {n}"
            )
            assert found.problem == ""
            moments += 1
    print(f"{moments} moments of {MACHINES} machines")
    assert moments > 7 * MACHINES


def test_no_recorded_byte_is_redacted_and_what_is_found_again_is_the_data_without_secrets() -> None:
    names = ("card", "pin", "owner.email")
    hidden = Redaction.of(names)
    sent = 0
    for seed in range(MACHINES // 2):
        kept, secrets = random_machine(seed, redact=names)
        stored = b"".join(bytes(text) for texts in (*kept.pages.values(), kept.log.tail) for text in texts)
        text = json.dumps(json.loads(b"[%b]" % b",".join(bytes(one) for one in raws(kept))), ensure_ascii=False)
        for secret in secrets:
            forms = (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1])
            assert not [form for form in forms if form.encode() in stored or form in text], f"machine {seed}: {secret}"
        sent += len(secrets)
        if REDACTED.encode() not in stored:
            continue
        found = kept.at(kept.log.entries).data
        assert hidden.members(found) == found
        assert {**found, "notes": 0, "more": 0} == {
            **hidden.members(kept.machine.data if kept.machine else None),  # type: ignore[dict-item]
            "notes": 0,
            "more": 0,
        }
    assert sent > 2 * MACHINES


def raws(kept: Kept) -> list[Raw]:
    return [text for texts in (*kept.pages.values(), kept.log.tail) for text in texts]


# ── what is recorded ──────────────────────────────────────────────────────────────────────────────────────────────────


def put(scope: Any) -> None:
    scope.data.update(scope.event.payload or {})


def drawer(version: str = "1", names: tuple[str, str] = ("open", "shut"), **hosting: Any) -> Chart:
    is_open, is_shut = names
    return replace(
        built(
            f"{is_open}\n{is_shut}\n",
            edge(is_open, "put", is_open, actions=(Callback("put", put),)),
            edge(is_open, "close", is_shut),
            data=Members(),
        ),
        name="Drawer",
        version=version,
        hosting=Hosting(**hosting),
    )


def filled(*payloads: Any, by: str = "", **hosting: Any) -> Kept:
    kept = Kept(drawer(**hosting))
    kept.turn(lambda turn: turn.create({"size": 1}, life="life", created_from=""))
    for payload in payloads:
        kept.turn(lambda turn, with_=payload: turn.take(Event("put", with_)), by=by)
    return kept


def test_an_entry_has_what_came_in_and_what_it_changed() -> None:
    kept = filled({"socks": 2}, {"socks": 3, "a/b": None}, None, by="operator:ann")

    created, first, second, third = kept.entries

    assert (created["in"], created["data"], "set" in created, "by" in created) == (
        {"size": 1},
        {"size": 1},
        False,
        False,
    )
    assert (first["in"], first["set"], first["by"]) == ({"socks": 2}, [["/socks", 2]], "operator:ann")
    assert second["set"] == [["/socks", 3], ["/a~1b", None]]
    assert third.keys() == {"n", "seq", "at", "event", "seed", "by", "steps"}
    assert [entry["seed"] for entry in kept.entries] == ["inv_1", "inv_2", "inv_3", "inv_4"]
    assert changed_by(first) == [["/socks", 2]]
    assert kept.at(3).data == {"size": 1, "socks": 3, "a/b": None}


def test_what_is_too_long_is_recorded_by_its_length_and_digest() -> None:
    kept = filled({"text": "x" * 5_000}, {"socks": 1})

    _, long, short = kept.entries

    assert long["cut"] == ["in", "set"]
    assert long["in"].keys() == long["set"].keys() == {"bytes", "sha256"}
    assert long["in"]["bytes"] == len('{"text":""}') + 5_000
    assert changed_by(long) == []
    assert short["set"] == [["/socks", 1]]
    assert kept.at(2).data == {"size": 1, "text": "x" * 5_000}
    assert kept.at(3).data == {"size": 1, "text": "x" * 5_000, "socks": 1}


def test_data_that_is_too_long_cannot_be_told() -> None:
    kept = filled({"text": "x" * 9_000}, {"text": ""})

    assert (kept.at(2).data, kept.at(2).problem, kept.at(2).leaves) == (UNSET, TOO_LONG, ("open",))
    assert kept.at(3).data == {"size": 1, "text": ""}


def test_long_entries_leave_the_snapshot_before_their_page_is_full() -> None:
    kept = filled(*({f"m{number % 3}": str(number) * 600} for number in range(30)))

    assert sum(len(bytes(text)) for text in kept.log.tail) <= LONGEST_PART
    assert sorted(kept.pages) == [1, 2]
    assert [len(kept.pages[1]), len(kept.pages[2]) + len(kept.log.tail)] == [PAGE, 11]
    for n in range(1, 32):
        assert kept.at(n).data == kept.saved[n][3]


def test_a_history_may_begin_and_stop_to_be_recorded() -> None:
    kept = Kept(drawer())
    kept.turn(lambda turn: turn.create({}, life="life", created_from=""), records=False)
    for number, records in enumerate([False, True, True, False, True]):
        kept.turn(lambda turn, with_=number: turn.take(Event("put", {"n": with_})), records=records)

    found = [kept.at(n).data for n in range(1, 7)]

    assert found == [UNSET, UNSET, {"n": 1}, {"n": 2}, UNSET, {"n": 4}]
    assert kept.at(1).problem == NOT_RECORDED


def test_states_before_a_migration_are_told_if_it_was_recorded() -> None:
    for records, expected in ((True, ("open",)), (False, None)):
        kept = filled({"socks": 2})
        old = kept.chart
        moved = Migration("1", "2", states={"open": "ajar"})
        new = drawer("2", ("ajar", "closed"), migrations=(moved,))
        kept.turn(lambda turn: turn.take(Event("close")), chart=new, records=records)

        found = kept.at(2, {"1": old, "2": new})

        assert (found.version, found.leaves, found.data) == ("1", expected, {"size": 1, "socks": 2})
        assert found.problem == ("" if records else RENAMED)
        assert kept.at(2, {"2": new}).leaves == expected
        assert kept.at(3, {"2": new}).leaves == ("ajar",)
        if records:
            migrated = kept.entries[2]
            assert (migrated["was"], migrated["renames"], migrated["by"]) == (["open"], {"open": "ajar"}, "self")


def test_entries_that_are_gone_are_said_to_be() -> None:
    kept = filled(*({"n": number} for number in range(25)))
    assert kept.machine is not None
    entries = kept.entries
    known = {"1": kept.chart}.get

    assert past(known, "1", kept.machine.configuration, entries[-3:], 24).problem == GONE
    gap = past(known, "1", kept.machine.configuration, [*entries[:3], *entries[-2:]], 3)
    assert (gap.problem, gap.leaves, gap.data) == (MISSING, None, {"size": 1, "n": 1})


def test_senders_are_told_apart() -> None:
    kept = filled(by="machine:Cart/c-1")
    kept.turn(lambda turn: turn.take(Event("put", {"n": 1}, Origin.MACHINE, sender="#_c")), by="machine:Cart/c-1")
    kept.turn(lambda turn: turn.change("repair", lambda at: Step(changed(at, seq=at.seq + 1)), note={"reason": "so"}))

    assert [entry.get("by") for entry in kept.entries] == [None, "machine:Cart/c-1", None]


def test_members_whose_names_have_secrets_are_not_taken_for_each_other() -> None:
    kept = Kept(drawer(redact=("card",)))
    kept.turn(lambda turn: turn.create({"card": "", "more": {}}, life="life", created_from=""))
    for card in ("4111-1111", "4222-2222"):
        cards = {} if kept.machine is None else kept.machine.data["more"]  # type: ignore[index, call-overload]
        put = {"card": card, "more": {**cards, f"by {card}": card}}
        kept.turn(lambda turn, with_=put: turn.take(Event("put", with_)))
    kept.turn(lambda turn: turn.take(Event("put", {"card": "", "more": {"by 4222-2222": "4111-1111"}})))

    text = json.dumps(kept.entries)
    assert [secret for secret in ("4111-1111", "4222-2222") if secret in text] == []
    assert [kept.at(n).data["more"] for n in (2, 3, 4)] == [
        {f"by {REDACTED}": REDACTED},
        REDACTED,
        {REDACTED: REDACTED},
    ]
