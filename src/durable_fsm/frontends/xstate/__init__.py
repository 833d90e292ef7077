"""The front-end of XState: the JSON configuration of `createMachine`, version 5, with functions for its names."""

from __future__ import annotations

from durable_fsm.frontends.xstate.config import XStateConfig
from durable_fsm.frontends.xstate.reader import chart_from, reads

__all__ = ["XStateConfig", "chart_from", "reads"]
