"""Distributions of this environment: which ones a requirement needs, and wheels of them, to install them elsewhere.

Tests install projects into environments of their own, from such wheels: what is installed here needs no network.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import zipfile
from collections.abc import Iterable, Iterator
from email import message_from_string
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OF_THIS_PLACE = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json"}
"""Files that an installer adds to the metadata of a distribution."""
UNCHECKED = (1).to_bytes(4, "little")
"""Flags of bytecode that is used whatever time its source has."""


def needed_by(requirements: Iterable[str], extra: str = "") -> set[str]:
    """Find the distributions of these requirements, and of their own requirements, with an extra or without."""
    found: set[str] = set()
    for requirement in map(Requirement, requirements):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            found.add(canonicalize_name(requirement.name))
            for wanted in ("", *requirement.extras):
                found |= needed_by(metadata.requires(requirement.name) or [], wanted)
    return found


def packed(name: str, place: Path) -> Path:
    """Make a wheel of an installed distribution in *place*, with its bytecode."""
    found = metadata.distribution(name)
    directory = next(file.parts[0] for file in found.files or () if file.name == "METADATA")
    tags = message_from_string(found.read_text("WHEEL") or "").get_all("Tag", [])
    compressed = "-".join(".".join(sorted(set(part))) for part in zip(*(tag.split("-") for tag in tags), strict=True))
    wheel = place / f"{directory.removesuffix('.dist-info')}-{compressed}.whl"
    with zipfile.ZipFile(wheel, "w") as content:
        for path, data in contents(found, directory):
            content.writestr(path, data)
    return wheel


def contents(found: metadata.Distribution, directory: str) -> Iterator[tuple[str, bytes]]:
    """The files of a wheel: path and content. Programs are left out, because installers write them."""
    record = []
    for file in found.files or ():
        if ".." in file.parts or "__pycache__" in file.parts:
            continue
        if file.parts[0] == directory and file.name in OF_THIS_PLACE:
            continue
        source = Path(str(found.locate_file(file)))
        yield str(file), source.read_bytes()
        record.append(str(file))
        compiled = Path(importlib.util.cache_from_source(source))
        if file.suffix == ".py" and compiled.is_file():
            path = f"{file.parent.as_posix()}/__pycache__/{compiled.name}"
            yield path, valid_anywhere(compiled.read_bytes())
            record.append(path)
    listed = io.StringIO()
    csv.writer(listed).writerows((path, "", "") for path in (*record, f"{directory}/RECORD"))
    yield f"{directory}/RECORD", listed.getvalue().encode()


def valid_anywhere(bytecode: bytes) -> bytes:
    """The bytecode of a file, such that it is used for a copy of the file, which has another time."""
    return bytecode[:4] + UNCHECKED + bytes(8) + bytecode[16:]
