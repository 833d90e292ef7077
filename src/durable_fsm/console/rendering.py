"""Fill in the templates. They escape every value; a value that is markup already is one that this package has made."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from durable_fsm.console import formatting
from durable_fsm.console.operators import Operator
from durable_fsm.diagram.theme import DARK, LIGHT, css

ASSETS = Path(__file__).parent / "assets"
THEMES = ("light", "dark")

_ENVIRONMENT = Environment(
    loader=PackageLoader("durable_fsm.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_FILTERS: dict[str, Callable[..., str]] = {
    "ago": formatting.ago,
    "clock": formatting.clock,
    "day": formatting.day,
    "iso": formatting.iso,
    "duration": formatting.length,
    "number": formatting.number,
    "rate": formatting.rate,
    "size": formatting.size,
    "stamp": formatting.stamp,
}
_ENVIRONMENT.filters.update(_FILTERS)  # pyright: ignore[reportUnknownMemberType]
_ENVIRONMENT.globals.update(many=formatting.many)  # pyright: ignore[reportUnknownMemberType]


@dataclass(frozen=True)
class PageFrame:
    """The frame of a page: all that is around its content.

    Attributes:
        root: the path under which the console is mounted, without a slash at the end.
        theme: `light` or `dark`; empty to follow the reader's setting.
        operator: the operator who is logged in, if any.
        acting: whether operators can log in here.
        troubles: how many troubles there are; None if that is not known.
        as_of: when what is shown was read, in milliseconds since 1970; `took` is how long that took.
        stale: why the server could not be asked again; empty if it could.
    """

    root: str = ""
    theme: str = ""
    operator: Operator | None = None
    acting: bool = False
    csrf: str = ""
    troubles: int | None = None
    as_of: int = field(default_factory=formatting.now_ms)
    took: float = 0.0
    stale: str = ""

    def url(self, path: str, /, **query: object) -> str:
        """The address of a page, with those members of its query that are not empty; they may have any names.

        A tuple has several values.
        """
        wanted: list[tuple[str, str]] = []
        for name, value in query.items():
            values = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
            wanted += [(name.rstrip("_"), str(one)) for one in values if one not in (None, "", False)]
        return f"{self.root}{path}?{urlencode(wanted)}" if wanted else f"{self.root}{path}"

    def asset(self, name: str) -> str:
        return f"{self.root}/static/{fingerprint()}/{name}"


def render(template: str, frame: PageFrame, **values: object) -> str:
    """Fill in a template."""
    return _ENVIRONMENT.get_template(template).render(frame=frame, url=frame.url, **values)


def markup(text: str) -> Markup:
    """Mark a text of this package as markup."""
    return Markup(text)


# ── the files that every page loads ───────────────────────────────────────────────────────────────────────────────────


@cache
def assets() -> Mapping[str, bytes]:
    """The files below `/static/<hash>/`, by name."""
    found = {path.name: path.read_bytes() for path in sorted(ASSETS.iterdir()) if path.is_file()}
    found["console.css"] = f"{theme_sheet()}\n{found['console.css'].decode()}".encode()
    return found


@cache
def fingerprint() -> str:
    """Changes with every file, so that browsers may keep them for ever."""
    digest = hashlib.sha256()
    for name, content in assets().items():
        digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()[:12]


def theme_sheet() -> str:
    """The colours of diagrams in both themes, and the style sheet of diagrams."""
    tokens = "".join(f"--fsm-{name}:light-dark({LIGHT[name]},{DARK[name]});" for name in LIGHT if name != "bg")
    return f":root{{{tokens}}}\n{css('vars')}"


@cache
def font() -> Path | None:
    """Inter, in which diagrams are measured; without its package, pages use a font of the system."""
    spec = importlib.util.find_spec("fontpkg_inter")
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.glob("files/Inter[[]*.ttf"))
    return found[0] if found else None


_PROBLEM = re.compile(r"https?://\S+")
ADMIN = "$ADMIN"
"""The address of the admin API in a command."""

_ORIGIN = re.compile(r"https?://[^\s/'\"]+")


def without_addresses(problem: str) -> str:
    """A problem with the server in words that a browser may see: its address stays here."""
    return _PROBLEM.sub("the server", problem)


def command_without_address(remedy: str) -> str:
    """A command with a name in place of the server's address: the rest of it stays as it is."""
    return _ORIGIN.sub(ADMIN, remedy).replace(f"'{ADMIN}", f"{ADMIN}'")
