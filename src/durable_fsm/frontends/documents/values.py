"""Values of a document's variables: plain JSON, and the few other things that expressions deal with.

A value without a form in JSON is stored as an object with one member that names its kind: `{"$xml": "<books/>"}`,
`{"$python": "lambda n: n + 1"}`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import ModuleType
from typing import Any, cast
from xml.etree import ElementTree as ET

from durable_fsm.core.codec import plain
from durable_fsm.core.values import Json, Misfit

SCXML = "http://www.w3.org/TR/scxml/#SCXMLEventProcessor"

XML, PYTHON, NAME = "$xml", "$python", "$name"


class Object(dict[str, Any]):  # Any: whatever expressions put there
    """A JSON object whose members are attributes, too: `_event.data.cents`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no '{name}'; there is {', '.join(self) or 'nothing'}") from None

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value


class Processor(str):
    """The name of the event processor, which has a short form, too."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other == "scxml" or str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class Code:
    """A function that is a value, together with the source it can be made from again."""

    def __init__(self, source: str, name: str = "") -> None:
        self.source = source
        self.name = name
        space: dict[str, Any] = {}
        if name:
            exec(source, space)  # noqa: S102 - only trusted documents come here
            self._function: Callable[..., object] = space[name]
        else:
            self._function = eval(source, space)  # noqa: S307 - as above

    def __call__(self, *arguments: Any, **named: Any) -> object:
        return self._function(*arguments, **named)


def stored(value: object) -> Json:
    """The value as plain JSON, which `revived` turns back.

    Raises:
        TypeError: there is none.
    """
    if isinstance(value, Code):
        return {PYTHON: value.source, NAME: value.name} if value.name else {PYTHON: value.source}
    if ET.iselement(value):
        return {XML: ET.tostring(value, encoding="unicode")}
    if isinstance(value, Mapping):
        members = cast("Mapping[object, object]", value)
        return {str(name): stored(member) for name, member in members.items()}
    if isinstance(value, list | tuple):
        return [stored(item) for item in cast("list[object]", value)]
    try:
        return plain(value)
    except TypeError:
        return stored(_attributes(value))


def _attributes(value: object) -> dict[str, object]:
    """The attributes of an object of a script's own class."""
    if isinstance(value, type | ModuleType) or callable(value) or not hasattr(value, "__dict__"):
        raise TypeError(f"a {type(value).__name__} has no form in JSON")
    return {name: member for name, member in vars(value).items() if not name.startswith("_")}


def revived(value: Json, *, trusted: bool) -> Any:
    """A fresh value from its stored form; functions only where the document is trusted."""
    if isinstance(value, dict):
        if value.keys() == {XML}:
            return ET.fromstring(str(value[XML]))
        if PYTHON in value and trusted:
            return Code(str(value[PYTHON]), str(value.get(NAME, "")))
        return Object({name: revived(member, trusted=trusted) for name, member in value.items()})
    if isinstance(value, list):
        return [revived(item, trusted=trusted) for item in value]
    return Processor(value) if value == SCXML else value


class Variables:
    """The `ValueType` of a document: its variables by name.

    Input for a machine sets variables before the document's own initial expressions would; names that the document does
    not declare are left out.
    """

    name = "variables"

    def __init__(self, declared: Collection[str], *, trusted: bool) -> None:
        self.declared = declared
        self.trusted = trusted

    def load(self, stored: Json) -> Object:
        if not isinstance(stored, dict):
            raise Misfit("expected an object")
        return Object({name: revived(value, trusted=self.trusted) for name, value in stored.items()})

    def dump(self, value: object) -> Json:
        try:
            return stored(value)
        except (TypeError, RecursionError) as error:
            raise Misfit(str(error)) from error

    def completed(self, given: Json) -> None:
        """Nothing: the initial expressions of a document are its first step."""

    def schema(self) -> dict[str, Json] | None:
        return {"type": "object", "properties": {name: {} for name in self.declared}}
