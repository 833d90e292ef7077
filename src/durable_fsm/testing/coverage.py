"""Coverage of charts by tests: which transitions the machines of a test run took, and how often."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from durable_fsm.core.chart import ROOT, Chart
from durable_fsm.core.effects import Microstep

FORMAT = 1


class ChartCoverage:
    """The counts of one chart."""

    def __init__(self, version: str, digest: str, every: Iterable[str]) -> None:
        self.version = version
        self.digest = digest
        self.transitions = Counter[str](dict.fromkeys(every, 0))
        self.states = Counter[str]()

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        counts = {"transitions": dict(self.transitions), "states": dict(sorted(self.states.items()))}
        return {"version": self.version, "digest": self.digest, **counts}


class TransitionCoverage:
    """Counts the transitions that rehearsals take; `saw` listens to them."""

    def __init__(self) -> None:
        self.charts: dict[str, ChartCoverage] = {}

    def saw(self, chart: Chart, microsteps: Sequence[Microstep]) -> None:
        """Count what a turn did."""
        found = self._of(chart.name, chart.version, chart.digest, [edge.key for edge in chart.transitions])
        for microstep in microsteps:
            found.transitions.update(key for key in microstep.transitions if key in found.transitions)
            found.states.update(id for id in microstep.entered if id != ROOT)

    def add(self, other: Mapping[str, Any]) -> None:  # Any: JSON that `to_json` made
        """Add what another process has counted."""
        for name, part in other["charts"].items():
            found = self._of(name, part["version"], part["digest"], part["transitions"])
            found.transitions.update(part["transitions"])
            found.states.update(part["states"])

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """As the file has it."""
        return {"format": FORMAT, "charts": {name: one.to_json() for name, one in sorted(self.charts.items())}}

    def write(self, file: Path) -> str:
        """Write the file; a sentence about it."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{json.dumps(self.to_json(), ensure_ascii=False, indent=1)}\n", encoding="utf-8")
        parts = [
            f"{name} {sum(map(bool, one.transitions.values()))}/{len(one.transitions)}"
            for name, one in sorted(self.charts.items())
        ]
        return f"transitions of charts, in {file}: {', '.join(parts) or 'no rehearsal ran'}"

    def _of(self, name: str, version: str, digest: str, every: Iterable[str]) -> ChartCoverage:
        """The counts of this build of a chart. A file has one build of each chart: the one that was seen last."""
        found = self.charts.get(name)
        if found is None or found.digest != digest:
            found = self.charts[name] = ChartCoverage(version, digest, every)
        return found
