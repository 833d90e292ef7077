"""Measure in headless Chromium how wide the texts of an SVG really are, in two fonts."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.docs.chromium import Chromium, face

FONTS = {"Inter": "fontpkg_inter", "Arial's metrics": "fontpkg_arimo"}
"""Fonts to measure with, and the packages that bring them."""

MEASURED = """Object.fromEntries([...document.querySelectorAll("[data-font]")].map(part => [
  part.dataset.font,
  [...part.querySelectorAll("svg")].map(svg => [...svg.querySelectorAll("text")].map(it => it.getComputedTextLength())),
]))"""


@dataclass(frozen=True)
class Browser:
    chromium: Chromium

    def widths(self, svgs: Sequence[str]) -> dict[str, list[list[float]]]:
        """The widths of all texts in document order, by font and picture."""
        families = {name: f"measured {package}" for name, package in FONTS.items()}
        faces = "".join(face(package, families[name]) for name, package in FONTS.items())
        styles = "".join(
            f"[data-font='{package}'] svg text {{font-family: '{families[name]}', monospace !important}}"
            for name, package in FONTS.items()
        )
        parts = "".join(f'<div data-font="{package}">{"".join(svgs)}</div>' for package in FONTS.values())
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page.html"
            page.write_text(
                f'<!doctype html><meta charset="utf-8"><style>{faces}{styles}</style><body>{parts}</body>', "utf-8"
            )
            found: dict[str, list[list[float]]] = self.chromium.ask(page, MEASURED)
        return {name: found[package] for name, package in FONTS.items()}
