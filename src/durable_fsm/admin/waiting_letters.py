"""Messages that wait for their machine, because no deployment can read it."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from durable_fsm.admin.client import Admin
from durable_fsm.admin.problems import Diagnosis
from durable_fsm.restate.names import StateKey

LISTED = 100
"""The most machines that are reported."""


def waiting_letters(admin: Admin) -> Iterator[Diagnosis]:
    """A finding for each machine that messages wait for."""
    rows = admin.query(
        "SELECT service_name, service_key, json_length(value_utf8) AS letters, octet_length(value_utf8) AS bytes"
        f" FROM state WHERE key = '{StateKey.LETTERS}' ORDER BY service_name, service_key LIMIT {LISTED}"
    )
    for row in rows:
        if row.get("letters") is None or row.get("bytes") is None:
            continue  # nothing that we have written: the findings of `unreadable_values` say so
        place = f"{row['service_name']}/{row['service_key']}"
        many = f"{row['letters']} messages ({row['bytes']:,} bytes)"
        remedy = f"deploy a build that can read it; durable-fsm show {quote(place)} says why"
        what = f"{place}: {many} wait, because no deployment can read the machine."
        yield Diagnosis("letters", what, remedy, row["service_name"], row["service_key"])
