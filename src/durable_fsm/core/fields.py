"""Fields of a machine's data as texts, by which an index lists it and an operator finds it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from durable_fsm.core.codec import canonical
from durable_fsm.core.values import Json

LONGEST = 200
"""Characters of an entry; a longer value, or one that cannot be printed, is found by its digest."""

CONDITIONS = ("state", "status", "version")
"""Names by which `--where` asks for a machine itself, and not for its data."""


def entries_of(fields: Iterable[str], data: Json) -> tuple[str, ...]:
    """The entries under which a machine with this data is listed."""
    texts = ((field, text_at(field, data)) for field in fields)
    return tuple(sorted({entry_of(field, text) for field, text in texts if text is not None}))


def entry_of(field: str, text: str) -> str:
    """The name of the list of machines with this value."""
    entry = f"{field}={text}"
    if len(entry) <= LONGEST and entry.isprintable():
        return entry
    return f"{field}#{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"


def field_of(entry: str) -> str:
    """The field of an entry: names of fields have neither of the two characters that end it."""
    return re.split("[=#]", entry, maxsplit=1)[0]


def text_at(field: str, data: Json) -> str | None:
    """The value of a field as people write it: `ada`, `42`, `true`; None if it is a list, an object or missing."""
    value = data
    for name in field.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return None if value is None or isinstance(value, list | dict) else text_of(value)


def text_of(value: str | float) -> str:
    """A value as people write it: `ada`, `42`, `true`."""
    return value if isinstance(value, str) else canonical(value)
