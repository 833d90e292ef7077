"""PNG: the same picture in pixels, in an available font, or an error that says how to install one."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import resvg_py

from durable_fsm.diagram import png, to_png
from durable_fsm.diagram.files import content
from durable_fsm.diagram.png import NoFont, family_of, png_of, undrawn
from tests.building import chart, edge

CHART = chart("idle\nbusy final", edge("idle", "go", "busy"))
TAGS = {b"OTTO", b"true", b"\0\1\0\0"}


def size(data: bytes) -> tuple[int, int]:
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


@pytest.fixture
def without_system_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose only fonts are those that are named."""
    bare: Any = partial(resvg_py.svg_to_bytes, skip_system_fonts=True)  # Any: a stand-in with one answer changed
    monkeypatch.setattr(resvg_py, "svg_to_bytes", bare)
    monkeypatch.setattr(png, "INTER", "a_package_that_is_not_there")
    png._draws_text.cache_clear()
    yield
    png._draws_text.cache_clear()


@pytest.fixture
def font() -> Path:
    """Any font of this machine."""
    found = [Path(file) for file in png.inter()]
    found += sorted(path for path in Path("/usr/share/fonts").rglob("*") if path.suffix in (".ttf", ".otf"))
    return next((path for path in found if path.read_bytes()[:4] in TAGS), None) or pytest.skip("needs any font file")


def test_a_png_has_the_size_of_its_zoom(font: Path) -> None:
    once, twice = (size(to_png(CHART, zoom=zoom, font=font)) for zoom in (1, 2))

    assert twice == pytest.approx((2 * once[0], 2 * once[1]), abs=2)


def test_light_and_dark_differ_and_other_themes_are_refused(font: Path) -> None:
    assert to_png(CHART, font=font) != to_png(CHART, theme="dark", font=font)
    with pytest.raises(ValueError, match="a PNG has fixed colours: use theme='light' or 'dark', not 'auto'"):
        to_png(CHART, theme="auto")


@pytest.mark.usefixtures("without_system_fonts")
def test_on_a_machine_without_fonts_the_error_says_how_to_get_one() -> None:
    with pytest.raises(NoFont, match="pip install fontpkg-inter"):
        to_png(CHART)


@pytest.mark.usefixtures("without_system_fonts")
def test_a_named_font_file_is_used_whatever_the_name_of_its_family(font: Path) -> None:
    empty = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"></svg>'

    assert len(to_png(CHART, font=font)) > len(png_of(empty, font=font))
    assert family_of(font)


@pytest.mark.parametrize("content", [None, b"", b"no font at all, but long enough to hold the head of one"])
def test_the_error_names_a_file_that_is_not_a_font(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.ttf"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(NoFont, match=r"broken\.ttf"):
        to_png(CHART, font=path)


def test_without_the_package_that_draws_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)

    with pytest.raises(ImportError, match=r"pip install 'durable-fsm\[diagrams\]'"):
        to_png(CHART)


def test_letters_that_no_font_here_draws_are_found_each_once(font: Path) -> None:
    assert undrawn("Grüße → \U0010fffe\U0010fffe ab", font) == "\U0010fffe"


def test_an_unreadable_png_is_told_and_is_an_error_if_that_is_asked(font: Path, tmp_path: Path) -> None:
    _, lost = content(chart("idle\n\U0010fffe final", edge("idle", "go", "\U0010fffe")), "png", font=font)

    assert lost == ("no font here draws \U0010fffe: install one that does, or name its file with --font.",)
