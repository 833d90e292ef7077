"""The pictures of overlays on the page about diagrams are those that the code draws."""

from __future__ import annotations

import runpy
from pathlib import Path

from durable_fsm.diagram.files import is_fresh

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "diagrams.md"


def test_the_pictures_of_overlays_are_fresh_and_on_the_page() -> None:
    pictures = runpy.run_path(str(ROOT / "docs" / "overlays.py"))["pictures"]()

    stale = [file.name for file, text in pictures.items() if not is_fresh(file.read_bytes(), text.encode())]
    assert stale == [], "write them with .venv/bin/python docs/overlays.py"
    text = PAGE.read_text("utf-8")
    assert [file.name for file in pictures if f"](pictures/{file.name})" not in text] == []
