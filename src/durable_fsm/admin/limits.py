"""Limits as the server stores them: records that cannot be read, and the slots of the activities of a machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from durable_fsm.admin.charts import chart_of
from durable_fsm.admin.client import Admin, AdminRefused, UnknownChart, literal
from durable_fsm.admin.conditions import texts
from durable_fsm.admin.problems import Diagnosis
from durable_fsm.core.limits import Limit
from durable_fsm.core.values import Json
from durable_fsm.restate.names import LIMITS, NAMED_LIMITS, StateKey, limits_name
from durable_fsm.restate.stored.limits import PLACE, RUN, LimitState, QueuedRun, place_in, slot_status
from durable_fsm.restate.stored.snapshot import read_handles

OURS = f"service_name LIKE '%{LIMITS}'"

REMEDY = "nothing: the next run of the limit that begins, ends or asks again restores it, within an hour"


def unreadable_limits(admin: Admin) -> Iterator[Diagnosis]:
    """A finding for each record of a limit that nothing can read."""
    rows = admin.query(
        f"SELECT service_name, service_key, key, value_utf8 FROM state WHERE {OURS}"
        f" AND (key = '{StateKey.GATE}' OR key LIKE '{RUN}%' OR key LIKE '{PLACE}%')"
        " ORDER BY service_name, service_key, key"
    )
    for row in rows:
        try:
            _read(row["key"], row.get("value_utf8"))
        except (ValueError, RecursionError) as error:
            place = f"{row['service_name']}/{row['service_key']}"
            yield Diagnosis("unreadable", f"{place}: its '{row['key']}' cannot be read: {error}.", REMEDY)


def _read(name: str, text: str | None) -> None:
    """Read a record of a limit.

    Raises:
        ValueError: it cannot be read.
    """
    if text is None:
        raise ValueError("it is not UTF-8")
    stored = text.encode()
    if name == StateKey.GATE:
        LimitState.read(stored)
    elif name.startswith(PLACE) or place_in(stored) is None:
        QueuedRun.decode(stored)


def _limits_of(admin: Admin, chart: str) -> list[tuple[str, str]] | None:
    """Service and key of each limit of a chart's activities; None if the server does not know the chart."""
    try:
        carried = chart_of(admin, chart)
    except (AdminRefused, UnknownChart):
        return None
    found: list[tuple[str, str]] = []
    for activity in carried.activities.values():
        if isinstance(activity.limit, Limit):
            found.append((NAMED_LIMITS, activity.limit.name))
        elif activity.limit is not None:
            found.append((limits_name(carried), activity.id))
    return found


def _among(limits: list[tuple[str, str]]) -> str:
    services, keys = (dict.fromkeys(names) for names in zip(*limits, strict=True))
    return f"service_name IN {texts(services)} AND service_key IN {texts(keys)}"


def slots_of(admin: Admin, chart: str, key: str) -> dict[str, Json]:
    """By token, the limit of each activity of a machine, and whether it waits for a slot."""
    rows = admin.query(
        f"SELECT value_utf8 FROM state WHERE service_name = {literal(chart)} AND service_key = {literal(key)}"
        f" AND key = '{StateKey.HANDLES}' AND scope IS NULL"
    )
    handles: dict[str, str] = {}
    with suppress(LookupError, AttributeError, ValueError, RecursionError):  # `unreadable_values` tells that
        handles = read_handles(rows[0]["value_utf8"].encode())
    if not handles:
        return {}
    known = _limits_of(admin, chart)
    if known is not None and not known:
        return {}
    token_of = {f"{RUN}{invocation}": token for token, invocation in handles.items()}
    where = OURS if known is None else f"{_among(known)} AND scope IS NULL"
    rows = admin.query(f"SELECT service_key, key, value_utf8 FROM state WHERE {where} AND key IN {texts(token_of)}")
    return {
        token_of[row["key"]]: {"limit": row["service_key"], "status": slot_status((row["value_utf8"] or "").encode())}
        for row in rows
    }
