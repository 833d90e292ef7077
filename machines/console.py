"""The console of a demo: pages about every machine, beside whatever the demo shows itself."""

from __future__ import annotations

import os

from durable_fsm.console import app as console

__all__ = ["app"]

app = console(admin_url=os.environ["RESTATE_ADMIN_URL"])
