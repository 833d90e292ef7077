"""`%load_ext durable_fsm.docs`: classes, charts and machines in memory show themselves at the end of a cell.

IPython asks no class for its picture, only the instances of one. So the extension tells it how to draw what is of the
*type* of such classes; nothing is added to a user's class or to the core.
"""

from __future__ import annotations

from typing import Any

from statemachine import StateChart

from durable_fsm.core.chart import Chart
from durable_fsm.docs.drawing import show

SHOWN = (Chart, StateChart, type(StateChart))


def load_ipython_extension(shell: Any) -> None:  # Any: IPython's, which need not be installed to import this
    """Have charts, statechart classes and their instances displayed as our pictures."""
    formatters = shell.display_formatter.formatters
    for kind in SHOWN:
        formatters["image/svg+xml"].for_type(kind, _svg)
    formatters["text/html"].for_type(StateChart, _nothing)  # the library's own picture would come first


def unload_ipython_extension(shell: Any) -> None:  # Any: as above
    """Have them displayed as before."""
    formatters = shell.display_formatter.formatters
    for kind in SHOWN:
        formatters["image/svg+xml"].pop(kind, None)
    formatters["text/html"].pop(StateChart, None)


def _svg(definition: object) -> str:
    return show(definition).svg


def _nothing(_: object) -> None:
    """Say that there is no such form."""
