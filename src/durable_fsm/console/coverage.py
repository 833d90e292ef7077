"""Coverage of charts by tests and explorations, from the files that these write.

pytest --fsm-coverage=FILE      how often rehearsals took each transition of each chart
durable-fsm explore --save      how often the search took each transition of one chart
durable-fsm explore --json      the transitions that the search never took
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from durable_fsm.core.chart import Chart


class NotACoverage(ValueError):
    """A file does not say which transitions were taken."""


@dataclass(frozen=True)
class CoverageReport:
    """The transitions of a chart that were taken, as one file says it.

    Attributes:
        taken: their keys; None if the file has only the others.
        never: keys of the others.
        digest: that of the chart as it was then; empty if the file does not say it.
    """

    file: str
    taken: frozenset[str] | None
    never: frozenset[str] = frozenset()
    digest: str = ""

    def of(self, chart: Chart) -> frozenset[str]:
        """Keys of the transitions of a chart that were taken."""
        keys = frozenset(edge.key for edge in chart.transitions)
        return keys - self.never if self.taken is None else keys & self.taken

    def is_old(self, chart: Chart) -> bool:
        """Whether the chart has changed since."""
        return self.digest not in ("", chart.digest)


def covered_by(chart: Chart | None, reports: Iterable[CoverageReport]) -> frozenset[str] | None:
    """Keys of the transitions that any of these reports has; None if there is no report."""
    found = [] if chart is None else [report.of(chart) for report in reports]
    return frozenset[str]().union(*found) if found else None


def read_coverage(files: Iterable[Path]) -> dict[str, tuple[CoverageReport, ...]]:
    """Read files of coverage; the reports in them, by name of the chart.

    Raises:
        NotACoverage: one of them cannot be read, or is something else.
    """
    found: dict[str, tuple[CoverageReport, ...]] = {}
    for file in files:
        try:
            document: Any = json.loads(file.read_text("utf-8"))  # Any: JSON of one of three forms
            reports = [*_reports(file.name, document)]
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise NotACoverage(
                f"'{file}' does not say which transitions were taken: {error}. Name a file of pytest --fsm-coverage,"
                " or of durable-fsm explore --save or --json."
            ) from error
        for name, report in reports:
            found[name] = (*found.get(name, ()), report)
    return found


def _reports(file: str, document: Any) -> Iterator[tuple[str, CoverageReport]]:  # Any: JSON
    many = cast("Iterable[Any]", document) if isinstance(document, list) else [document]
    for one in many:
        if "charts" in one:
            for name, part in one["charts"].items():
                yield name, _counted(file, part)
        elif "transitions" in one:
            yield str(one["chart"]), _counted(file, one)
        else:
            unreached: list[str] = one["unreached"]
            yield str(one["chart"]), CoverageReport(file, None, frozenset(unreached))


def _counted(file: str, part: Mapping[str, Any]) -> CoverageReport:  # Any: JSON
    counts: dict[str, int] = part["transitions"]
    taken = frozenset(key for key, count in counts.items() if count > 0)
    return CoverageReport(file, taken, frozenset(counts) - taken, str(part.get("digest", "")))
