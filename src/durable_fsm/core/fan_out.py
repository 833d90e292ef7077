"""The items of a fan-out, their limits, and how their outcomes are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import cast

from durable_fsm.core.codec import canonical, failure_to_json, plain
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
        return f"it has {len(items):,} items; at most {most:,} are taken."
    size = len(canonical(list(items)))
    if size > MOST_CHARACTERS:
        return f"its items are {size:,} characters long; at most {MOST_CHARACTERS:,} are taken. Let them be references."
    return None


def at_index(index: int, failure: Failure) -> Failure:
    """The failure of one item, with its index among the facts."""
    return with_facts(failure, {"index": index})


def settled(outcome: object) -> Json:
    """The result of one item among others that are to settle: `{"status": "done", …}` or `{"status": "failed", …}`."""
    if isinstance(outcome, Failure):
        return {"status": "failed", "error": failure_to_json(outcome)}
    return {"status": "done", "result": plain(outcome)}
