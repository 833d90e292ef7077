"""Read `catalogue.toml`, the list of applications, and write the table of them in machines/README.md.

python -m tests.acceptance.catalogue     writes the table
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "machines" / "README.md"
BEGIN, END = "<!-- applications -->\n", "<!-- /applications -->\n"


@dataclass(frozen=True)
class Row:
    """An application of the catalogue. It is a folder in `machines/`, or a template; one that is neither is not written yet."""

    id: str
    name: str
    machine: str = ""
    template: str = ""
    shows: str = ""
    scenarios: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def read(cls, row: str, entry: Any) -> Row:  # Any: TOML
        if isinstance(entry, str):
            return cls(row, entry)
        scenarios = tuple((scenario, tuple(tests)) for scenario, tests in entry["scenarios"].items())
        return cls(row, entry["name"], entry.get("machine", ""), entry.get("template", ""), entry["shows"], scenarios)

    @property
    def folder(self) -> str:
        """Where it is, below the root."""
        return f"machines/{self.machine}" if self.machine else f"src/durable_fsm/cli/templates/{self.template}"

    @property
    def tests(self) -> str:
        """The module with its scenarios, below the root."""
        if self.machine:
            return f"tests/acceptance/test_{self.machine}.py"
        return f"tests/templates/test_{self.template.replace('-', '_')}.py"


def rows() -> list[Row]:
    found = tomllib.loads((HERE / "catalogue.toml").read_text())
    return sorted((Row.read(row, entry) for row, entry in found.items()), key=lambda row: row.id)


def table() -> str:
    """The applications that are written, as a Markdown table."""
    lines = ["| application | shows | tests of scenarios |", "|---|---|---|"]
    lines += [
        f"| [{row.name}]({_from_page(row.folder)}) | {row.shows} | [{len(row.scenarios)}]({_from_page(row.tests)}) |"
        for row in rows()
        if row.scenarios
    ]
    return "\n".join(lines) + "\n"


def _from_page(place: str) -> str:
    """A place below the root as a link on the page."""
    return os.path.relpath(ROOT / place, PAGE.parent)


def in_page(text: str) -> str:
    """The page with its table brought up to date."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(in_page(PAGE.read_text()))
