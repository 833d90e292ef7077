"""What python-statemachine's documentation shows, durable_fsm runs: the table of docs/ is made here and compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.documentation import EXPLAINED, Verdict, table, verdicts

PAGE = Path(__file__).parents[2] / "docs" / "python-statemachine-examples.md"
BEGIN, END = "<!-- verdicts -->\n", "\n<!-- /verdicts -->"

NOT_DURABLE = (
    "is a coroutine",
    "needs the library's engine",
    "which outside work does not get",
    "draws random",
    "cannot be stored as JSON",
)
"""What an example may be refused for when it is read."""


pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def found() -> list[Verdict]:
    return list(verdicts())


def test_at_least_85_percent_of_the_examples_run_with_the_same_result(found: list[Verdict]) -> None:
    run = [verdict for verdict in found if verdict.kind != "read"]
    same = [verdict for verdict in run if verdict.kind == "same"]

    assert len(run) > 150
    assert len(same) / len(run) >= 0.85, f"{len(same)} of {len(run)}"


def test_every_example_that_is_refused_does_what_cannot_be_durable(found: list[Verdict]) -> None:
    refused = [verdict for verdict in found if verdict.kind == "refused"]

    assert [verdict for verdict in refused if not any(reason in verdict.why for reason in NOT_DURABLE)] == []


def test_every_example_that_runs_differently_is_explained(found: list[Verdict]) -> None:
    assert {(verdict.page, verdict.name) for verdict in found if verdict.kind == "differs"} == EXPLAINED.keys()


def test_the_table_in_the_docs_is_the_one_that_comes_out(found: list[Verdict]) -> None:
    """To write it anew: `python -m tests.contract.documentation`."""
    _, begin, rest = PAGE.read_text("utf-8").partition(BEGIN)
    written, end, _ = rest.partition(END)

    assert (begin, end) == (BEGIN, END)
    assert written == table(found)
