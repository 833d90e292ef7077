"""Running the author's code: guards, validators and actions, and what becomes of their exceptions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from durable_fsm.core.author_code import ANYTHING, metadata_of, named, words_of
from durable_fsm.core.chart import Callback, Guard, State, Transition
from durable_fsm.core.codec import SCALARS, plain
from durable_fsm.core.events import ERROR, FROM_OUTSIDE, Event, Failure, Origin
from durable_fsm.core.scope import Scope
from durable_fsm.core.values import Json
from durable_fsm.core.working import Working

T = TypeVar("T")


class Refused(Exception):
    """A validator does not let an event from outside in; the text is its reason."""


def at_transition(scope: Scope, transition: Transition) -> None:
    """The next callbacks belong to *transition*."""
    scope.transition = transition
    scope.source = transition.source
    scope.target = transition.targets[0] if transition.targets else None
    scope.state = scope.chart.states[transition.source]


def at_exit(scope: Scope, state: State, transition: Transition) -> None:
    """The next callbacks are the exit actions of *state*, which *transition* leaves."""
    at_transition(scope, transition)
    scope.source = state.id
    scope.state = state


def at_entry(scope: Scope, state: State, transition: Transition) -> None:
    """The next callbacks are the entry actions of *state*, to which *transition* leads."""
    at_transition(scope, transition)
    scope.target = state.id
    scope.state = state


def attempt(machine: Working, callback: Callback, read: Callable[[object], T]) -> T | None:
    """Run a callback and *read* its result; None if either raises, which becomes `error.execution`."""
    try:
        return read(callback.call(machine.scope))
    except ANYTHING as error:
        _failed(machine, callback, error)
        return None


def succeeds(machine: Working, callback: Callback) -> bool:
    """Run a callback for its effect; False if it raises."""
    return attempt(machine, callback, _succeeded) is True


def execute(machine: Working, callbacks: Iterable[Callback]) -> None:
    """Run the callbacks in order. One that raises does not keep the next from running."""
    for callback in callbacks:
        attempt(machine, callback, _succeeded)


def values(machine: Working, callbacks: Iterable[Callback]) -> list[Json]:
    """Run the callbacks in order; what they return, without None."""
    found = [attempt(machine, callback, _plain) for callback in callbacks]
    return [value for value in found if value is not None]


def passes(machine: Working, transition: Transition) -> bool:
    """Whether the validators and guards of a transition let it be taken."""
    at_transition(machine.scope, transition)
    if not all(_admits(machine, validator) for validator in transition.validators):
        return False
    return all(_says_yes(machine, guard) for guard in transition.guards)


def _admits(machine: Working, validator: Callback) -> bool:
    """Whether a validator does not object. Its exception rejects an event from outside that has done nothing yet."""
    if machine.event.origin not in FROM_OUTSIDE or machine.trace:
        return succeeds(machine, validator)
    try:
        validator.call(machine.scope)
    except ANYTHING as error:
        raise Refused(_reason(error)) from error
    return True


def _says_yes(machine: Working, guard: Guard) -> bool:
    answer = attempt(machine, guard, bool)
    if answer is guard.negated:
        machine.refusals[guard.label] = None
    return answer is (not guard.negated)


def _plain(value: object) -> Json:
    return value if isinstance(value, str | int | None) and type(value) in SCALARS else plain(value)


def _succeeded(_: object) -> bool:
    return True


def _failed(machine: Working, callback: Callback, error: BaseException) -> None:
    message, metadata = _ended(named(error)), metadata_of(error)
    failure = Failure(type(error).__name__, message, metadata=metadata, source=callback.name)
    failed = machine.action_error(callback.name, message)
    if not machine.chart.policies.catch_errors:
        raise failed from error
    failed.__cause__ = error
    machine.caught.append(failed)
    machine.enqueue(Event(ERROR, failure, Origin.INTERNAL, cause=error))


def _reason(error: BaseException) -> str:
    """`Too few.`: the exception's words as a sentence of their own."""
    words = words_of(error) or type(error).__name__
    return _ended(words[:1].upper() + words[1:])


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
