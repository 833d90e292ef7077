"""Crashes of processes that tests kill are not counted."""

from __future__ import annotations

import os

os.environ.setdefault("DURABLE_FSM_CRASH_DIR", "")  # a test that wants them counted names a directory
