"""Redaction: members of data and payloads that a chart names are kept out of everything that people read.

`customer.email` is the member `email` of a member `customer`, `card_number` one of this name; at any depth, in lists too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from durable_fsm.core.values import Json

REDACTED = "[redacted]"

LONG = 6
"""A value of at least so many characters is removed everywhere; a shorter one only as a word of its own."""

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Redaction:
    """The members that a chart names."""

    paths: tuple[Path, ...] = ()

    @classmethod
    def of(cls, names: Iterable[str]) -> Redaction:
        return cls(tuple(tuple(name.split(".")) for name in names))

    def covers(self, path: str) -> bool:
        """Whether the value at this JSONPath is named, or lies inside a member that is."""
        steps = re.findall(r"[^.\[\]]+", path)
        return any(_in_order(wanted, steps) for wanted in self.paths)

    def members(self, value: Json) -> Json:
        """The same, with a mark in place of what is named."""
        return self._members(value, ())

    def _members(self, value: Json, at: Path) -> Json:
        if isinstance(value, list):
            return [self._members(item, at) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            name: REDACTED if self.names((*at, name)) else self._members(member, (*at, name))
            for name, member in value.items()
        }

    def texts(self, values: Iterable[Json]) -> list[str]:
        """The values that are named, in every form in which a text may quote them; the longest first."""
        found = {text for value in values for secret in self._secrets(value, ()) for text in _forms(secret)}
        return sorted(found, key=lambda text: (-len(text), text))

    def _secrets(self, value: Json, at: Path) -> Iterator[Json]:
        if isinstance(value, list):
            for item in value:
                yield from self._secrets(item, at)
        elif isinstance(value, dict):
            for name, member in value.items():
                if self.names((*at, name)):
                    yield from _scalars(member)
                else:
                    yield from self._secrets(member, (*at, name))

    def names(self, path: Path) -> bool:
        """Whether a chart names the member at the end of this path."""
        return any(path[-len(wanted) :] == wanted for wanted in self.paths)


def without(text: str, secrets: Iterable[str]) -> str:
    """*text* with a mark in place of each of these texts."""
    for secret in secrets:
        if len(secret) >= LONG:
            text = text.replace(secret, REDACTED)
        elif secret in text:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", REDACTED, text)
    return text


def _in_order(wanted: Path, steps: Iterable[str]) -> bool:
    """Whether all that is wanted comes in this order; a path of pydantic's has names of types in between."""
    remaining = iter(steps)
    return all(name in remaining for name in wanted)


def _scalars(value: Json) -> Iterator[Json]:
    if isinstance(value, list):
        for item in value:
            yield from _scalars(item)
    elif isinstance(value, dict):
        for member in value.values():
            yield from _scalars(member)
    else:
        yield value


def _forms(secret: Json) -> set[str]:
    """A text as it is, and as Python and JSON quote it; true, false, null and the empty text are not secrets."""
    if secret is None or secret == "" or isinstance(secret, bool):
        return set()
    text = str(secret)
    return {text, repr(text)[1:-1], json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
