"""Generate random charts: up to 40 states, nested, with regions and history states, from a seed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

from durable_fsm.core.chart import ROOT, Activity, Callback, Chart, EventType, Guard, Kind, State, Timer, Transition
from tests.building import Members

WORDS = (
    "pay", "cancel", "approve", "reject", "checkout", "expire", "ship", "retry", "payment_received", "go_back",
    "escalate_to_manager", "abort", "done_with_it", "on", "withdraw", "resume",
)  # fmt: skip
NAMES = (
    "Draft", "Waiting", "Awaiting payment", "Paid", "In transit", "On hold", "Manual review of the claim", "Off",
    "Backing off", "Refunding",
)  # fmt: skip


async def work(ctx: object) -> None: ...


def random_chart(seed: int, most: int = 40) -> Chart:
    """The chart of this seed: 3 to *most* states, at most 1.6 transitions a state."""
    return _Maker(Random(seed), most).chart(f"Random{seed}")


class _Maker:
    def __init__(self, random: Random, most: int) -> None:
        self.random = random
        self.left = self.count = random.randint(3, most)
        self.states: dict[str, State] = {}

    def chart(self, name: str) -> Chart:
        self.states[ROOT] = State(ROOT, Kind.COMPOUND, None)
        self._fill(ROOT, depth=0)
        while self.left > 0:
            self._atomic(ROOT)
        edges = self._edges()
        self._timers()
        events = {event: EventType(event) for edge in edges for event in edge.events}
        return Chart(name, self.states, tuple(edges), events, Members(log=[]))

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _add(self, parent: str, kind: Kind) -> str:
        id = f"s{len(self.states)}"
        self.states[id] = State(id, kind, parent, f"{self.random.choice(NAMES)} {len(self.states)}")
        self.states[parent] = replace(self.states[parent], children=(*self.states[parent].children, id))
        self.left -= 1
        return id

    def _fill(self, parent: str, depth: int) -> None:
        for number in range(self.random.randint(2, 5)):
            if self.left <= 0 and number:
                return
            kind = self.random.random()
            if self.left >= 4 and depth < 3 and kind < 0.3:
                self._fill(self._add(parent, Kind.COMPOUND), depth + 1)
            elif self.left >= 7 and depth < 2 and kind < 0.4:
                self._regions(parent, depth)
            else:
                self._atomic(parent, last=number > 1)
        if parent != ROOT and self.random.random() < 0.15:
            self._add(parent, self.random.choice((Kind.SHALLOW_HISTORY, Kind.DEEP_HISTORY)))

    def _regions(self, parent: str, depth: int) -> None:
        parallel = self._add(parent, Kind.PARALLEL)
        for _ in range(self.random.randint(2, 3)):
            chance = self.random.random()
            if chance < 0.15:
                self._atomic(parallel)
            elif chance < 0.25 and depth < 1:
                self._regions(parallel, depth + 1)
            else:
                self._fill(self._add(parallel, Kind.COMPOUND), depth + 1)
        if self.random.random() < 0.2:
            self._add(parallel, self.random.choice((Kind.SHALLOW_HISTORY, Kind.DEEP_HISTORY)))

    def _atomic(self, parent: str, *, last: bool = False) -> None:
        final = last and self.random.random() < 0.3
        id = self._add(parent, Kind.FINAL if final else Kind.ATOMIC)
        changes: dict[str, object] = {}
        if self.random.random() < 0.2:
            changes["entry"] = (Callback("write_to_the_ledger", print),)
        if self.random.random() < 0.1:
            changes["exit"] = (Callback("notify", print),)
        if self.random.random() < 0.1 and not final:
            changes["activities"] = (Activity(id, "charge_card", work),)
        if self.random.random() < 0.05:
            changes["tags"] = frozenset({"paid", "open"})
        self.states[id] = replace(self.states[id], **changes)

    def _timers(self) -> None:
        for id, state in list(self.states.items()):
            if state.kind is Kind.ATOMIC and self.random.random() < 0.05:
                self.states[id] = replace(state, timers=(Timer(f"late_{id}", timedelta(minutes=20)),))

    # ── edges ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _edges(self) -> list[Transition]:
        random = self.random
        ids = [id for id in self.states if id != ROOT]
        sources = [id for id in ids if self.states[id].kind in (Kind.ATOMIC, Kind.COMPOUND, Kind.PARALLEL)]
        sources = [id for id in sources if not self._is_region(id)] or sources
        found: list[Transition] = []
        for number in range(int(len(ids) * random.uniform(0.8, 1.6))):
            source = random.choice(sources)
            targets = (random.choice(self._near(source, ids)),)
            found.append(self._edge(number, source, targets))
        parallels = [id for id in ids if self.states[id].kind is Kind.PARALLEL]
        if parallels and random.random() < 0.3:
            found[-1] = self._fork(len(found) - 1, random.choice(parallels), sources) or found[-1]
        return found

    def _is_region(self, id: str) -> bool:
        return self.states[self.states[id].parent or ROOT].kind is Kind.PARALLEL

    def _near(self, source: str, ids: list[str]) -> list[str]:
        """Where an author would go: mostly to siblings, sometimes anywhere, seldom nowhere else."""
        chance = self.random.random()
        siblings = [id for id in self.states[self.states[source].parent or ROOT].children if not self._is_region(id)]
        if chance < 0.08:
            return [source]
        if chance < 0.7 and siblings:
            return siblings
        return [id for id in ids if not self._is_region(id)] or ids

    def _fork(self, number: int, parallel: str, sources: list[str]) -> Transition | None:
        regions = [self.states[id] for id in self.states[parallel].children]
        targets = tuple(region.children[0] for region in regions if region.kind is Kind.COMPOUND)
        outside = [id for id in sources if id != parallel and parallel not in self._above(id)]
        outside = [id for id in outside if id not in self._above(parallel)]
        return self._edge(number, self.random.choice(outside), targets) if len(targets) > 1 and outside else None

    def _above(self, id: str) -> list[str]:
        found: list[str] = []
        while (parent := self.states[id].parent) is not None:
            found.append(parent)
            id = parent
        return found

    def _edge(self, number: int, source: str, targets: tuple[str, ...]) -> Transition:
        random = self.random
        guards = (
            (Guard(random.choice(("has_items", "attempts_left", "is_valid")), bool),) if random.random() < 0.3 else ()
        )
        actions = (Callback(random.choice(("send_mail", "count")), print),) if random.random() < 0.3 else ()
        events = (random.choice(WORDS),) if random.random() < 0.95 or not guards else ()
        return Transition(f"{source}--{number}", source, targets, events, guards=guards, actions=actions)
