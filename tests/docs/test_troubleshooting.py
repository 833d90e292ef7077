"""docs/troubleshooting.md: every finding of doctor has a row, and every message that it quotes is one that we print."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from durable_fsm.cli.register import REMEDIES, explained

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
SOURCES = [*sorted((ROOT / "src").rglob("*.py")), *sorted((ROOT / "tests" / "cli").glob("*.txt"))]

OF_OTHERS = {
    "externally-managed-environment",  # pip
    "option --json: is unknown",  # curl
    "durable-fsm: command not found",  # the shell
    "No module named 'fcntl'",  # Python on Windows
    "service 'Order' not found",  # Restate, here and below
    "but the handler 'pay' was not found",
    "Connection refused",
    "status code '404'",
    "status code '401'",
    "Empty content-type",
    "the invoked service is not public",
    "Found a mismatch",
    "META0003",
}
"""Symptoms that we do not print ourselves."""


def section(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def rows_of(text: str) -> list[list[str]]:
    """The rows of the tables of a text, without their heads."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    heads = {number - 1 for number, row in enumerate(rows) if set("".join(row)) <= set("-|")}
    return [row for number, row in enumerate(rows) if number not in heads and number - 1 not in heads]


def findings() -> set[str]:
    """The kinds of all `Diagnosis(…)` in the source."""
    calls = [
        node
        for path in SOURCES
        if path.suffix == ".py" and "Diagnosis(" in (source := path.read_text("utf-8"))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Diagnosis"
    ]
    return {str(call.args[0].value) for call in calls if isinstance(call.args[0], ast.Constant)}


def test_every_finding_of_doctor_has_its_row_and_no_other() -> None:
    rows = [row[0].strip("`") for row in rows_of(section("Findings of `doctor`"))]

    assert len(findings()) > 15
    assert rows == sorted(findings())


def test_every_row_has_a_symptom_a_cause_and_something_to_do() -> None:
    rows = rows_of(PAGE)

    assert len(rows) > 70
    assert [row for row in rows if len(row) < 3 or not all(row)] == []


def test_every_message_that_is_quoted_is_one_that_we_print() -> None:
    printed = "".join(re.sub(r'"\s*f?"', "", path.read_text("utf-8")) for path in SOURCES)
    columns = {"A request is refused": 1}
    quoted = [
        message
        for part in PAGE.split("\n## ")[1:]
        if not part.startswith("Findings")
        for row in rows_of(part)
        for message in re.findall(r"`([^`]+)`", row[columns.get(part.partition("\n")[0], 0)])
    ]

    assert len(quoted) > 40
    assert [message for message in quoted if message not in OF_OTHERS and message not in printed] == []


def test_a_service_at_another_path_is_not_called_unreachable() -> None:
    refused = "Restate refuses POST /deployments: [META0003] got status code '404'. Body: {}."

    told = explained(refused, "http://api:9080/")

    assert told.endswith("name their path as well, as in http://api:9080/machines.")
    assert explained("[META0004] x", "http://api:9080").endswith(REMEDIES["META0004"].format(url="http://api:9080"))
    assert explained("[META9999] x", "http://api:9080") == "[META9999] x"
