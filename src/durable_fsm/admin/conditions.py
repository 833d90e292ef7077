"""State of the server about a machine beside its snapshot: parked deliveries, a blocked key, activities that fail."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from durable_fsm.admin.client import Admin, literal
from durable_fsm.admin.readings import Row
from durable_fsm.restate.names import Handler, StateKey, answers_name
from durable_fsm.restate.stored.deliveries import ParkedDelivery, read_parked
from durable_fsm.restate.stored.failing import FailingStep
from durable_fsm.restate.stored.letters import read_all
from durable_fsm.restate.stored.snapshot import read_handles
from durable_fsm.restate.stored.waiters import read_waiters

SHARED = (Handler.SNAPSHOT, Handler.HISTORY, Handler.WAIT_FOR, Handler.CANCEL, Handler.CANCEL_LATER, Handler.HALT)
"""Handlers that do not hold the key of their machine."""


@dataclass(frozen=True)
class Beside:
    """State of the server about machines beside their snapshots, by key.

    Attributes:
        parked: number of deliveries that wait for a deployment that can take them.
        listed: those of them that machines list, with the reason of each; some may have been processed since.
        stuck: why the invocation that holds a key is backing off or paused.
        failing: steps of activities that fail; those of machines that have ended may still be among them.
    """

    parked: Mapping[str, int] = field(default_factory=dict[str, int])
    listed: Mapping[str, tuple[ParkedDelivery, ...]] = field(default_factory=dict[str, tuple[ParkedDelivery, ...]])
    stuck: Mapping[str, str] = field(default_factory=dict[str, str])
    failing: Mapping[str, list[FailingStep]] = field(default_factory=dict[str, list[FailingStep]])

    @classmethod
    def of_all(cls, admin: Admin, chart: str) -> Beside:
        """Of every machine of a chart: four scans, however many machines there are."""
        of_chart = f"service_name = {literal(chart)}"
        listed = admin.query(
            f"SELECT service_key, value_utf8 FROM state WHERE {of_chart} AND key = '{StateKey.PARKED}'"
        )
        return cls(_parked(admin, chart), listed_in(listed), _stuck(admin, chart), failing_steps(admin, chart))

    @classmethod
    def of_keys(cls, admin: Admin, chart: str, keys: Collection[str], listed: Iterable[Row]) -> Beside:
        """Of a few machines, without a scan; *listed* are the rows of their parked deliveries."""
        found = listed_in(listed)
        many = {key: len(deliveries) for key, deliveries in found.items()}
        return cls(many, found, stuck_at(admin, chart, keys), _failing_at(admin, chart, keys))


def texts(values: Iterable[str]) -> str:
    """The values as a list of SQL."""
    return f"({', '.join(map(literal, values))})"


def listed_in(rows: Iterable[Row]) -> dict[str, tuple[ParkedDelivery, ...]]:
    """The parked deliveries that machines list, by key."""
    found: dict[str, tuple[ParkedDelivery, ...]] = {}
    for row in rows:
        with suppress(LookupError, AttributeError, ValueError, RecursionError):  # `unreadable_values` tells that
            found[row["service_key"]] = tuple(read_parked(row["value_utf8"].encode()).values())
    return found


def failing_steps(admin: Admin, chart: str) -> dict[str, list[FailingStep]]:
    """The steps that fail, by key of the machine; that of one that has ended may still be among them."""
    return _failing_in(
        admin.query(
            f"SELECT service_key, value_utf8 FROM state WHERE service_name = {literal(answers_name(chart))}"
            f" AND key LIKE '{StateKey.FAILING} %' ORDER BY service_key, key"
        )
    )


def _failing_at(admin: Admin, chart: str, keys: Collection[str]) -> dict[str, list[FailingStep]]:
    return _failing_in(
        admin.query(
            f"SELECT service_key, value_utf8 FROM state WHERE service_name = {literal(answers_name(chart))}"
            f" AND service_key IN {texts(keys)} AND scope IS NULL"
            f" AND key LIKE '{StateKey.FAILING} %' ORDER BY service_key, key"
        )
    )


def _failing_in(rows: Iterable[Row]) -> dict[str, list[FailingStep]]:
    found: dict[str, list[FailingStep]] = {}
    for row in rows:
        with suppress(LookupError, AttributeError, ValueError, RecursionError):  # of another build, or not ours
            found.setdefault(row["service_key"], []).append(FailingStep.decode(row["value_utf8"].encode()))
    return found


def _parked(admin: Admin, chart: str) -> dict[str, int]:
    rows = admin.query(
        "SELECT target_service_key, count(*) AS parked FROM sys_invocation WHERE status = 'scheduled'"
        f" AND target_service_name = {literal(chart)} AND target_handler_name = '{Handler.PARKED}'"
        " GROUP BY target_service_key"
    )
    return {row["target_service_key"]: int(row["parked"]) for row in rows}


STUCK = (
    "SELECT target_service_key, target_handler_name, status, last_failure FROM sys_invocation"
    f" WHERE status IN ('backing-off', 'paused') AND target_handler_name NOT IN {texts(SHARED)}"
)


def _stuck(admin: Admin, chart: str) -> dict[str, str]:
    return _stuck_in(admin.query(f"{STUCK} AND target_service_name = {literal(chart)}"))


def stuck_at(admin: Admin, chart: str, keys: Collection[str]) -> dict[str, str]:
    """Why the invocation that holds a key is backing off or paused, by key, without a scan."""
    holders = admin.query(
        f"SELECT invocation_id FROM sys_keyed_service_status WHERE service_name = {literal(chart)}"
        f" AND service_key IN {texts(keys)}"
    )
    ids = [row["invocation_id"] for row in holders if row.get("invocation_id")]
    return _stuck_in(admin.query(f"{STUCK} AND id IN {texts(ids)}")) if ids else {}


def _stuck_in(rows: Iterable[Row]) -> dict[str, str]:
    return {
        row["target_service_key"]: f"{row['target_handler_name']} is {row['status']}: {row.get('last_failure') or '?'}"
        for row in rows
    }


# ── what this program cannot read ─────────────────────────────────────────────────────────────────────────────────────

READERS: Mapping[str, Callable[[bytes], object]] = {
    StateKey.HANDLES: read_handles,
    StateKey.PARKED: read_parked,
    StateKey.WAITERS: read_waiters,
    StateKey.LETTERS: read_all,
}


def unreadable_values(admin: Admin, chart: str) -> Iterator[tuple[str, str, str]]:
    """Key, name and problem of each value beside a machine that this program cannot read."""
    rows = admin.stream(
        f"SELECT service_key, key, value_utf8 FROM state WHERE service_name = {literal(chart)}"
        f" AND key IN {texts(READERS)}"
    )
    found: list[tuple[str, str, str]] = []
    for row in rows:
        text = row.get("value_utf8")
        try:
            if text is None:
                raise ValueError("it is not UTF-8")
            READERS[row["key"]](text.encode())
        except (ValueError, RecursionError) as error:
            found.append((row["service_key"], row["key"], f"{error}."))
    yield from sorted(found)
