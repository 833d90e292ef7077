"""A picture as PNG, drawn by resvg from our SVG, in Inter if the package `fontpkg-inter` is installed."""

from __future__ import annotations

import importlib.util
import struct
from functools import cache
from html import escape
from pathlib import Path
from types import ModuleType

from durable_fsm.diagram.fonts import FAMILY

INTER = "fontpkg_inter"


class NoFont(RuntimeError):
    """There is no font to draw text with."""


def png_of(svg: str, *, zoom: float = 2.0, font: Path | None = None) -> bytes:
    """Rasterise an SVG of a fixed theme (`light` or `dark`): resvg knows no media queries and no variables.

    Args:
        zoom: pixels of the PNG for one of the picture.
        font: a font file to draw with; by default Inter, or what the machine has that is most like it.

    Raises:
        NoFont: the file is no font, or there is no font at all.
    """
    resvg = _resvg()
    files = tuple(inter()) if font is None else (str(font),)
    families = FAMILY if font is None else f'"{family_of(font)}",{FAMILY}'
    if not _draws_text(files, families):
        raise NoFont(
            "a PNG needs a font to draw text with, and none was found. Run pip install fontpkg-inter,"
            " install a font (apt-get install fonts-inter), or name a font file: font=..."
        )
    ours = svg.replace(f"font-family:{FAMILY}", f"font-family:{families}")
    return bytes(resvg.svg_to_bytes(svg_string=ours, zoom=zoom, font_files=list(files) or None))


def _resvg() -> ModuleType:
    try:
        import resvg_py
    except ImportError as error:
        raise ImportError("a PNG needs more packages. Run pip install 'durable-fsm[diagrams]'.") from error
    return resvg_py


def inter() -> list[str]:
    """The files of Inter, if pip brought them."""
    found = importlib.util.find_spec(INTER)
    if found is None or found.origin is None:
        return []
    return sorted(str(path) for path in (Path(found.origin).parent / "files").glob("*.ttf"))


def family_of(font: Path) -> str:
    """The family's name, as the table `name` of a TrueType or OpenType file has it.

    Raises:
        NoFont: the file cannot be read as one.
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
        raise NoFont(f"{str(font)!r} is no font file that can be read. Name a .ttf or .otf file.") from error
    raise NoFont(f"{str(font)!r} does not say which family it is. Name another font file.")


@cache
def _draws_text(files: tuple[str, ...], families: str) -> bool:
    """Whether a letter leaves a trace: without a font resvg draws none, and says nothing."""
    empty = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20">{}</svg>'
    letter = empty.format(f'<text x="2" y="15" font-family="{escape(families)}">M</text>')
    resvg = _resvg()
    drawn = resvg.svg_to_bytes(svg_string=letter, font_files=list(files) or None)
    return bytes(drawn) != bytes(resvg.svg_to_bytes(svg_string=empty.format("")))
