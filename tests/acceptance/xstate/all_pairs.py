"""All cases: importing them adds them."""

from __future__ import annotations

from tests.acceptance.xstate import counting, ending, families, working
from tests.acceptance.xstate.pairs import PAIRS

__all__ = ["PAIRS", "counting", "ending", "families", "working"]
