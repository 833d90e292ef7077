"""The font family of pictures, and the width of a text in it, from a table of Helvetica's widths plus some room.

The layout must not depend on the fonts of the computer that draws. Inter, Segoe UI, Roboto, Arial and Liberation Sans
are at most as wide as measured here.
"""

from __future__ import annotations

import unicodedata

ROOM = 1.06
BOLD = 1.05
FAMILY = 'Inter, "Segoe UI", "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif'

# Adobe's metrics of Helvetica, in thousandths of the size, from the space (32) to the tilde (126).
_HELVETICA = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
    333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
)  # fmt: skip
_OTHERS = {"→": 1000, "…": 1000, "–": 556, "—": 1000, "·": 278, "•": 350, "µ": 556, "ß": 611, "æ": 889, "œ": 944}


def width(text: str, size: float, *, bold: bool = False) -> float:
    """The width in pixels that *text* may need, at a font size in pixels."""
    thousandths = sum(map(_advance, text))
    return thousandths / 1000 * size * ROOM * (BOLD if bold else 1)


def _advance(character: str) -> int:
    code = ord(character)
    if 32 <= code <= 126:
        return _HELVETICA[code - 32]
    if character in _OTHERS:
        return _OTHERS[character]
    if unicodedata.combining(character):
        return 0
    base = unicodedata.normalize("NFD", character)[0]
    if base != character:
        return _advance(base)
    return 1050 if unicodedata.east_asian_width(character) in "WF" else 720
