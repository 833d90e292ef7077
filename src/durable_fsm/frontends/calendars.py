"""Calendars of timers: cron expressions in a time zone, right across changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from durable_fsm.core.calendar import Calendar
from durable_fsm.core.calls import checked
from durable_fsm.core.chart import Callback, Missed, Timer
from durable_fsm.core.scope import Scope


@checked
def cron(schedule: str, *, tz: str = "UTC") -> Calendar:
    """Return the instants of a cron expression: `every(cron("0 9 * * mon-fri", tz="Europe/Berlin"), …)`.

    When the clocks go forward, an instant that does not exist fires right after the change. When they go back, an
    instant that exists twice fires once. Expressions that fire several times an hour follow elapsed time.

    Args:
        schedule: minute, hour, day of the month, month and day of the week, as for cron on Debian; `mon-fri`, `*/15` and
            `L`, the last day, are understood.
        tz: the name of a time zone, such as `Europe/Berlin`.

    Raises:
        ValueError: the schedule cannot be read, or there is no such time zone.
    """
    if len(schedule.split()) != 5:
        raise ValueError(f"cron('{schedule}') needs five parts: minute, hour, day of the month, month, day of the week")
    try:
        zone = ZoneInfo(tz)
    except (ValueError, LookupError, OSError) as error:
        raise ValueError(f"there is no time zone '{tz}'; write one such as Europe/Berlin") from error

    def following(moment: datetime) -> datetime:
        return next(CronSim(schedule, moment.astimezone(zone))).astimezone(UTC)

    try:
        following(datetime(2030, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(f"cron('{schedule}') cannot be read: {error}") from error
    except StopIteration:
        raise ValueError(f"cron('{schedule}') never comes") from None
    return Calendar(schedule, tz, following)


def calendar_timer(event: str, calendar: Calendar, *, recurring: bool, missed: Missed = Missed.ONCE) -> Timer:
    """The timer of a calendar. Its instants count from the time of the turn, which its chart reads."""

    def when(scope: Scope) -> datetime:
        assert scope.at is not None  # `Chart.reads_clock`
        return calendar.next(scope.at)

    named = Callback(str(calendar), when)
    return Timer(event, when=named, recurring=recurring, instant=not recurring, calendar=calendar, missed=missed)
