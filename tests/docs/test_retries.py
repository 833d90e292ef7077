"""docs/retries.md: its waits, options and names are those of the code. Its Python runs with the snippets of all pages."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

from durable_fsm.core.chart import Retry
from durable_fsm.restate.observability import report, tracing

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "retries.md").read_text("utf-8")


def test_the_waits_of_the_default_policy_are_those_of_the_page() -> None:
    [row] = re.findall(r"^\| wait \| (.*) \|$", PAGE, re.MULTILINE)

    waits = [f"{Retry().delay(attempt).total_seconds():g} s" for attempt in range(1, 10)]

    assert row.split(" | ") == waits[:-1]
    assert waits[-1] == waits[-2]


def test_every_option_of_a_policy_has_a_row() -> None:
    table = PAGE.partition("| `Retry` | default |")[2].partition("\n\n")[0]

    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [option.name for option in fields(Retry)]


def test_the_log_lines_and_counters_of_the_page_exist() -> None:
    source = inspect.getsource(report)
    counters = {tracing.RETRIES, tracing.ACTIVITIES, tracing.PARKED}

    assert {f"durable_fsm.{name}" for name in re.findall(r"`durable_fsm\.(\w+)`", PAGE)} == counters
    for kind in ("retried", "raised", "ended", "failed", "parked"):
        assert f'"{kind}"' in source
