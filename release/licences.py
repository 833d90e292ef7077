"""The packages that durable_fsm needs, and their licences: `python -m release.licences` writes THIRD_PARTY.md.

Everything comes from the metadata of what is installed, whose versions are those of constraints.txt.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from tests.distributions import needed_by

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "THIRD_PARTY.md"

CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""Classifiers that mean one licence. 'BSD License' means several: its text decides."""
TEXTS = {
    "Permission is hereby granted, free of charge": "MIT",
    "Neither the name": "BSD-3-Clause",
    "Redistributions in binary form": "BSD-2-Clause",
}
"""Words by which the text of a licence is known; the first that fits counts."""

ALLOWED = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "EPL-2.0", "MIT", "MPL-2.0", "OFL-1.1", "PSF-2.0"}
"""Licences that let anyone use durable_fsm in a program of their own, whatever its licence."""

HEAD = """# Third-party packages

durable_fsm installs these packages, and those of an extra only with that extra. `python -m release.licences` writes this
table from the metadata of the versions that our tests use, for Python {python} on Linux. A test compares.

| package | version | licence | needed for |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Package:
    """A package that durable_fsm needs: directly or not, always or for some of its extras."""

    name: str
    version: str
    licence: str
    extras: tuple[str, ...]

    @property
    def needed_for(self) -> str:
        return ", ".join(f"extra `{extra}`" for extra in self.extras) or "durable_fsm"


def project() -> Any:  # Any: TOML
    """The table `project` of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def packages() -> list[Package]:
    """Every package that durable_fsm needs, by name."""
    always = needed_by(project()["dependencies"])
    extras = {name: needed_by(wanted) - always for name, wanted in project()["optional-dependencies"].items()}
    return [
        Package(
            name,
            metadata.version(name),
            licence_of(metadata.distribution(name)),
            tuple(sorted(extra for extra, names in extras.items() if name in names)),
        )
        for name in sorted(always.union(*extras.values()))
    ]


def licence_of(found: metadata.Distribution) -> str:
    """The licence of a distribution as an SPDX expression.

    Raises:
        ValueError: neither its metadata nor the text of its licence says it.
    """
    if expression := found.metadata.get_all("License-Expression"):
        return str(expression[0])
    prefix = "License :: OSI Approved :: "
    said = [one.removeprefix(prefix) for one in found.metadata.get_all("Classifier") or [] if one.startswith(prefix)]
    names = {CLASSIFIERS[one] for one in said if one in CLASSIFIERS} or set(licences_in(texts_of(found)))
    if not names:
        raise ValueError(
            f"{found.name} does not say its licence. Look it up, and add its words to release/licences.py."
        )
    return " OR ".join(sorted(names))


def texts_of(found: metadata.Distribution) -> list[str]:
    """The texts of the licences of a distribution."""
    files = [file for file in found.files or [] if re.match(r"(?i)licen[cs]e|copying", file.name)]
    return [Path(str(found.locate_file(file))).read_text("utf-8", errors="replace") for file in files]


def licences_in(texts: list[str]) -> Iterator[str]:
    for text in texts:
        plain = " ".join(text.split())
        yield from [name for words, name in TEXTS.items() if words in plain][:1]


def refused(expression: str) -> bool:
    """Whether a licence may not be what durable_fsm needs: one of those that must all hold is not allowed."""
    return any(
        not ALLOWED & set(re.findall(r"[\w.-]+", alternatives)) for alternatives in re.split(r"\bAND\b", expression)
    )


def page() -> str:
    """THIRD_PARTY.md."""
    python = project()["requires-python"].removeprefix(">=")
    rows = [f"| {one.name} | {one.version} | {one.licence} | {one.needed_for} |" for one in packages()]
    return HEAD.format(python=python) + "\n".join(rows) + "\n"


def locked() -> dict[str, str]:
    """The versions of constraints.txt, by name."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pairs = [line.split("==") for line in lines if "==" in line]
    return {canonicalize_name(name): version for name, version in pairs}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
