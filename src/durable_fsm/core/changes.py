"""Changes of JSON: what leads from one value to the next, as short as it can be said and in the order to be done.

Each change is a list: the place, as a JSON pointer, and the new value; without a value, what is there is removed. The empty
pointer is the whole value. (RFC 7386 cannot be used: null means "remove" there, and data is full of nulls.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from durable_fsm.core.values import Json

Change = list[Json]


def changes(before: Json, after: Json) -> list[Change]:
    """The changes that make *after* of *before*; none, if both are the same JSON."""
    return list(_changes("", before, after))


def _changes(at: str, before: Json, after: Json) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before:
            if name not in after:
                yield [_inside(at, name)]
        for name, member in after.items():
            if name in before:
                yield from _changes(_inside(at, name), before[name], member)
            else:
                yield [_inside(at, name), member]
    elif isinstance(before, list) and isinstance(after, list):
        common = min(len(before), len(after))
        found = [change for place in range(common) for change in _changes(f"{at}/{place}", before[place], after[place])]
        if found and len(before) != len(after):
            yield [at, after]  # something was put into it or taken out of it: all items behind that have moved
            return
        yield from found
        for place in range(common, len(after)):
            yield [f"{at}/{place}", after[place]]
        for place in reversed(range(common, len(before))):
            yield [f"{at}/{place}"]
    elif type(before) is not type(after) or before != after:
        yield [at, after]


def _inside(at: str, name: str) -> str:
    return f"{at}/{name.replace('~', '~0').replace('/', '~1')}"


def patched(value: Json, made: Iterable[Change]) -> Json:
    """*value* after these changes; it stays as it is, and shares with the result what is the same.

    Raises:
        ValueError: a change has a place that the value does not have.
    """
    for change in made:
        try:
            steps = [step.replace("~1", "/").replace("~0", "~") for step in str(change[0]).split("/")[1:]]
            value = _patched(value, steps, change[1:])
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"a change is of another value: {change[:1]}") from error
    return value


def _patched(value: Json, steps: list[str], new: list[Json]) -> Json:
    if not steps:
        return new[0]
    name, *inner = steps
    if isinstance(value, list):
        items = [*value]
        place = int(name)
        if inner:
            items[place] = _patched(items[place], inner, new)
        elif not new:
            del items[place]
        else:
            items[place : place + 1] = new
        return items
    members = {**cast("dict[str, Json]", value)}
    if inner:
        members[name] = _patched(members[name], inner, new)
    elif not new:
        del members[name]
    else:
        members[name] = new[0]
    return members
