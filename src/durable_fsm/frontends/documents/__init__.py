"""The documents front-end: SCXML, and python-statemachine's own JSON and YAML, read from a file or a text.

Reading goes text → python-statemachine's neutral records (`statemachine.io.model`) → chart. Its engine and its
evaluators are never used: expressions are compiled here, as Python with `trusted=True`, otherwise by an allowlist.
"""

from durable_fsm.frontends.documents.reader import chart_from, reads

__all__ = ["chart_from", "reads"]
