"""Dockerfiles, read: what they copy and run, so that a test can do the same without Docker."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

Stage = list[tuple[str, str]]
"""Instructions and their arguments, in order."""


@dataclass(frozen=True)
class Image:
    """The stages of a Dockerfile; the last one is the image."""

    stages: tuple[Stage, ...]

    @classmethod
    def read(cls, dockerfile: Traversable) -> Image:
        stages: list[Stage] = []
        for line in dockerfile.read_text("utf-8").replace("\\\n", "").splitlines():
            word, _, rest = line.partition(" ")
            if word == "FROM":
                stages.append([])
            elif word and word != "#":
                stages[-1].append((word, rest.strip()))
        return cls(tuple(stages))

    @property
    def command(self) -> list[str]:
        """The command of a container: ENTRYPOINT and CMD, each a list, so that no shell keeps signals from it."""
        last = dict(self.stages[-1])
        return [*json.loads(last["ENTRYPOINT"]), *json.loads(last["CMD"])]

    @property
    def user(self) -> str:
        return dict(self.stages[-1])["USER"]

    def build(self, context: Path, place: Path, env: Mapping[str, str]) -> Path:
        """Take the steps of the first stage, with *place* as root directory; return the environment `/venv` there."""
        working = place
        for word, rest in self.stages[0]:
            if word == "WORKDIR":
                working = place / rest.lstrip("/")
                working.mkdir(parents=True)
            elif word == "COPY":
                *sources, _here = rest.split()
                for source in sources:
                    shutil.copy(context / source, working)
            elif word == "RUN":
                script = rest.replace("/venv", str(place / "venv"))
                subprocess.run(["/bin/sh", "-euc", script], cwd=working, env=env, check=True, timeout=300)
        return place / "venv"
