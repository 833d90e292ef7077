"""Check `index=`: the fields of the data by which operators find machines."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from durable_fsm.core.chart import Hosting
from durable_fsm.core.fields import CONDITIONS
from durable_fsm.core.redact import Redaction
from durable_fsm.core.values import ValueType
from durable_fsm.errors import quoted
from durable_fsm.frontends.checks.redaction import NAME, member_names, unknown_part


def problems_in(hosting: Hosting, data: ValueType | None) -> Iterator[tuple[str, str]]:
    """Problems of `index=`, each with its remedy."""
    # Slow for large types, so only where it is needed. Data without a type may have any member.
    known = member_names([data]) or None if hosting.index else None
    for name in hosting.index:
        if not NAME.fullmatch(name) or "=" in name:
            what = f"index= names {name!r}, which is not a member."
            yield what, "Write 'customer', or 'address.city' for one inside."
        elif name in CONDITIONS:
            what = f"index= names '{name}', and --where {name}=… does not ask for data."
            yield what, f"Give the member another name than {quoted(CONDITIONS)}."
        elif Redaction.of(hosting.redact).covers(f"$.{name}"):
            what = f"index= names '{name}', which redact= hides: the index would show its values."
            yield what, "Remove it from one of them."
        elif known is not None and (unknown := unknown_part(name, known)) is not None:
            close = difflib.get_close_matches(unknown, known, n=1)
            remedy = f"Did you mean '{close[0]}'?" if close else "Declare it, or remove it."
            yield f"index= names '{name}', and the data has no '{unknown}'.", remedy
