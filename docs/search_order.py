"""The order in which the search of the site lists pages that match equally well.

MkDocs runs `on_page_markdown` for every page, see `hooks` in mkdocs.yml. A page with a boost above 1 comes earlier, one
below 1 later: a reader who searches for "timer" wants the guide about timers, and not the tour, our architecture, or the
way from another library.
"""

from __future__ import annotations

from typing import Any

BOOSTS = {
    "howto.md": 1.5,
    "hosting.md": 1.5,
    "changing-a-chart.md": 1.5,
    "performance.md": 1.5,
    "tour/": 0.3,
    "tour.md": 0.3,
    "index.md": 0.3,
    "architecture.md": 0.2,
    "why.md": 0.4,
    "python-statemachine-examples.md": 0.2,
    "diagrams-compared.md": 0.2,
    "python-statemachine.md": 0.4,
    "transitions.md": 0.4,
    "xstate.md": 0.4,
    "temporal.md": 0.4,
    "step-functions.md": 0.4,
    "reference/": 0.5,
}
"""Beginnings of the paths of pages, and how much their matches count."""


def on_page_markdown(markdown: str, *, page: Any, **_: object) -> str:
    """Give the page its boost."""
    for beginning, boost in BOOSTS.items():
        if page.file.src_uri.startswith(beginning):
            page.meta.setdefault("search", {}).setdefault("boost", boost)
            break
    return markdown
