"""Changes of JSON: what leads from one value to the next, as short as it can be said and in the order to be done.

Each change is a list: the place, as a JSON pointer, and the new value; without a value, what is there is removed. The empty
pointer is the whole value. (RFC 7386 cannot be used: null means "remove" there, and data is full of nulls.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from durable_fsm.core.values import Json

Change = list[Json]


def changes(before: Json, after: Json) -> list[Change]:
    """The changes that make *after* of *before*; none, if both are the same JSON."""
    found: list[Change] = []
    _find("", before, after, found)
    return found


def _find(at: str, before: Json, after: Json, found: list[Change]) -> None:
    if isinstance(before, dict) and isinstance(after, dict):
        found.extend([_inside(at, name)] for name in before if name not in after)
        for name, member in after.items():
            if name not in before:
                found.append([_inside(at, name), member])
            elif not _is_plainly(before[name], member):
                _find(_inside(at, name), before[name], member, found)
    elif isinstance(before, list) and isinstance(after, list):
        common, begin = min(len(before), len(after)), len(found)
        for place in range(common):
            if not _is_plainly(before[place], after[place]):
                _find(f"{at}/{place}", before[place], after[place], found)
        if len(found) > begin and len(before) != len(after):
            # Something was put into it or taken out of it: all items behind that have moved.
            found[begin:] = [[at, after]]
            return
        found.extend([f"{at}/{place}", after[place]] for place in range(common, len(after)))
        found.extend([f"{at}/{place}"] for place in reversed(range(common, len(before))))
    elif type(before) is not type(after) or before != after:
        found.append([at, after])


def _is_plainly(before: Json, after: Json) -> bool:
    """Whether two values are the same at first sight; others may be, too. Most members of data are, at every event."""
    return before is after or (type(before) is str and type(after) is str and before == after)


def _inside(at: str, name: str) -> str:
    return f"{at}/{name.replace('~', '~0').replace('/', '~1')}"


def patched(value: Json, made: Iterable[Change]) -> Json:
    """*value* after these changes; it stays as it is, and shares with the result what is the same.

    Raises:
        ValueError: a change has a place that the value does not have.
    """
    own: dict[int, Json] = {}  # copies that were made here, by id: each list and object is copied once
    for change in made:
        try:
            value = _patched(value, change, own)
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"a change is of another value: {change[:1]}") from error
    return value


def _patched(value: Json, change: Change, own: dict[int, Json]) -> Json:
    pointer = str(change[0])
    steps = pointer.split("/")
    if "~" in pointer:
        steps = [step.replace("~1", "/").replace("~0", "~") for step in steps]
    if len(steps) == 1:
        return change[1]
    value = at = _copied(value, own)
    for step in steps[1:-1]:
        if isinstance(at, list):
            place = int(step)
            inner = at[place] = _copied(at[place], own)
        else:
            inner = at[step] = _copied(at[step], own)
        at = inner
    if isinstance(at, list):
        place = int(steps[-1])
        if len(change) > 1:
            at[place : place + 1] = change[1:]
        else:
            del at[place]
    elif len(change) > 1:
        at[steps[-1]] = change[1]
    else:
        del at[steps[-1]]
    return value


def _copied(value: Json, own: dict[int, Json]) -> list[Json] | dict[str, Json]:
    if id(value) in own:
        return cast("list[Json] | dict[str, Json]", value)
    copy = [*value] if isinstance(value, list) else {**cast("dict[str, Json]", value)}
    own[id(copy)] = copy
    return copy
