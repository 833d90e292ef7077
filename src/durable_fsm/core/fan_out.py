"""The items of a fan-out, their limits, and how their outcomes are joined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import cast

from durable_fsm.core.chart import Join
from durable_fsm.core.codec import canonical, failure_from_json, failure_to_json, plain
from durable_fsm.core.events import Failure, with_facts
from durable_fsm.core.values import Json

MOST_ITEMS = 10_000
"""Items of one fan-out."""

MOST_MACHINES = 1_000
"""Items of one fan-out of machines: each of them is listed in the snapshot of their parent."""

MOST_CHARACTERS = 2 * 1024 * 1024
"""Characters of the items' JSON text, which travels in one message beside the machine's data."""


def items_in(found: object) -> tuple[Json, ...]:
    """The result of an `each`, as plain JSON; sets are sorted.

    Raises:
        TypeError: it is not a list, or an item has no form in JSON.
    """
    kind = type(found).__name__
    if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
        raise TypeError(f"expected a list of items, got {kind}")
    items = cast("Iterable[object]", found)
    return tuple(cast("list[Json]", plain(items if isinstance(items, AbstractSet) else list(items))))


def excess(items: tuple[Json, ...], most: int = MOST_ITEMS) -> str | None:
    """Which limit the items exceed, as a sentence; None if they exceed none."""
    if len(items) > most:
        return f"it has {len(items):,} items; at most {most:,} are allowed."
    size = len(canonical(list(items)))
    if size > MOST_CHARACTERS:
        return (
            f"its items are {size:,} characters long; at most {MOST_CHARACTERS:,} are allowed. Use references instead."
        )
    return None


def shortage(items: tuple[Json, ...], join: Join) -> str | None:
    """Why the items are too few to be joined in this way, as a sentence; None if they are enough."""
    fewest = _fewest(join, len(items))
    return f"it has {len(items):,} items; at least {fewest:,} must succeed." if fewest > len(items) else None


class Joining:
    """The outcomes of the items of a fan-out so far, and whether they decide how it ends.

    It has succeeded as soon as enough items have, and has failed as soon as too few are left. `failure` is then that of
    the item after which too few were left.
    """

    def __init__(self, join: Join, count: int) -> None:
        self._join = join
        self._fewest = _fewest(join, count)
        self._left = count
        self._results: dict[int, Json] = {}
        self.failure: Failure | None = None

    def ends(self, index: int, outcome: Json | Failure) -> bool:
        """Note how an item ended. True if that decides, after which no other outcome may be noted."""
        self._left -= 1
        if self._join == "settle":
            self._results[index] = settled(outcome)
            return self._left == 0
        if not isinstance(outcome, Failure):
            self._results[index] = outcome
        elif len(self._results) + self._left < self._fewest:
            self.failure = at_index(index, outcome)
        return self.failure is not None or len(self._results) == self._fewest

    @property
    def result(self) -> Json:
        """The results of the items that succeeded, in the order of the items; of `any`, the only one."""
        results = [self._results[index] for index in sorted(self._results)]
        return results[0] if self._join == "any" else results


def kept(join: Join, outcome: Json | Failure) -> Json:
    """The outcome of one item as a snapshot keeps it, until those of the others are there."""
    return settled(outcome) if join != "all" or isinstance(outcome, Failure) else outcome


def of_kept(join: Join, record: Json) -> Json | Failure:
    """The outcome that was kept."""
    if join == "all":
        return record
    told = cast("Mapping[str, Json]", record)
    return told["result"] if "result" in told else failure_from_json(cast("Mapping[str, Json]", told["error"]))


def _fewest(join: Join, count: int) -> int:
    """How many of the items must succeed."""
    if isinstance(join, int):
        return join
    return {"all": count, "any": 1, "majority": count // 2 + 1, "settle": 0}[join]


def at_index(index: int, failure: Failure) -> Failure:
    """The failure of one item, with its index among the facts."""
    return with_facts(failure, {"index": index})


def settled(outcome: object) -> Json:
    """The result of one item among others that are to settle: `{"status": "done", …}` or `{"status": "failed", …}`."""
    if isinstance(outcome, Failure):
        return {"status": "failed", "error": failure_to_json(outcome)}
    return {"status": "done", "result": plain(outcome)}
