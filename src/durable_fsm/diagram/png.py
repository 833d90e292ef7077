"""Rasterise our SVG to PNG with resvg, in the font Inter if the package `fontpkg-inter` is installed."""

from __future__ import annotations

import importlib.util
import struct
from functools import cache
from html import escape
from pathlib import Path
from types import ModuleType

from durable_fsm.diagram.fonts import FAMILY

INTER = "fontpkg_inter"
UNASSIGNED = "\U0010fffd"
"""A character for private use, which no font draws: the picture of it is that of any missing one."""


class NoFont(RuntimeError):
    """No font was found to draw text with, or the font file cannot be read."""


def png_of(svg: str, *, zoom: float = 2.0, font: Path | None = None) -> bytes:
    """Rasterise an SVG of the theme `light` or `dark`; resvg does not support media queries and variables.

    Args:
        zoom: pixels of the PNG for each pixel of the picture.
        font: a font file to draw with; by default Inter, or the most similar font of this computer.

    Raises:
        NoFont: the file is not a font, or no font was found.
    """
    resvg = _resvg()
    files, families = _fonts(font)
    if not _draws_text(files, families):
        raise NoFont(
            "a PNG needs a font to draw text with, and none was found. Run pip install fontpkg-inter,"
            " install a font (apt-get install fonts-inter), or name a font file: font=..."
        )
    ours = svg.replace(f"font-family:{FAMILY}", f"font-family:{families}")
    return bytes(resvg.svg_to_bytes(svg_string=ours, zoom=zoom, font_files=list(files) or None))


def undrawn(text: str, font: Path | None = None) -> str:
    """The characters of a text that the fonts of a PNG do not have, each once: they are drawn as empty boxes.

    Raises:
        NoFont: the file is not a font.
    """
    files, families = _fonts(font)
    others = dict.fromkeys(character for character in text if ord(character) > 126)
    return "".join(
        one for one in others if _picture_of(one, files, families) == _picture_of(UNASSIGNED, files, families)
    )


def _fonts(font: Path | None) -> tuple[tuple[str, ...], str]:
    """The font files, and the families to draw with, as CSS names them."""
    if font is None:
        return tuple(inter()), FAMILY
    return (str(font),), f'"{family_of(font)}",{FAMILY}'


def _resvg() -> ModuleType:
    try:
        import resvg_py
    except ImportError as error:
        raise ImportError("a PNG needs more packages. Run pip install 'durable-fsm[diagrams]'.") from error
    return resvg_py


def inter() -> list[str]:
    """The font files of Inter, if its package is installed."""
    found = importlib.util.find_spec(INTER)
    if found is None or found.origin is None:
        return []
    return sorted(str(path) for path in (Path(found.origin).parent / "files").glob("*.ttf"))


def family_of(font: Path) -> str:
    """The name of the font family, from the table `name` of a TrueType or OpenType file.

    Raises:
        NoFont: the file cannot be read as a font.
    """
    try:
        data = font.read_bytes()
        tables = struct.iter_unpack(">4sIII", data[12 : 12 + 16 * struct.unpack_from(">H", data, 4)[0]])
        start = next(offset for tag, _, offset, _ in tables if tag == b"name")
        _, count, texts = struct.unpack_from(">HHH", data, start)
        for number in range(count):
            platform, _, _, name, size, at = struct.unpack_from(">6H", data, start + 6 + 12 * number)
            if platform == 3 and name == 1:
                return data[start + texts + at : start + texts + at + size].decode("utf-16-be")
    except (OSError, struct.error, StopIteration, UnicodeDecodeError) as error:
        raise NoFont(f"{str(font)!r} cannot be read as a font file. Name a .ttf or .otf file.") from error
    raise NoFont(f"{str(font)!r} does not contain the name of its font family. Name another font file.")


@cache
def _draws_text(files: tuple[str, ...], families: str) -> bool:
    """Whether resvg draws a letter: without a font it draws none, and reports no error."""
    return _picture_of("M", files, families) != _picture_of(" ", files, families)


@cache
def _picture_of(character: str, files: tuple[str, ...], families: str) -> bytes:
    text = f'<text x="2" y="20" font-family="{escape(families)}" xml:space="preserve">{escape(character)}</text>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30">{text}</svg>'
    return bytes(_resvg().svg_to_bytes(svg_string=svg, font_files=list(files) or None))
