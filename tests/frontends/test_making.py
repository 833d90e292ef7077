"""Where an author's class fails while a definition is read."""

from __future__ import annotations

import json

import pytest

from durable_fsm.frontends.making import CannotMake, made


def test_the_place_is_the_authors_line_and_not_one_of_pythons_own() -> None:
    class Careless:
        def __init__(self) -> None:
            json.loads("{")

    with pytest.raises(CannotMake) as failed:
        made(Careless)

    what, _, place = failed.value.found
    assert what.startswith("Careless() fails: JSONDecodeError: ")
    assert place is not None
    assert (place.file, place.line) == (__file__, Careless.__init__.__code__.co_firstlineno + 1)
