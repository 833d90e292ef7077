"""The longest tests begin first, each in a process of its own."""

from __future__ import annotations

import pytest

from tests.ordering import dealt


def test_each_process_begins_with_one_of_the_longest_tests() -> None:
    assert dealt("AB", "abcdefgh", workers=2) == list("AabcdBefgh")
    assert dealt("AB", "abcdefgh", workers=3) == list("AabBcdefgh")


@pytest.mark.parametrize("workers", range(1, 6))
@pytest.mark.parametrize("first", ["", "A", "ABCDEF"])
@pytest.mark.parametrize("rest", ["", "a", "abcdefg"])
def test_no_test_is_lost_or_run_twice(first: str, rest: str, workers: int) -> None:
    assert sorted(dealt(first, rest, workers)) == sorted(first + rest)


def test_one_process_runs_all_of_them_first() -> None:
    assert dealt("AB", "abc", workers=1) == list("ABabc")
