"""Durations and instants that come from data or a payload have bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from durable_fsm.core.durations import LATEST, LONGEST_DELAY, bounded, instant_in_utc, instant_of

WEST = timezone(timedelta(hours=-11))
EAST = timezone(timedelta(hours=11))


def test_a_duration_within_a_hundred_years_is_taken() -> None:
    assert bounded(LONGEST_DELAY, "x") == LONGEST_DELAY
    assert bounded(-timedelta.resolution, "x") == -timedelta.resolution


def test_a_longer_one_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^x is 999999999 days, longer than any timer can be; use 36525 or less$"):
        bounded(timedelta.max, "x")


def test_an_instant_is_taken_in_utc() -> None:
    assert instant_in_utc(datetime(2030, 1, 1, tzinfo=WEST), "x") == datetime(2030, 1, 1, 11, tzinfo=UTC)
    assert instant_in_utc(LATEST, "x") == LATEST
    assert instant_in_utc(datetime.min.replace(tzinfo=EAST), "x") == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "problem"),
    [
        (datetime(2030, 1, 1), "an instant needs a time zone"),  # noqa: DTZ001 - that is the mistake
        (LATEST + timedelta.resolution, "x is 9999-01-01, later than any timer can be; use 9999-01-01 or earlier"),
        (datetime.max.replace(tzinfo=WEST), "x is 9999-12-31, later than any timer can be"),
    ],
)
def test_an_instant_without_a_zone_or_too_late_is_refused(at: datetime, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        instant_in_utc(at, "x")


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        (8 * 10**15, LATEST),
        (10**40, LATEST),
    ],
)
def test_an_instant_without_a_date_is_the_last_one(milliseconds: int, expected: datetime) -> None:
    assert instant_of(milliseconds) == expected
