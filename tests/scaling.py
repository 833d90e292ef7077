"""How much more than usual the tests do: what SCALE says. `make check` sets it below one."""

from __future__ import annotations

import os

SCALE = float(os.environ.get("SCALE", "1"))
TIMES = max(1, int(SCALE))
"""For what cannot be done less than once."""
