"""Read the history of a machine: the tail that its snapshot carries, and the pages behind it."""

from __future__ import annotations

from msgspec import UNSET

from durable_fsm.admin.past import EntryRecord
from durable_fsm.console.facts import MachineFacts
from durable_fsm.console.reading import ServerReader
from durable_fsm.restate.names import page_key

PAGES = 100
"""Pages of history that are read at once: of the latest steps, or of those before the one that is looked at."""


def entries_of(reader: ServerReader, facts: MachineFacts, n: int | None = None) -> list[EntryRecord]:
    """The entries of a machine, consecutive up to the latest, and back to the one that is looked at, if it is kept."""
    stored = facts.stored
    if stored is None or stored.log is None:
        return []
    found: list[EntryRecord] = facts.tail
    number = stored.log.pages + (0 if stored.log.sent is UNSET else 1)  # a part of the next page may have left
    while number > 0:
        keys = [page_key(facts.key, stored.life, page) for page in range(max(1, number - PAGES + 1), number + 1)]
        pages = reader.pages(facts.chart, keys)
        for key in reversed(keys):
            if key not in pages:
                return found  # it is not kept any more, or is still on its way
            found = [*pages[key], *found]
        number -= len(keys)
        if n is None or (found and int(found[0]["n"]) <= n):
            break
    return found
