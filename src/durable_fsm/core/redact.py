"""Redaction: members of data and payloads that a chart names are kept out of everything that people read.

`customer.email` is the member `email` of a member `customer`, `card_number` one of this name; at any depth, in lists too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from durable_fsm.core.values import Json

REDACTED = "[redacted]"

LONG = 6
"""A value of at least so many characters is removed everywhere; a shorter one only as a word of its own."""

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Redaction:
    """The members that a chart names."""

    paths: tuple[Path, ...] = ()
    _ends: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ends", frozenset(path[-1] for path in self.paths))

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
        found: list[Json] = []
        for value in values:
            self._search(value, (), found)
        return longest_first({text for secret in found for text in _forms(secret)})

    def _search(self, value: Json, at: Path, found: list[Json]) -> None:
        # Every event of a chart that redacts comes through here, and most values are texts.
        if isinstance(value, list):
            for item in value:
                if type(item) is not str and isinstance(item, (dict, list)):
                    self._search(item, at, found)
        elif isinstance(value, dict):
            for name, member in value.items():
                if name in self._ends and self.names((*at, name)):
                    found += _scalars(member)
                elif type(member) is not str and isinstance(member, (dict, list)):
                    self._search(member, (*at, name), found)

    def names(self, path: Path) -> bool:
        """Whether a chart names the member at the end of this path."""
        return bool(path) and path[-1] in self._ends and any(path[-len(wanted) :] == wanted for wanted in self.paths)


def longest_first(texts: Iterable[str]) -> list[str]:
    """Texts in the order in which they are removed: one that is part of another comes after it."""
    return sorted(texts, key=lambda text: (-len(text), text))


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
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return {text}
    return {text, repr(text)[1:-1], json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
