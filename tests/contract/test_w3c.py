"""The W3C's SCXML suite, run by our interpreter."""

from __future__ import annotations

import ast
import html
import re
import warnings

import pytest
import statemachine

from tests.contract.sources import VERSION
from tests.contract.w3c import EXCLUDED, HTTP, MISSING_STATE, NO_PYTHON, result, suite

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(its expressions are said to be in|is not Python|has nothing to remember|has no attribute)"
    ":durable_fsm.errors.DefinitionWarning"
)

FAILED_BY_THE_LIBRARY = ("test187", "test229", "test236", "test240", "test554")


def test_the_documents_are_those_of_the_installed_library() -> None:
    assert statemachine.__version__ == VERSION
    assert len(suite()) == 193


@pytest.mark.filterwarnings("ignore:.*which is not a state, was left out:UserWarning")
@pytest.mark.parametrize("quarter", range(4))
def test_every_document_that_is_not_excluded_passes(quarter: int) -> None:
    mine = [name for name in suite() if name not in EXCLUDED][quarter::4]

    results = {name: result(suite()[name]) for name in mine}

    assert len(mine) == 45
    assert {name: outcome for name, outcome in results.items() if outcome != "pass"} == {}


def test_the_mandatory_ones_that_the_library_fails_are_among_them() -> None:
    assert not EXCLUDED.keys() & set(FAILED_BY_THE_LIBRARY)
    assert suite().keys() >= set(FAILED_BY_THE_LIBRARY)


@pytest.mark.parametrize("name", EXCLUDED)
def test_an_excluded_document_cannot_pass(name: str) -> None:
    assert result(suite()[name]) != "pass"


@pytest.mark.parametrize("name", [name for name, reason in EXCLUDED.items() if reason == HTTP])
def test_a_document_excluded_for_http_speaks_of_it(name: str) -> None:
    assert "BasicHTTPEventProcessor" in suite()[name].read_text("utf-8-sig")


@pytest.mark.parametrize("name", [name for name, reason in EXCLUDED.items() if reason == NO_PYTHON])
def test_a_document_excluded_for_its_expressions_has_one_that_is_no_python(name: str) -> None:
    conditions = re.findall(r'cond="([^"]*)"', suite()[name].read_text("utf-8-sig"))

    assert not all(_is_python(html.unescape(condition)) for condition in conditions)


def test_only_one_document_is_read_leniently_and_it_says_why() -> None:
    with pytest.warns(UserWarning, match=r"a transition to 'subFinal1', which is not a state, was left out"):
        assert result(suite()[MISSING_STATE]) == "pass"


def _is_python(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        return False
    return True
