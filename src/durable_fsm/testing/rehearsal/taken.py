"""The transitions that rehearsals take, for those who count them: `pytest --fsm-coverage`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from durable_fsm.core.chart import Chart
from durable_fsm.core.effects import Microstep

listeners: list[Callable[[Chart, Sequence[Microstep]], None]] = []
"""Each is called after every turn of every rehearsal."""


def tell(chart: Chart, microsteps: Sequence[Microstep]) -> None:
    """Tell all listeners what a turn did."""
    for listener in listeners:
        listener(chart, microsteps)
