"""python-statemachine's source distribution: its documentation, its examples and the W3C's test documents.

It is fetched when the tests run, checked, and kept per user; nothing of it is in this repository.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path

PACKAGE, VERSION = "python-statemachine", "3.2.2"
SHA256 = "5968c5e07a537f7531b8b1d0a0d5067a3452c88941fa0ac6c244870d48f78325"
WANTED = re.compile(r"[^/]+/(tests/scxml/w3c/.*|tests/examples/.*|docs/.*\.md|tests/__init__\.py)")


@cache
def sources() -> Path:
    """The folder that holds `docs` and `tests` of the library."""
    folder = _kept()
    if not folder.is_dir():
        _fetch(folder)
    return folder


def _kept() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "durable_fsm" / f"{PACKAGE}-{VERSION}-sources"


def _fetch(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as room:
        wanted = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", f"{PACKAGE}=={VERSION}"]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", room, *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        archives = list(Path(room).glob("*.tar.gz"))
        if done.returncode or not archives:
            raise RuntimeError(
                f"{PACKAGE}'s sources cannot be fetched: pip needs network access. {done.stderr.strip()}"
            )
        digest = hashlib.sha256(archives[0].read_bytes()).hexdigest()
        if digest != SHA256:
            raise RuntimeError(f"{archives[0].name} has the checksum {digest}, not {SHA256}")
        with tarfile.open(archives[0]) as archive:
            archive.extractall(room, [member for member in archive if WANTED.fullmatch(member.name)], filter="data")
        (found,) = (path for path in Path(room).iterdir() if path.is_dir())
        found.rename(folder)
