"""Changed copies, as type checkers see them. mypy knows the fields; at run time msgspec refuses what is not one."""

from __future__ import annotations

from typing import assert_type

from durable_fsm.core.events import Event
from durable_fsm.core.snapshot import Running, Snapshot
from durable_fsm.core.values import changed


def copied(snapshot: Snapshot, running: Running, event: Event) -> None:
    assert_type(changed(snapshot, seq=2), Snapshot)
    assert_type(changed(running, parked=True), Running)
    assert_type(changed(event, seed="s"), Event)

    changed(snapshot, sequence=2)  # type: ignore[call-arg]
    changed(snapshot, seq="2")  # type: ignore[arg-type]
    changed(running, over=True)  # type: ignore[call-arg]
    changed(event, named="pay")  # type: ignore[call-arg]
