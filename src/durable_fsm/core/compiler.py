"""The compiler of charts, where each machine has a chart of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Compiler:
    """Makes the chart of one machine from a field of its data. The same value makes the same chart, always.

    Attributes:
        name: of the author's function, for messages.
        field: of the data, as it is stored. It stays as it was when the machine began.
        compile: takes the data of a machine, loaded; raises Misfit if there is no chart for them.
        machines: charts of the machines that compiled charts may run.
    """

    name: str
    field: str
    compile: Callable[[object], Any]  # Any: a Chart, whose module imports this one
    machines: tuple[Any, ...] = ()
