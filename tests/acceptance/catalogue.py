"""What `catalogue.toml` says of the applications, and the README's table of them.

python -m tests.acceptance.catalogue     writes the table
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BEGIN, END = "<!-- applications -->\n", "<!-- /applications -->\n"


@dataclass(frozen=True)
class Row:
    """An application of the catalogue; without a machine it is open."""

    id: str
    name: str
    machine: str = ""
    shows: str = ""
    scenarios: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def read(cls, row: str, said: Any) -> Row:  # Any: TOML
        if isinstance(said, str):
            return cls(row, said)
        scenarios = tuple((scenario, tuple(tests)) for scenario, tests in said["scenarios"].items())
        return cls(row, said["name"], said["machine"], said["shows"], scenarios)


def rows() -> list[Row]:
    found = tomllib.loads((HERE / "catalogue.toml").read_text())
    return sorted((Row.read(row, said) for row, said in found.items()), key=lambda row: row.id)


def table() -> str:
    """The delivered applications, as Markdown."""
    lines = ["| | application | shows | scenarios |", "|---|---|---|---|"]
    lines += [
        f"| {row.id} | [{row.name}](machines/{row.machine}) | {row.shows} |"
        f" [{len(row.scenarios)}](tests/acceptance/test_{row.machine}.py) |"
        for row in rows()
        if row.machine
    ]
    return "\n".join(lines) + "\n"


def in_readme(text: str) -> str:
    """The README with the table as it should be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(in_readme(readme.read_text()))
