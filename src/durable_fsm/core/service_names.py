"""Names that Restate accepts for services and handlers. One that it refuses fails the registration of a whole deployment."""

from __future__ import annotations

import re
import unicodedata

SERVICE = re.compile(r"([a-zA-Z]|_[a-zA-Z0-9])[a-zA-Z0-9._-]*")
HANDLER = re.compile(r"([a-zA-Z]|_[a-zA-Z0-9])[a-zA-Z0-9_]*")


def fault_in_chart_name(name: str) -> str | None:
    """Why a chart cannot have this name, as the end of a sentence; None if it can."""
    if SERVICE.fullmatch(name) is None:
        return "is not a name that Restate accepts: ASCII letters, digits, '_', '-' and '.', a letter first"
    if name.lower().startswith("restate") or name.lower() == "openapi":
        return "is a name that Restate keeps for itself"
    return None


def accepted_name(name: str, *, otherwise: str) -> str:
    """The name with other characters replaced by underscores; *otherwise* if nothing is left."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip("_.-0123456789") or otherwise


def in_ascii(name: str) -> str:
    """The name without accents, as a suggestion: `Größe` is `Grosse`."""
    return unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()


def is_handler_name(name: str) -> bool:
    """Whether Restate accepts *name* for a handler."""
    return HANDLER.fullmatch(name) is not None
