"""A verdict for each stored machine before a build is deployed, by the functions that the build itself will run.

Pure: snapshots and charts come in, verdicts and texts come out. Nothing here reads a server, and nothing sends anything.
`hole` and `tried` are for the migrations and tests that `durable-fsm plan` writes.
"""

from durable_fsm.plan.trial import hole, tried

__all__ = ["hole", "tried"]
