"""Plugins of pytest that our tests have, and a reader of the pages does not."""

from __future__ import annotations

OTHERS = ("randomly", "cacheprovider", "schemathesis", "hypothesispytest", "anyio", "xdist", "xdist.looponfail")

WITHOUT = [word for name in OTHERS for word in ("-p", f"no:{name}")]
"""Options of pytest that leave them out. To import them takes a second."""
