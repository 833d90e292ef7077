"""The option `--where NAME=VALUE`: machines by state, status, version, or an indexed field of their data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from durable_fsm.core.fields import CONDITIONS

if TYPE_CHECKING:
    from durable_fsm.admin.inventory import Filter


def filter_of(where: Iterable[str]) -> Filter:
    """The filter that these conditions make together."""
    from durable_fsm.admin.inventory import Filter

    found: dict[str, str] = {}
    for text in where:
        name, equals, value = text.partition("=")
        if not name or not equals or not value:
            problem = (
                f"'{text}' is not a condition. Write state=…, status=…, version=…, or an indexed field: customer=…."
            )
            raise click.UsageError(problem)
        found[name] = value
    fields = {name: value for name, value in found.items() if name not in CONDITIONS}
    return Filter(found.get("state"), found.get("status"), found.get("version"), fields=fields)
