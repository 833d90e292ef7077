"""The page *Changing a chart in production*: its commands print what it shows, and its migrations are those that are written.

DURABLE_FSM_WRITE_GOLDEN=1 writes them into the page.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from durable_fsm.cli import main
from durable_fsm.core.codec import snapshot_to_json
from durable_fsm.frontends.locate import locate_module
from durable_fsm.testing import Rehearsal

PAGE = Path(__file__).parents[2] / "docs" / "changing-a-chart.md"
FENCE = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MIGRATIONS = re.compile(r", migrations=\[migration\(.*\)\]\)$", re.MULTILINE)

ORDERS: tuple[tuple[int, tuple[Any, ...]], ...] = (
    (6, ()),
    (2, (("checkout", 5_000),)),
    (3, (("checkout", 500),)),
    (5, (("checkout", 500), None)),
)
"""How many orders come where: by events, and the end of what runs."""


@dataclass
class Walk:
    """A folder with a build of the chart, the one before it, and the orders of that."""

    folder: Path
    builds: int = 0
    known: str = ""
    source: str = ""

    def deploy(self, block: str) -> None:
        """The next build: with what earlier blocks declare, and not their charts."""
        chart = block.index("@durable")
        if self.builds:
            (self.folder / "deployed.py").write_text(self.known + self.source, encoding="utf-8")
            self.export()
        self.known += block[:chart]
        self.source = block[chart:]
        self.builds += 1

    def export(self) -> None:
        sys.modules.pop("deployed", None)
        definition = locate_module(self.folder / "deployed.py").Order
        lines: list[str] = []
        for many, steps in ORDERS:
            for _ in range(many):
                order = Rehearsal(definition)
                order.create({"currency": "EUR"} if "currency" in self.known else {})
                for step in steps:
                    if step is None:
                        order.finish(order.snapshot.activities[0].id, "receipt")
                    else:
                        order.send(*step)
                record = snapshot_to_json(order.snapshot)
                line = {"format": 1, "chart": "Order", "key": f"o-{len(lines) + 1}", "snapshot": record}
                lines.append(json.dumps(line) + "\n")
        (self.folder / "orders.jsonl").write_text("".join(lines), encoding="utf-8")

    def run(self, command: str, *, migrating: bool) -> str:
        """What a command prints, as on a server."""
        sys.modules.pop("shop", None)
        source = self.source if migrating else MIGRATIONS.sub(")", self.source)
        (self.folder / "shop.py").write_text(self.known + source, encoding="utf-8")
        args = [*command.split()[1:], "--from", "orders.jsonl", "--old", "deployed.py:Order"]
        printed = CliRunner().invoke(main, args, catch_exceptions=False).stdout
        printed = printed.replace("(deployed)", "(deployed, dp_15nT…)")
        printed = re.sub(r"\(\S*shop\.py:\d+\)", "(shop.py:24)", printed)
        return printed.replace("from orders.jsonl", "as of 14:06:28, read in 31 ms")

    def written(self) -> str:
        [file] = sorted((self.folder / "migrations").iterdir())
        text = file.read_text("utf-8")
        file.unlink()
        for test in (self.folder / "tests").iterdir():
            test.unlink()
        return text


def told(walk: Walk, page: str) -> Iterator[tuple[int, int, str]]:
    """Where each block is that a command prints or writes, and what it prints or writes now."""
    migrating = pending = False
    for fence in FENCE.finditer(page):
        kind, block = fence.groups()
        if kind == "python" and "@durable" in block and not block.startswith('"""'):
            walk.deploy(block)
            migrating = False
            pending = walk.builds > 1
        elif kind == "console":
            command, _, _ = block.partition("\n")
            explains = "--explain" in command
            printed = walk.run(command.removeprefix("$ "), migrating=migrating or explains)
            migrating = migrating or pending
            yield *fence.span(2), f"{command}\n{printed}"
        elif block.startswith('"""From version'):
            yield *fence.span(2), walk.written()


def test_the_page_shows_what_is_printed_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    page = PAGE.read_text("utf-8")

    now, place = "", 0
    for begin, end, text in told(Walk(tmp_path), page):
        now, place = now + page[place:begin] + text, end
    now += page[place:]

    if os.environ.get("DURABLE_FSM_WRITE_GOLDEN"):
        PAGE.write_text(now, encoding="utf-8")
    assert now == PAGE.read_text("utf-8")
