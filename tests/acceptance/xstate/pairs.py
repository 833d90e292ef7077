"""The cases of `cases/`, each read twice: from its JSON and as the class that was written for it by hand.

A case is a file: the machine as XState has it, and stories. A story is a list of requests (handler, body, and the status
that it is answered with, 200 if none is given), and what the machine has done and is in the end: a line for each
microstep, with its event (`.` if there is none), the states that were left (-) and those that were entered (+).

`python -m tests.acceptance.xstate.pairs` writes the table of cases into docs/xstate.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durable_fsm import XStateConfig, durable

CASES = Path(__file__).parent / "cases"
IN_XSTATE = Path(__file__).parent / "in_xstate.mjs"
"""Tells the stories to XState itself."""

PAGE = Path(__file__).parents[3] / "docs" / "xstate.md"
BEGIN, END = "<!-- cases -->\n", "<!-- /cases -->\n"

Outside = Callable[[str], object]
"""The world outside: it is told what was done. A call that it refuses is retried."""


@dataclass(frozen=True)
class Pair:
    """One case: its file, and the two definitions."""

    name: str
    case: dict[str, Any]
    from_json: XStateConfig
    by_hand: type

    @property
    def stories(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.case["stories"]
        return found


PAIRS: dict[str, Pair] = {}


def case_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text())
    return found


def pair(name: str, by_hand: type, hosting: Mapping[str, Any] | None = None, **read: Any) -> None:
    """Add a case. *hosting* are options for both, *read* are the functions for the names in its JSON."""
    case, options = case_of(name), hosting or {}
    from_json = XStateConfig(case["machine"], f"{name}_json", **read, **options)
    PAIRS[name] = Pair(name, case, from_json, durable(name=f"{name}_by_hand", **options)(by_hand))


def child(name: str, id: str, **read: Any) -> XStateConfig:
    """A machine that the machine of a case runs."""
    return XStateConfig(case_of(name)["machines"][id], f"{id}_json", **read)


def in_page(text: str) -> str:
    """The page with its table of cases brought up to date."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = ["| case | shows | in the original |", "|---|---|---|"]
    for name in sorted(path.stem for path in CASES.glob("*.json")):
        case = case_of(name)
        lines.append(f"| `{name}` | {case['shows']} | {case['original']} |")
    return f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(in_page(PAGE.read_text()))
