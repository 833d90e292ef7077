"""The core's `ValueType` for data and payloads, made from the types that authors declare."""

from __future__ import annotations

import logging
import math
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cached_property, partial
from typing import Any, cast

from pydantic import BaseModel, PydanticInvalidForJsonSchema, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from durable_fsm.core.author_code import ANYTHING, named, words_of
from durable_fsm.core.codec import MAX_DEPTH, TOO_DEEP, canonical, failure_from_json, failure_to_json, plain
from durable_fsm.core.events import Failure
from durable_fsm.core.values import Completed, Json, Misfit, TypeRaised, ValueType
from durable_fsm.frontends.checks.purity import faults
from durable_fsm.frontends.core_schemas import drawn_names, open_default

UNORDERED = ("set", "frozenset", "any")

MOST_QUESTIONS = 1_000
"""How often a type is asked where its code fails."""


class Typed:
    """A `ValueType` over anything pydantic validates: models, dataclasses, TypedDicts, plain types."""

    def __init__(self, declared: Any) -> None:
        self.declared = declared
        self._adapter: TypeAdapter[Any] = TypeAdapter(declared)
        self._validate = self._adapter.validator.validate_json
        self._written = partial(self._adapter.serializer.to_python, by_alias=True)
        self._unordered = _mentions(self._adapter.core_schema, UNORDERED)
        self._drawn = drawn_names(self._adapter.core_schema)

    @property
    def name(self) -> str:
        if self.declared in (None, type(None)):
            return "nothing"
        if isinstance(self.declared, type):
            return self.declared.__name__
        return re.sub(r"\b(?:\w+\.)+", "", str(self.declared))

    @property
    def core_schema(self) -> Any:  # Any: nodes of pydantic's own, which differ from type to type
        return self._adapter.core_schema

    def load(self, stored: Json) -> object:
        """A fresh value. Nothing at all counts as an empty object, where the type is one.

        Members are read under their aliases, and under the names of their fields.
        """
        if stored is None and self._takes_object:
            stored = {}
        try:
            text = to_json(stored)
        except PydanticSerializationError as error:
            raise Misfit(" ".join(str(error).split())) from error
        return self._checked(text, stored)

    def dump(self, value: object) -> Json:
        """The value as canonical JSON, under its aliases; it must come back as it is."""
        try:
            dumped = self._json_of(value)
            again = self._checked(_text_of(dumped), dumped)
            if again == value or (loss := loss_between(value, again)) is None:
                return dumped
            if (lost := loss_between(value, again, in_shape=True)) is not None:
                raise lost
            return self._settled(again, dumped, loss)
        except Misfit:
            raise
        except (PydanticSerializationError, ValueError, TypeError, AttributeError) as error:
            raise Misfit(" ".join(str(error).split())) from error
        except ANYTHING as error:
            raise TypeRaised(named(error)) from error

    def _read(self, text: bytes | str) -> object:
        return self._validate(text, by_alias=True, by_name=True)

    def _json_of(self, value: object) -> Json:
        dumped: Json = self._written(value, mode="json", warnings="error")
        return _sorted_like(self._written(value), dumped) if self._unordered else dumped

    def _settled(self, again: object, dumped: Json, loss: Misfit) -> Json:
        """The form in which validators leave a value that they change when it is read, such as a text that they strip.

        Raises:
            Misfit: no validator changed it. It was lost when it was written.
        """
        settled = self._json_of(again)
        if settled == dumped or self._json_of(self._checked(_text_of(settled), settled)) != settled:
            raise loss
        return settled

    def _checked(self, text: bytes | str, stored: Json) -> object:
        """The value of a JSON text; *stored* is the same in memory."""
        try:
            return self._read(text)
        except ANYTHING as error:
            raise self._misfit(error, stored) from error

    def _misfit(self, error: BaseException, stored: Json) -> Misfit:
        try:
            if isinstance(error, ValidationError):
                return _misfit(error)
        except ANYTHING as words_failed:  # it quotes exceptions of the author's, which may have no words
            error = words_failed
        return TypeRaised(named(error), _path_to_fault(self._read, stored, type(error)))

    def completed(self, given: Json) -> Completed | None:
        if not self._drawn:
            return None
        try:
            value = self.dump(self.load(given))
        except Misfit:  # the step will say so
            return None
        path = open_default(given, value, self._drawn)
        return None if path is None else Completed(value, path)

    def schema(self) -> dict[str, Json] | None:
        return self._schema

    @cached_property
    def _takes_object(self) -> bool:
        return _takes_object(self._schema)

    @cached_property  # what takes longest of a type, and a service needs it only when it is discovered
    def _schema(self) -> dict[str, Json] | None:
        try:
            return self._adapter.json_schema()
        except PydanticInvalidForJsonSchema:  # not every type that validates JSON has a JSON schema
            return None


def typed(declared: Any, what: str, problem: Callable[[str, str], None]) -> Typed | None:
    """The `ValueType` of a declared type; None after a problem that says *what* cannot be stored."""
    try:
        return Typed(declared)
    except PydanticUserError as error:
        reason = f"{what} cannot be stored as JSON: {error.message.splitlines()[0]}"
        problem(reason, "Use a pydantic model, a dataclass or plain types.")
        return None


class Plain:
    """A `ValueType` for a plain class: the attributes of an instance are stored, except for *services* and loggers."""

    def __init__(self, make: Callable[[], object], name: str, services: Collection[str] = ()) -> None:
        self.make = make
        self.name = name
        self.services = services

    @classmethod
    def of(cls, declared: type, services: Collection[str] = ()) -> Plain | None:
        """None if instances cannot be made without arguments, or have no attributes of their own."""
        try:
            native(data_of(cast("object", declared()), services))
        except ANYTHING:  # the author's own __init__
            return None
        return cls(declared, declared.__name__, services)

    def load(self, stored: Json) -> object:
        if not isinstance(stored, dict):
            raise Misfit("expected an object")
        try:
            value = self.make()
            vars(value).update(revived(stored))
        except ANYTHING as error:
            raise TypeRaised(named(error)) from error
        return value

    def dump(self, value: object) -> dict[str, Json]:
        kept = sorted(data_of(value, self.services).items())
        return {name: native(item, f"$.{name}") for name, item in kept}

    def completed(self, given: Json) -> Completed | None:
        if not isinstance(given, dict):
            return None
        left = [name for name in self._drawn if name not in given]
        return Completed({**self.dump(self.load({})), **given}, f"$.{left[0]}") if left else None

    @cached_property
    def _drawn(self) -> tuple[str, ...]:
        """The attributes that `__init__` sets, if it may set them to other values the next time."""
        try:
            first, second = self.dump(self.load({})), self.dump(self.load({}))
        except Misfit:  # creating a machine will tell
            return ()
        makers = (vars(cls).get("__init__") for cls in type(self.make()).__mro__)
        return tuple(first) if first != second or any(faults(maker) for maker in makers) else ()

    def schema(self) -> None:
        return None


def data_of(value: object, services: Collection[str]) -> dict[str, object]:
    """The attributes of an instance that are data."""
    return {name: item for name, item in vars(value).items() if not is_service(name, item, services)}


def is_service(name: str, value: object, services: Collection[str]) -> bool:
    """Whether an attribute is a declared service, or a logger."""
    return name in services or isinstance(value, logging.Logger | logging.LoggerAdapter)


def shared_by_copies(value: object, type_: ValueType) -> dict[int, object]:
    """The services among the attributes of data, in the form that keeps `deepcopy` from copying them."""
    inner = getattr(type_, "type", type_)  # of a type that hides secrets
    if not isinstance(inner, Plain):
        return {}
    return {id(item): item for name, item in vars(value).items() if is_service(name, item, inner.services)}


def _text_of(dumped: Json) -> bytes | str:
    """The JSON text of a value; raises where a number has none."""
    text = to_json(dumped)
    if b"NaN" in text or b"Infinity" in text:  # perhaps a number that JSON cannot express
        refuse_no_numbers(dumped)
    return text


def refuse_no_numbers(value: object, path: str = "$") -> None:
    """Refuse nan and infinity, wherever they are in plain values.

    Raises:
        Misfit: there is one; with its path.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise Misfit(f"{value} has no form in JSON", path)
    for step, member in _members(value):
        refuse_no_numbers(member, f"{path}{step}")


def loss_between(before: object, after: object, path: str = "$", *, in_shape: bool = False) -> Misfit | None:
    """The first difference between a value and the one that came back; None if there is none that can be seen.

    Args:
        in_shape: only types and members count; values may differ.
    """
    if before is after or before == after or _is_same_instant(before, after):
        return None
    if isinstance(before, float) and not math.isfinite(before):
        return Misfit(f"{before} has no form in JSON", path)
    if type(before) is not type(after):
        kind, found = type(before).__name__, type(after).__name__
        return Misfit(f"a {kind} would come back as a {found}; declare its type", path)
    members, others = dict(_members(before)), dict(_members(after))
    for step, member in members.items():
        if step in others:
            loss = loss_between(member, others[step], f"{path}{step}", in_shape=in_shape)
        else:
            is_member = not isinstance(before, list | tuple)
            loss = Misfit("it would be lost", f"{path}{step}") if is_member or not in_shape else None
        if loss is not None:
            return loss
    is_comparable = not members and type(before).__eq__ is not object.__eq__
    return Misfit("it would come back as another value", path) if is_comparable and not in_shape else None


def _is_same_instant(before: object, after: object) -> bool:
    """Python calls two equal instants different where a clock is put back, if their time zones are not one object."""
    if not (isinstance(before, datetime) and isinstance(after, datetime)) or before.utcoffset() is None:
        return False
    return before.astimezone(UTC) == after.astimezone(UTC)


def _members(value: object) -> Iterator[tuple[str, object]]:
    """The parts of a value, each with its step of a JSONPath."""
    if isinstance(value, BaseModel):
        private: dict[str, object] = value.__pydantic_private__ or {}
        for name, member in (*value, *private.items()):
            yield f".{name}", member
    elif is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield f".{one.name}", getattr(value, one.name)
    elif isinstance(value, Mapping):
        for name, member in cast("Mapping[object, object]", value).items():
            yield f".{name}" if isinstance(name, str) else f"[{name!r}]", member
    elif isinstance(value, list | tuple):
        for place, member in enumerate(cast("Iterable[object]", value)):
            yield f"[{place}]", member


def _takes_object(schema: dict[str, Json] | None) -> bool:
    """True if every value of the type is a JSON object."""
    if schema is None:
        return False
    reference = schema.get("$ref")
    if isinstance(reference, str):
        definitions = cast("dict[str, dict[str, Json]]", schema["$defs"])
        schema = definitions[reference.removeprefix("#/$defs/")]
    return schema.get("type") == "object"


def _misfit(error: ValidationError) -> Misfit:
    """The first finding of pydantic in our words, with the number of the others."""
    first, *others = error.errors(include_url=False)
    path = "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
    message = first["msg"]
    problem = message if message[1:2].isupper() else message[:1].lower() + message[1:]  # a URL keeps its capitals
    if others:
        problem += f" (and {len(others)} more)"
    return Misfit(problem, path)


def _path_to_fault(read: Callable[[bytes], object], stored: Json, kind: type[BaseException]) -> str:
    """The path of the member that makes the code of a type raise an exception of a *kind*, as exactly as it can be found.

    pydantic collects the refusals of all members, but an exception of another kind ends its work at once, and says nothing
    of where it was. So we ask for each member alone, then for each member of that.
    """
    left = MOST_QUESTIONS

    def raises(alone: Json) -> bool:
        nonlocal left
        left -= 1
        try:
            read(to_json(alone))
        except ANYTHING as error:
            return isinstance(error, kind)
        return False

    def path_in(value: Json, path: str, around: Callable[[Json], Json]) -> str:
        steps: Iterable[tuple[str, Json, Callable[[Json], Json]]] = ()
        if isinstance(value, dict):
            steps = ((f".{name}", value[name], partial(_object_of, around, name)) for name in value)
        elif isinstance(value, list):
            steps = ((f"[{place}]", item, partial(_list_of, around)) for place, item in enumerate(value))
        for step, member, around_member in steps:
            if left and raises(around_member(member)):
                return path_in(member, path + step, around_member)
        return path

    return path_in(stored, "$", lambda value: value)


def _object_of(around: Callable[[Json], Json], name: str, member: Json) -> Json:
    return around({name: member})


def _list_of(around: Callable[[Json], Json], item: Json) -> Json:
    return around([item])


def _mentions(schema: object, types: tuple[str, ...]) -> bool:
    """True if a core schema contains one of these types anywhere."""
    if isinstance(schema, Mapping):
        members = cast("Mapping[str, object]", schema)
        return members.get("type") in types or any(_mentions(member, types) for member in members.values())
    if isinstance(schema, list | tuple):
        return any(_mentions(member, types) for member in cast("list[object]", schema))
    return False


def _sorted_like(value: object, dumped: Json) -> Json:
    """*dumped* with every list sorted that was a set in *value*: sets have no order of their own."""
    if isinstance(value, set | frozenset) and isinstance(dumped, list):
        return sorted(dumped, key=canonical)
    if isinstance(value, Mapping) and isinstance(dumped, dict):
        members = list(cast("Mapping[object, object]", value).values())
        if len(members) == len(dumped):
            return {name: _sorted_like(item, dumped[name]) for name, item in zip(dumped, members, strict=True)}
    if isinstance(value, list | tuple) and isinstance(dumped, list):
        items = cast("list[object]", value)
        return [_sorted_like(item, out) for item, out in zip(items, dumped, strict=True)]
    return dumped


SET, TUPLE, FAILURE, MEMBER = "$set", "$tuple", "$failure", "$enum"


def native(value: object, path: str = "$", levels: int = MAX_DEPTH) -> Json:
    """Plain JSON that `revived` brings back: sets, tuples, failures and members of enumerations say what they are.

    Raises:
        Misfit: something in it needs a declared type to come back as it was.
    """
    kind = type(value).__name__
    if levels < 0:
        raise Misfit(TOO_DEEP, re.split(r"(?<=\w)[.\[]", path, maxsplit=1)[0])
    match value:
        case Enum():
            if member_at(name := f"{type(value).__module__}:{type(value).__qualname__}.{value.name}") is not value:
                raise Misfit(f"{kind} cannot be found by its name; define it at the top of its module", path)
            return {MEMBER: name}
        case None | bool() | int() | str() | float():
            if type(value) in (type(None), bool, int, str, float):
                refuse_no_numbers(value, path)
                return plain(value)
        case list():
            return _items(cast("list[object]", value), path, levels)
        case tuple() if kind == "tuple":
            return {TUPLE: _items(cast("tuple[object, ...]", value), path, levels)}
        case set():
            return {SET: sorted(_items(cast("set[object]", value), path, levels), key=canonical)}
        case Failure():
            return {FAILURE: cast("Json", failure_to_json(value))}
        case BaseException():
            return {FAILURE: {"type": kind, "message": words_of(value)}}
        case dict():
            members = cast("dict[object, object]", value)
            if all(isinstance(name, str) for name in members) and not members.keys() & {SET, TUPLE, FAILURE, MEMBER}:
                return {cast("str", name): native(item, f"{path}.{name}", levels - 1) for name, item in members.items()}
        case _:
            pass
    raise Misfit(f"a {kind} would not come back as it was; declare a data type for it", path)


def member_at(name: str) -> Enum | None:
    """The member `module:Class.NAME` of an enumeration, if its module is imported."""
    module, _, path = name.partition(":")
    found: object = sys.modules.get(module)
    for step in path.split("."):
        found = getattr(found, step, None)
    return found if isinstance(found, Enum) else None


def _items(values: Iterable[object], path: str, levels: int) -> list[Json]:
    return [native(item, f"{path}[{place}]", levels - 1) for place, item in enumerate(values)]


def revived(stored: Json) -> Any:  # Any: whatever was stored
    """The value that `native` was given; for an exception, its `Failure`."""
    if isinstance(stored, list):
        return [revived(item) for item in stored]
    if not isinstance(stored, dict):
        return stored
    if stored.keys() == {SET}:
        return set(revived(stored[SET]))
    if stored.keys() == {MEMBER}:
        member = member_at(str(stored[MEMBER]))
        if member is None:
            raise Misfit(f"there is no member {stored[MEMBER]} any more")
        return member
    if stored.keys() == {TUPLE}:
        return tuple(revived(stored[TUPLE]))
    if stored.keys() == {FAILURE}:
        return failure_from_json(cast("dict[str, Json]", stored[FAILURE]))
    return {name: revived(member) for name, member in stored.items()}
