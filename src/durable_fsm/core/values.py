"""The plain values that everything else is made of: JSON, types of data, and where something was written.

Snapshots, events and effects are frozen msgspec structs; `changed(snapshot, seq=2)` is a copy with other members. It
refuses a name that is not a field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from dataclasses import replace as changed  # mypy knows the names and types of the fields

    Json: TypeAlias = None | bool | int | float | str | "list[Json]" | "dict[str, Json]"
else:
    from msgspec.structs import replace as changed

    Json = Any  # msgspec reads the types of fields, and cannot resolve an alias that names itself

__all__ = ["Completed", "Json", "Location", "Misfit", "TypeRaised", "ValueType", "changed"]


class Misfit(ValueError):
    """A value does not fit its declared type. `path` is JSONPath, `problem` says what was expected and what came."""

    def __init__(self, problem: str, path: str = "$") -> None:
        super().__init__(f"{problem} at {path}")
        self.problem = problem
        self.path = path


class TypeRaised(Misfit):
    """The type's own code has failed, and so cannot say whether the value fits. `__cause__` is its exception."""


class Completed(NamedTuple):
    """A value with its defaults written out, and the path of the first that was drawn: it differs from call to call."""

    value: Json
    path: str


class ValueType(Protocol):
    """The declared type of a machine's data or of an event's payload.

    `load` turns plain JSON into a fresh value of the type and `dump` the value back into canonical JSON (sets sorted),
    checked against the type. Both raise `Misfit`, whatever the type's own code raises.

    `completed` writes out the defaults that *given* leaves open, if one of them may differ from call to call: a random
    id, or the time. It is None for all other values. A host keeps what it returns, so that a step may run again.
    """

    @property
    def name(self) -> str: ...

    def load(self, stored: Json) -> object: ...

    def dump(self, value: object) -> Json: ...

    def completed(self, given: Json) -> Completed | None: ...

    def schema(self) -> dict[str, Json] | None: ...


@dataclass(frozen=True, slots=True)
class Location:
    """Where the author wrote something; `file` as Python reports it, `line` from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"
