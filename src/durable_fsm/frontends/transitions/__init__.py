"""The transitions front-end: a configuration or a `Machine` in, a chart out. The machine is read, never driven.

The library is an extra, so nothing imports this package before a definition needs it.
"""

from durable_fsm.frontends.transitions.config import TransitionsConfig
from durable_fsm.frontends.transitions.reader import chart_from, reads

__all__ = ["TransitionsConfig", "chart_from", "reads"]
