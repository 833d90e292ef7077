"""Measure in headless Chromium how wide the texts of an SVG really are, in a font of the browser."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.browsing import NO_CHROMIUM, chromium_program

FONTS = {"Inter": ("fontpkg_inter", "Inter"), "Arial's metrics": ("fontpkg_arimo", "Liberation Sans")}
"""Fonts to measure with: the package on PyPI that brings the font, and the family of the system otherwise."""

RULER = """
<script>
document.fonts.ready.then(() => {
  const found = {};
  for (const part of document.querySelectorAll("[data-font]")) {
    found[part.dataset.font] = [...part.querySelectorAll("svg")].map(
      svg => [...svg.querySelectorAll("text")].map(text => text.getComputedTextLength()));
  }
  document.body.innerHTML = "<pre>" + JSON.stringify(found) + "</pre>";
});
</script>
"""
PROBE = '<svg><text style="font-size:20px">illicit mimicry</text></svg>'


@dataclass(frozen=True)
class Browser:
    program: str

    @classmethod
    def find(cls) -> Browser | str:
        """The browser, or what to do to have one. CHROMIUM names another program."""
        program = chromium_program()
        if program is None:
            return NO_CHROMIUM
        found = cls(program)
        probes = found._measured([PROBE], {"none": "monospace", **{name: _family(name) for name in FONTS}})
        missing = [name for name in FONTS if probes[name] == probes["none"]]
        if missing:
            return (
                f"needs a font with {' and one with '.join(missing)}:"
                " run pip install fontpkg-inter fontpkg-arimo, or apt-get install fonts-inter fonts-liberation"
            )
        return found

    def widths(self, svgs: Sequence[str]) -> dict[str, list[list[float]]]:
        """The widths of all texts in document order, by font and picture."""
        return self._measured(svgs, {name: _family(name) for name in FONTS})

    def _measured(self, svgs: Sequence[str], families: dict[str, str]) -> dict[str, list[list[float]]]:
        faces = "".join(_face(name) for name in families if name in FONTS)
        parts = "".join(
            f'<div data-font="{name}" class="f{number}">{"".join(svgs)}</div>' for number, name in enumerate(families)
        )
        styles = "".join(
            f".f{number} svg text{{font-family:{family}!important}}" for number, family in enumerate(families.values())
        )
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page.html"
            head = f'<!doctype html><meta charset="utf-8"><style>{faces}{styles}</style>'
            page.write_text(f"{head}<body>{parts}{RULER}</body>", encoding="utf-8")
            return self._run(page, folder)

    def _run(self, page: Path, folder: str) -> dict[str, list[list[float]]]:
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={folder}/u",
        ]
        command = [self.program, *flags, "--virtual-time-budget=10000", "--dump-dom", page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        answer = re.search(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)
        assert answer, f"Chromium did not answer:\n{done.stderr[-2000:]}"
        widths: dict[str, list[list[float]]] = json.loads(answer[1])
        return widths


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(FONTS[name][0])
    if spec is None or spec.origin is None:
        return None
    upright = [path for path in (Path(spec.origin).parent / "files").glob("*.ttf") if "Italic" not in path.name]
    return upright[0] if upright else None


def _family(name: str) -> str:
    return f"'measured {FONTS[name][0]}',monospace" if _package(name) else f"'{FONTS[name][1]}',monospace"


def _face(name: str) -> str:
    """The font of the package; in the page itself, since pages from files may not load other files."""
    path = _package(name)
    if path is None:
        return ""
    data = base64.b64encode(path.read_bytes()).decode()
    family = f"measured {FONTS[name][0]}"
    return f"@font-face{{font-family:'{family}';font-weight:100 900;src:url(data:font/ttf;base64,{data})}}"
