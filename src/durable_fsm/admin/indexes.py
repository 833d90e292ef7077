"""Machines by fields of their data, read from the lists that `restate.field_index` keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from durable_fsm.admin.client import Admin, literal
from durable_fsm.admin.readings import Row
from durable_fsm.core.fields import entry_of
from durable_fsm.errors import NotIndexed
from durable_fsm.restate.names import INDEXED, StateKey, index_name, listed_name

BATCH = 100


def indexed_texts(admin: Admin, chart: str, fields: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """Key and snapshot of the machines that are listed for one of these values, in the order of their keys.

    A machine may have changed since it was listed: the caller compares its data.

    Raises:
        NotIndexed: the registered build of the chart has no index of one of the fields.
    """
    known = _fields_of(admin, chart)
    for name in fields:
        if name not in known:
            raise NotIndexed(chart=chart, field=name, known=known)
    name, text = next(iter(fields.items()))
    after = ""
    while True:
        rows = admin.query(
            f"SELECT key FROM state WHERE service_name = {literal(index_name(chart))}"
            f" AND service_key = {literal(entry_of(name, text))} AND scope IS NULL"
            f" AND key > {literal(listed_name(after))} ORDER BY key LIMIT {BATCH}"
        )
        keys: list[str] = [row["key"].removeprefix(listed_name("")) for row in rows]
        yield from _texts_of(admin, chart, keys)
        if len(keys) < BATCH:
            return
        after = keys[-1]


def _texts_of(admin: Admin, chart: str, keys: list[str]) -> Iterator[tuple[str, str | None]]:
    if not keys:
        return
    rows = admin.query(
        f"SELECT service_key, value_utf8 FROM state WHERE service_name = {literal(chart)} AND key = '{StateKey.SNAPSHOT}'"
        f" AND service_key IN ({', '.join(map(literal, keys))}) AND scope IS NULL ORDER BY service_key"
    )
    yield from ((row["service_key"], row.get("value_utf8")) for row in rows)


def _fields_of(admin: Admin, chart: str) -> tuple[str, ...]:
    """The fields that the registered build of a chart indexes."""
    services: dict[str, Row] = {one["name"]: one for one in admin.ask("GET", "/services")["services"]}
    metadata: Row = services.get(index_name(chart), {}).get("metadata") or {}
    return tuple(str(metadata.get(INDEXED, "")).split())
