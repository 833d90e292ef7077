"""The beginning of a machine: the name of its life, and what tells a repeated creation from a different one."""

from __future__ import annotations

from restate import ObjectContext

from durable_fsm import errors
from durable_fsm.core.address import is_child_key
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical
from durable_fsm.core.values import Json
from durable_fsm.restate.names import digest_of


def life_of(ctx: ObjectContext) -> str:
    """The name of a life that begins in this invocation."""
    return digest_of(ctx.request().id)


def created_from(data: Json) -> str:
    """The digest of the data that a machine is created with: another creation with the same data is the same one."""
    return "" if data in (None, {}) else digest_of(canonical(data))


def refuse_childs_key(chart: Chart, key: str) -> None:
    """Refuse to begin a child that its parent did not begin: a late event must not bring it back.

    Raises:
        NotStarted: it is the key of a child.
    """
    if is_child_key(key):
        raise errors.NotStarted(chart=chart.name, remedy="This is the key of a child, which only its parent begins.")
