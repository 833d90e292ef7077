"""Wheels of durable_fsm and of all that it needs, from which projects are installed without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from tests.distributions import needed_by, packed
from tests.installed import NAME, ROOT

EXTRAS = ("", "diagrams", "testing", "transitions")
BESIDES = ("hatchling", "httpx", "pytest")
"""Distributions that projects name themselves."""


@dataclass(frozen=True)
class Wheelhouse:
    """A folder of wheels. Installers with the variables `env` take packages from there, and from nowhere else."""

    wheels: Path
    cache: Path

    @classmethod
    def filled(cls, folder: Path) -> Wheelhouse:
        """Make the wheels in *folder*, unless another process has made them."""
        house = cls(folder / "wheels", folder / "cache")
        if house.wheels.is_dir():
            return house
        place = folder / "unfinished"
        place.mkdir(parents=True)
        ours = own_wheel(place)
        [found] = metadata.distributions(path=[str(ours)])
        asked = [requirement for requirement in found.requires or [] if Requirement(requirement).name != NAME]
        for name in set().union(needed_by(BESIDES), *(needed_by(asked, extra) for extra in EXTRAS)):
            packed(name, place)
        place.rename(house.wheels)
        return house

    @property
    def env(self) -> dict[str, str]:
        """The variables of this process that installers need, and those that show them the wheels."""
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(self.cache),
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_NO_COMPILE": "1",  # the wheels contain bytecode
            "PIP_NO_INDEX": "1",
            "UV_CACHE_DIR": str(self.cache),
            "UV_FIND_LINKS": str(self.wheels),
            "UV_NO_CONFIG": "1",
            "UV_OFFLINE": "1",
            "UV_PYTHON": sys.executable,
            "UV_PYTHON_DOWNLOADS": "never",
        }


def own_wheel(place: Path) -> Path:
    """A wheel of durable_fsm: of the installed one, or of the sources if these are installed for developers."""
    installed = metadata.distribution(NAME)
    if any(file.name == "__init__.py" for file in installed.files or ()):
        return packed(NAME, place)
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(place)]
    subprocess.run(build, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    [wheel] = place.glob("durable_fsm-*.whl")
    return wheel
