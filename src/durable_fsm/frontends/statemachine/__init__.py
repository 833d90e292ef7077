"""The python-statemachine front-end: a `StateChart` class in, a chart out. Its engine is never started.

Undocumented names of the library are used in this package only, and only while a definition is read.
"""

from durable_fsm.frontends.statemachine.reader import chart_from, reads

__all__ = ["chart_from", "reads"]
