"""The files that are documents, by their suffix."""

from __future__ import annotations

from pathlib import Path

FORMATS = {".scxml": "scxml", ".xml": "scxml", ".json": "json", ".yaml": "yaml", ".yml": "yaml"}


def reads(definition: object) -> bool:
    """True for a path with a suffix that this front-end knows."""
    return isinstance(definition, str | Path) and Path(definition).suffix.lower() in FORMATS
