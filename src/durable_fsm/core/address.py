"""Addresses of machines, how callbacks name a receiver, and keys that are composed of several names.

A client chooses keys freely. So every composed key can be taken apart in one way only, and no client can choose a key that
is another's: `tests/restate/test_composed_keys.py` looks for one.
"""

from __future__ import annotations

import re
from typing import TypeAlias, Union, cast

Receiver: TypeAlias = Union[str, "tuple[object, str]"]
"""The receiver of a message: an address, or a definition (or its name) and a key."""

CHILD_KEY = re.compile(r".*/[^/]+/[0-9a-f]{12}(\.[0-9]+)+", re.DOTALL)


LONGEST_KEY = 2_048
"""Longest key in bytes of UTF-8 that a client or a callback may give a machine."""

LONGEST_CHILD_KEY = 32 * 1024
"""Longest key of a child, which contains the keys of all machines above it. Some HTTP servers carry 64 KiB at most."""


def address(chart: str, key: str) -> str:
    """The address of any machine: `Parcel/p-1`."""
    return f"{chart}/{key}"


def parted(address: str) -> tuple[str, str]:
    """The chart's name and the key in an address."""
    chart, _, key = address.partition("/")
    return chart, key


def is_address(to: str) -> bool:
    """Whether it is the address of any machine, and not `#_parent` or the like."""
    chart, key = parted(to)
    return bool(chart and key) and not chart.startswith("#")


def written(to: Receiver) -> str:
    """The receiver as one text.

    Raises:
        TypeError: it is not a receiver.
        ValueError: the key cannot be written in UTF-8, or is too long.
    """
    if isinstance(to, str):
        text, key = to, parted(to)[1]
    else:
        match to:
            case (definition, str(key)) if key:
                text = address(chart_name(definition), key)
            case _:
                raise TypeError(f"a message goes to (Chart, key), not to {to!r:.80}")
    if (fault := fault_in_key(key)) is not None:
        raise ValueError(fault)
    return text


def fault_in_key(key: str) -> str | None:
    """Why no machine can have this key; None if one can.

    Raises:
        ValueError: it cannot be written in UTF-8.
    """
    size = len(key.encode())
    if size <= LONGEST_KEY or (size <= LONGEST_CHILD_KEY and is_child_key(key)):
        return None
    return f"the key '{key[:20]}…' has {size:,} bytes; a key has {LONGEST_KEY:,} at most."


def chart_name(definition: object) -> str:
    """The name of the chart that a definition makes, found without making it.

    Raises:
        TypeError: it is not a definition.
    """
    if isinstance(definition, str):
        name: object = definition
    elif isinstance(definition, type):
        options = cast("object", vars(definition).get("__durable__"))  # what `durable` leaves on a class
        name = getattr(options, "name", None) or definition.__name__
    else:
        name = getattr(definition, "name", None)
    if not isinstance(name, str) or not name.removesuffix(": ") or "/" in name:
        raise TypeError(f"{definition!r:.80} is neither a chart nor the name of one")
    return name.removesuffix(": ")  # which a machine of transitions adds to its name


def as_part(id: str) -> str:
    """An id as one part of a composed name, whose parts are separated by slashes."""
    return id.replace("%", "%25").replace("/", "%2F")


def relay_key(sender: str, chart: str, receiver: str) -> str:
    """The key under which messages go from one machine to another. The length says where the sender's own key ends."""
    return f"{len(sender)}:{sender} > {address(chart, receiver)}"


def child_key(parent: str, id: str, token: str) -> str:
    """The key of a child: unique for each entry of the state that runs it."""
    return f"{parent}/{id.replace('/', '~')}/{token}"


def is_child_key(key: str) -> bool:
    """Whether a key is that of a child, which only its parent begins."""
    return CHILD_KEY.fullmatch(key) is not None
