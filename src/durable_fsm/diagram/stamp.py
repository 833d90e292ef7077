"""The stamp: a hash of everything that a picture says, written into the picture.

Another version of Graphviz may place things differently, and another font draws other pixels; the stamp stays the same.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from dataclasses import asdict
from typing import Any

from durable_fsm.core.values import Location
from durable_fsm.diagram.graph import Graph
from durable_fsm.diagram.overlay import Overlay
from durable_fsm.diagram.overlay_drawing import overlay_css
from durable_fsm.diagram.theme import Theme, css

DRAWING = 2
"""The version of our drawing. Increase it when the same graph gives another picture: then all are redrawn."""

NAME = "data-model"
_STAMP = re.compile(rb'data-model(?:="|\0)(sha256:[0-9a-f]{64})')
_HEADER = 8 + 25
"""Bytes of a PNG before its second chunk: the signature and the chunk IHDR."""


def stamp(
    graph: Graph,
    *,
    theme: Theme,
    direction: str,
    id_prefix: str,
    source_url: str | None,
    overlay: Overlay | None = None,
) -> str:
    """Hash what a picture of *graph* shows and how, but not where things are: `sha256:…`."""
    content = asdict(graph)
    for item in (*content["nodes"], *(label for edge in content["edges"] for label in edge["labels"])):
        place = item.pop("location")
        if source_url is not None and place is not None:
            item["link"] = link(source_url, Location(**place))
    how: dict[str, Any] = {"drawing": DRAWING, "style": css(theme), "direction": direction, "id_prefix": id_prefix}
    if overlay is not None:
        how["overlay"] = asdict(overlay)
        how["style"] += overlay_css(theme)
    text = json.dumps([how, content], sort_keys=True, ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def link(source_url: str, place: Location) -> str:
    """The address of a definition."""
    return source_url.replace("{file}", place.file).replace("{line}", str(place.line))


def stamp_of(content: bytes) -> str | None:
    """The stamp in an SVG or a PNG; None without one."""
    found = _STAMP.search(content)
    return found[1].decode() if found else None


def stamped(png: bytes, stamp: str) -> bytes:
    """Add the stamp to a PNG, as a text chunk.

    https://www.w3.org/TR/png-3/#11tEXt
    """
    body = b"tEXt" + f"{NAME}\0{stamp}".encode("latin-1")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:_HEADER] + chunk + png[_HEADER:]
