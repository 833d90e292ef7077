"""A hash of everything that a picture says, written into it: the same chart is the same, wherever it was laid out.

Another version of Graphviz places things otherwise, another font draws other pixels; the stamp stays.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from dataclasses import asdict

from durable_fsm.core.values import Location
from durable_fsm.diagram.graph import Graph
from durable_fsm.diagram.theme import Theme, css

DRAWING = 1
"""Our way to draw. Raise it when the same graph becomes another picture, so that committed pictures are made anew."""

NAME = "data-model"
_STAMP = re.compile(rb'data-model(?:="|\0)(sha256:[0-9a-f]{64})')
_HEADER = 8 + 25
"""Bytes of a PNG before its second chunk: the signature, and the chunk IHDR."""


def stamp(graph: Graph, *, theme: Theme, direction: str, id_prefix: str, source_url: str | None) -> str:
    """`sha256:…` of what a picture of *graph* shows, and how; not of where things are."""
    said = asdict(graph)
    for item in (*said["nodes"], *(label for edge in said["edges"] for label in edge["labels"])):
        place = item.pop("location")
        if source_url is not None and place is not None:
            item["link"] = link(source_url, Location(**place))
    how = {"drawing": DRAWING, "style": css(theme), "direction": direction, "id_prefix": id_prefix}
    text = json.dumps([how, said], sort_keys=True, ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def link(source_url: str, place: Location) -> str:
    """Where a definition can be read."""
    return source_url.replace("{file}", place.file).replace("{line}", str(place.line))


def stamp_of(content: bytes) -> str | None:
    """The stamp that an SVG or a PNG carries."""
    found = _STAMP.search(content)
    return found[1].decode() if found else None


def stamped(png: bytes, stamp: str) -> bytes:
    """The PNG with a chunk of text that holds the stamp.

    https://www.w3.org/TR/png-3/#11tEXt
    """
    body = b"tEXt" + f"{NAME}\0{stamp}".encode("latin-1")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:_HEADER] + chunk + png[_HEADER:]
