"""Read pages in headless Chromium: switch the colour scheme, evaluate expressions, take screenshots."""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Two frames later, what the page's scripts have changed is laid out."""


@dataclass(frozen=True)
class Chromium:
    """A browser that has the font Inter; pages are files."""

    browser: Browser

    def ask(self, page: Path, question: str, *, first: str = "", width: int = 1300, output: Path | None = None) -> Any:
        """The value of an expression of JavaScript on the page.

        Args:
            first: statements that run before.
            output: where a PNG of the whole page goes.
        """
        with self.shown(page, first, (width, 1000)) as tab:
            if output is not None:
                tab.screenshot(path=output, full_page=True)
            return tab.evaluate(question)

    def picture(self, page: Path, output: Path, *, first: str = "", size: tuple[int, int], zoom: float = 1) -> Path:
        """A PNG of the page, as many pixels a point as *zoom* says."""
        with self.shown(page, first, size, zoom) as tab:
            tab.screenshot(path=output)
        return output

    @contextmanager
    def shown(self, page: Path, first: str, size: tuple[int, int], zoom: float = 1) -> Iterator[Page]:
        """A tab with the page, to be asked more than once; it is closed at the end of the block."""
        across, down = size
        with self.browser.new_context(
            viewport={"width": across, "height": down}, device_scale_factor=zoom, reduced_motion="reduce"
        ) as context:
            tab = context.new_page()
            tab.goto(page.as_uri())
            tab.add_style_tag(content=face("fontpkg_inter", "Inter"))
            tab.evaluate(
                f"async () => {{ await document.fonts.load('11px Inter'); await document.fonts.ready; {first} }}"
            )
            tab.evaluate(DRAWN)
            yield tab


@cache
def face(package: str, family: str) -> str:
    """CSS that gives a page the font of a package; within the page, since pages in files may not load other files."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    [upright] = [path for path in (Path(spec.origin).parent / "files").glob("*.ttf") if "Italic" not in path.name]
    data = base64.b64encode(upright.read_bytes()).decode()
    return f"@font-face{{font-family:'{family}';font-weight:100 900;src:url(data:font/ttf;base64,{data})}}"
