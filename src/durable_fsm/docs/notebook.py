"""The IPython extension `durable_fsm.docs`: a notebook displays statechart classes, their instances and charts as pictures.

IPython asks only instances for their picture, not classes. So the extension registers a formatter for the *type* of
statechart classes; it changes neither the user's class nor the core.
"""

from __future__ import annotations

from typing import Any

from statemachine import StateChart

from durable_fsm.core.chart import Chart
from durable_fsm.docs.drawing import show

SHOWN = (Chart, StateChart, type(StateChart))


def load_ipython_extension(shell: Any) -> None:  # Any: IPython's, which need not be installed to import this
    """Display charts, statechart classes and their instances as our pictures."""
    formatters = shell.display_formatter.formatters
    for kind in SHOWN:
        formatters["image/svg+xml"].for_type(kind, _svg)
    formatters["text/html"].for_type(StateChart, _nothing)  # or else IPython would prefer the library's own picture


def unload_ipython_extension(shell: Any) -> None:  # Any: as above
    """Display charts, classes and instances as before."""
    formatters = shell.display_formatter.formatters
    for kind in SHOWN:
        formatters["image/svg+xml"].pop(kind, None)
    formatters["text/html"].pop(StateChart, None)


def _svg(definition: object) -> str:
    return show(definition).svg


def _nothing(_: object) -> None:
    """Tell IPython to use another format."""
