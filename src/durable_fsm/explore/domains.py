"""The values that events, results and the input of a machine take while a chart is explored."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, NotRequired, cast, get_type_hints, is_typeddict

from pydantic import PydanticUserError
from typing_extensions import TypedDict

from durable_fsm.core.chart import Activity, Chart
from durable_fsm.core.codec import canonical, milliseconds, plain
from durable_fsm.core.events import Failure
from durable_fsm.core.values import Json, Misfit, ValueType
from durable_fsm.errors import quoted
from durable_fsm.explore.samples import Samples, distinct
from durable_fsm.frontends.values import Typed

CREATE = "create"
"""The target of a domain for the input with which a machine is created."""


class BadProofs(ValueError):
    """A proofs file says something that cannot be meant. `code` is the exit code of the command line."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the code when another process raises this."""
        return type(self), (str(self), self.code)


@dataclass(frozen=True)
class Domain:
    """The values that one event, result or input takes; `domain` makes it."""

    target: object
    values: tuple[object, ...]
    errors: tuple[Failure, ...] = ()


def domain(target: object, *values: object, errors: Iterable[Failure] = ()) -> Domain:
    """Say which values an event, an activity or `"create"` takes, in place of those made from its type.

        domain(Order.refund, {}, {"cents": 50})
        domain("charging", {"receipt": "c"}, {"challenge": "q"}, errors=[Failure("Declined", "no money", 402)])
        domain(Signup.click, lambda m: {"secret": m.data.secret}, {"secret": "wrong"})

    Args:
        target: An event, by its attribute or its name; an activity or a child machine, by its id; or `"create"`.
        values: Payloads or results. A function receives the machine as properties do, and returns the value.
        errors: The failures of an activity or a child machine.
    """
    return Domain(target, values, tuple(errors))


class Domains:
    """The domains of a chart: those that were declared, and samples of the types for the others.

    Attributes:
        unsampled: events for whose payload no sample was found; they are not sent.
        untyped: activities of whose results nothing is known; they return null.
        made: texts of samples, which mean nothing by themselves.
        clock_ms: how far the clock may move before a move, beside not at all.
    """

    def __init__(self, chart: Chart, declared: Sequence[Domain] = (), clock: Sequence[timedelta] = ()) -> None:
        self.chart = chart
        self.clock_ms = [milliseconds(one) for one in clock if one]
        self._samples = Samples()
        self._values: dict[str, tuple[object, ...]] = {}
        self._errors: dict[str, tuple[Failure, ...]] = {}
        self.unsampled: list[str] = []
        self.untyped: list[str] = []
        self._all = list(declared)
        for one in declared:
            if knows(chart, one.target) or not any(knows(inner, one.target) for inner in charts_inside(chart)):
                self._declare(one)
        self.declared = frozenset(self._values)
        for name, event in chart.events.items():
            if name not in self._values and event.payload is not None and not name.startswith(("done.", "error.")):
                self._values[name] = self._sampled(event.payload, name)
                if not self._values[name]:
                    self.unsampled.append(name)
        self._values.setdefault(CREATE, self._inputs())
        for activity in chart.activities.values():
            self._values.setdefault(activity.id, self._results(activity))
        for child in self._children:
            output = chart.events.get(f"done.invoke.{child}")
            if output is not None and output.payload is not None:
                self._values.setdefault(child, self._sampled(output.payload, child) or (None,))
        messages = {f"activity '{id}' failed" for id in chart.activities}
        explicit = {text for name in self.declared for one in self._values[name] for text in texts_in(one)}
        self.made = frozenset({*self._samples.made, *messages}) - explicit

    @property
    def _children(self) -> list[str]:
        """Ids of the child machines that are known beforehand."""
        return [child.id for state in self.chart.states.values() for child in state.machines if child.id]

    def inside(self, chart: Chart) -> Domains:
        """The domains of a chart whose machines run inside: those that were declared for something of it."""
        return Domains(chart, [one for one in self._all if knows(chart, one.target)])

    def payloads(self, event: str) -> tuple[object, ...]:
        """The payloads of an event; one that declares no type has none."""
        return self._values.get(event, (None,))

    def results(self, id: str) -> tuple[object, ...]:
        """The results of an activity or a child."""
        return self._values.get(id, (None,))

    def failures(self, id: str) -> tuple[Failure, ...]:
        """The failures of an activity or a child."""
        return self._errors.get(id) or (Failure("TerminalError", f"activity '{id}' failed"),)

    @property
    def inputs(self) -> tuple[object, ...]:
        """The data with which a machine is created."""
        return self._values[CREATE]

    def _declare(self, one: Domain) -> None:
        name = one.target if isinstance(one.target, str) else str(getattr(one.target, "id", one.target))
        known = [CREATE, *self.chart.events, *self.chart.activities, *self._children]
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else f" It has: {quoted(known)}."
            raise BadProofs(f"domain('{name}', …): {self.chart.name} has no event or activity of this name.{hint}")
        for value in one.values:
            if not callable(value):
                self.check(name, plain(value))
            elif name == CREATE:
                raise BadProofs(f"domain('{CREATE}', …): there is no machine yet, so a value cannot be a function.")
        values = one.values or self._values.get(name, ())
        if values:
            self._values[name] = tuple(value if callable(value) else plain(value) for value in values)
        if one.errors:
            self._errors[name] = one.errors

    def check(self, name: str, value: Json) -> None:
        """Refuse a value that does not fit.

        Raises:
            BadProofs: It does not; with the path of the misfit.
        """
        declared = self.chart.events.get(name)
        type_ = self.chart.data if name == CREATE else declared.payload if declared is not None else None
        type_ = type_ or self._result_type(name)
        if type_ is None:
            return
        try:
            type_.load(value)
        except Misfit as error:
            found = f"{canonical(value)} does not fit {type_.name}: {error.problem} at {error.path}"
            raise BadProofs(f"domain('{name}', …): {found}.") from error

    def _sampled(self, type_: ValueType, name: str) -> tuple[Json, ...]:
        """The samples that fit the type; what a schema does not say, the type may still refuse."""
        return tuple(one for one in self._samples.of(type_.schema(), name) if fits(type_, one))

    def _inputs(self) -> tuple[Json, ...]:
        if begins_with(self.chart.data, {}):
            return ({},)
        schema = self.chart.data.schema()
        samples = [*self._samples.of(schema, "data"), *self._samples.full(schema, "data")]
        found = [one for one in samples if begins_with(self.chart.data, one)]
        if not found:
            raise BadProofs(
                f"{self.chart.name} cannot begin: its data has no defaults, and no value was found for it."
                f" Name one: domain('{CREATE}', {{…}})."
            )
        return tuple(found[:1])

    def _results(self, activity: Activity) -> tuple[Json, ...]:
        type_ = self._result_type(activity.id)
        found: tuple[Json, ...] = (None,)
        if type_ is not None:
            found = self._sampled(type_, activity.id) or found
        elif activity.undoes is None and not returns_nothing(activity.run):
            self.untyped.append(activity.id)
        if activity.each is not None:
            return tuple(distinct([one] for one in found[:2]))
        return found

    def _result_type(self, id: str) -> ValueType | None:
        declared = self.chart.events.get(f"done.invoke.{id}")
        if declared is not None and declared.payload is not None:
            return declared.payload
        activity = self.chart.activities.get(id)
        # Of a child, only a declared event says what its output is.
        return None if activity is None or activity.undoes is not None else type_of_result(activity.run)


def charts_inside(chart: Chart) -> list[Chart]:
    """The charts of the machines that run inside, as far as they are known beforehand."""
    found: dict[str, Chart] = {}
    pending = [chart]
    while pending:
        for state in pending.pop().states.values():
            for child in state.machines:
                if child.chart is not None and child.chart.name not in found:
                    found[child.chart.name] = child.chart
                    pending.append(child.chart)
    return list(found.values())


def knows(chart: Chart, target: object) -> bool:
    """Whether a domain can be about something of this chart, other than its input."""
    name = target if isinstance(target, str) else str(getattr(target, "id", target))
    children = {child.id for state in chart.states.values() for child in state.machines}
    return name in chart.events or name in chart.activities or name in children


def fits(type_: ValueType, value: Json) -> bool:
    """Whether a value is one of the type."""
    try:
        type_.load(value)
    except Misfit:
        return False
    return True


def begins_with(type_: ValueType, value: Json) -> bool:
    """Whether a machine can begin with this data: defaults of a type need not fit it."""
    try:
        type_.dump(type_.load(value))
    except Misfit:
        return False
    return True


def returns_nothing(function: Callable[..., Any]) -> bool:  # Any: the author's function
    """Whether a function says that it returns None."""
    while isinstance(function, partial):
        function = function.func
    try:
        return get_type_hints(function).get("return", Any) in (None, type(None))
    except (NameError, TypeError):
        return False


def type_of_result(function: Callable[..., Any]) -> Typed | None:  # Any: the author's function
    """The type that a function says it returns; None if it says nothing, or nothing that JSON can express."""
    while isinstance(function, partial):
        function = function.func
    try:
        declared: object = get_type_hints(function).get("return")
        if is_typeddict(declared):
            declared = _of_extensions(cast("Any", declared))
        return None if declared in (None, type(None), Any, object) else Typed(declared)
    except (NameError, TypeError, PydanticUserError):
        return None


def _of_extensions(declared: Any) -> object:  # Any: a TypedDict
    """The same dictionary in the form that pydantic reads under Python 3.11, too."""
    members = {
        name: type_ if name in declared.__required_keys__ else NotRequired[type_]
        for name, type_ in get_type_hints(declared).items()
    }
    make: Any = TypedDict  # Any: its checkers want a literal name
    made: object = make(declared.__name__, members)
    return made


def texts_in(value: object) -> Iterable[str]:
    """Every text in a plain value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, member in cast("Mapping[str, object]", value).items():
            yield name
            yield from texts_in(member)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from texts_in(item)
