"""Exceptions travel between processes: test runners and process pools pickle them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any

import pytest

from durable_fsm import errors
from durable_fsm.core.events import Failure
from durable_fsm.errors import DurableFSMError
from durable_fsm.restate.activities.failures import Failed
from tests.errors.samples import HERE, SAMPLES, tree


class CardDeclined(errors.TerminalError):
    """As authors write them: a class of their own, without a decorator."""

    def __init__(self, card: str) -> None:
        super().__init__(f"card {card} was declined", code=402)
        self.card = card


RAISED = (*SAMPLES, errors.EventError(**HERE), CardDeclined("4242"), Failed(Failure("Declined", "no", 402)))


def pickled(error: DurableFSMError, protocol: int) -> Any:
    return pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - it was written in the same line


WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "oldest pickle": partial(pickled, protocol=0),
    "newest pickle": partial(pickled, protocol=pickle.HIGHEST_PROTOCOL),
}


def facts_of(error: DurableFSMError) -> tuple[object, ...]:
    said = "" if type(error) is errors.EventError else str(error)  # a base has no message
    return type(error), said, vars(error), error.args


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("copied", WAYS.values(), ids=WAYS)
def test_a_copy_has_the_facts_and_the_message_of_the_original(
    copied: Callable[[DurableFSMError], DurableFSMError], error: DurableFSMError
) -> None:
    other = copied(error)

    assert other is not error
    assert facts_of(other) == facts_of(error)


def test_a_copy_of_an_error_that_was_raised_keeps_its_notes_and_not_its_cause() -> None:
    try:
        raise errors.ActionError(**HERE, event="pay", callback="on_pay", problem="no.") from KeyError("total")
    except errors.ActionError as error:
        error.add_note("while it was tested")
        raised = error

    other = pickled(raised, pickle.HIGHEST_PROTOCOL)

    assert (other.__notes__, other.__cause__) == (["while it was tested"], None)
    assert facts_of(other) == facts_of(raised)


def test_a_key_can_be_added_to_a_copy_alone() -> None:
    error = errors.Gone(chart="Order")

    other = copy.copy(error)
    other.key = "o-17"

    assert (str(error)[:6], str(other)[:11]) == ("Order:", "Order/o-17:")


def test_an_error_that_holds_itself_can_be_shown() -> None:
    facts: dict[str, object] = {}
    error = errors.TerminalError("declined", metadata=facts)
    facts["error"] = error

    assert repr(error) == "<TerminalError declined>"
    assert repr(copy.deepcopy(error)) == "<TerminalError declined>"


@pytest.mark.parametrize("kind", [*tree()], ids=lambda kind: kind.__name__)
def test_facts_are_named_where_an_error_is_made(kind: type[DurableFSMError]) -> None:
    positional = [fact.name for fact in fields(kind) if fact.init and not fact.kw_only]

    assert positional == (["message"] if kind is errors.TerminalError else [])


def test_two_errors_of_the_same_facts_are_not_the_same_error() -> None:
    one, other = errors.Gone(**HERE), errors.Gone(**HERE)

    assert one != other
    assert len({one, other}) == 2


def test_an_unknown_fact_is_refused() -> None:
    wrong: Any = errors.Gone

    with pytest.raises(TypeError, match="colour"):
        wrong(**HERE, colour="red")
