"""Attributes of `self` in a class with a data type: refused at import where the source shows them."""

from __future__ import annotations

import inspect

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import DefinitionError, chart_from
from durable_fsm.errors import ActionError
from durable_fsm.testing import Rehearsal


class OrderData(BaseModel):
    total: int = 0


def test_attributes_of_self_are_refused_where_there_is_a_data_type() -> None:
    class Forgetful(StateChart[OrderData]):
        a = State(initial=True)
        go = a.to.itself()

        def on_go(self) -> None:
            self.count, other = 1, 2
            self.total: int = other
            self.count += len(self.name)

    with pytest.raises(DefinitionError) as caught:
        chart_from(Forgetful)

    found = sorted(
        ((problem.what, int(problem.place.rpartition(":")[2])) for problem in caught.value.problems),
        key=lambda one: one[1],
    )
    lines, line = inspect.getsourcelines(Forgetful)
    first = line + next(number for number, text in enumerate(lines) if "self.count, other" in text)
    assert found == [
        (f"{Forgetful.on_go.__qualname__} assigns self.count, which would be lost with its step.", first),
        (f"{Forgetful.on_go.__qualname__} assigns self.total, which would be lost with its step.", first + 1),
        (f"{Forgetful.on_go.__qualname__} assigns self.count, which would be lost with its step.", first + 2),
    ]


def test_attributes_of_self_are_refused_when_they_are_set_where_no_source_shows_it() -> None:
    class Forgetful(StateChart[OrderData]):
        a = State(initial=True)
        go = a.to.itself()

        def on_go(self) -> None:
            setattr(self, "count", 1)  # noqa: B010 - the source does not show it

    with pytest.raises(ActionError, match="make 'count' a field of the data"):
        Rehearsal(Forgetful).send("go")
