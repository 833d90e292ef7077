"""Check that every scenario of the catalogue has tests, and every application its page, picture and rehearsal."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from durable_fsm.cli.project import TEMPLATES
from tests.acceptance.catalogue import PAGE, ROOT, Row, in_page, rows

SECRETS = ("STRIPE_SECRET", "RESTAURANT_SECRET", "SLACK_SIGNING_SECRET")
DELIVERED = [row for row in rows() if row.machine]
TEMPLATED = [row for row in rows() if row.template]


def named_in(module: str) -> set[str]:
    tree = ast.parse((ROOT / module).read_text())
    return {one.name for one in tree.body if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")}


def test_every_row_of_the_catalogue_is_named() -> None:
    assert [row.id for row in rows()] == [f"R{number:02}" for number in range(1, 28)]


@pytest.mark.parametrize("row", DELIVERED + TEMPLATED, ids=lambda row: row.id)
def test_each_scenario_names_tests_that_exist(row: Row) -> None:
    assert [scenario for scenario, _ in row.scenarios] == [f"{row.id}.{n + 1}" for n in range(len(row.scenarios))]
    for scenario, tests in row.scenarios:
        assert tests, f"{scenario} has no test"
        for test in tests:
            module, _, name = test.partition("::")
            assert name in named_in(f"{row.tests.rpartition('/')[0]}/{module}"), (
                f"{scenario} names {test}, which is not there"
            )


@pytest.mark.parametrize("row", DELIVERED, ids=lambda row: row.id)
def test_each_application_tests_its_chart_its_rehearsal_its_requests_and_its_readme(row: Row) -> None:
    there = named_in(row.tests)

    for beginning in ("test_restate_has_completed", "test_the_chart", "test_the_server_does", "test_the_commands"):
        assert any(name.startswith(beginning) for name in there), f"{row.id} has no {beginning}…"


@pytest.mark.parametrize("row", DELIVERED, ids=lambda row: row.id)
def test_each_application_has_its_page_its_picture_and_its_rehearsal(row: Row) -> None:
    place = ROOT / "machines" / row.machine
    page = (place / "README.md").read_text()
    drawn = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["durable_fsm"]["diagrams"]["machines"]

    assert f"(../../diagrams/{row.machine}.svg)" in page
    assert (ROOT / drawn["output"].replace("{name}", row.machine)).is_file()
    assert place / "machine.py" in ROOT.glob(drawn["target"])
    assert (place / f"test_{row.machine}.py").is_file()
    assert (place / "service.py").is_file()


def test_each_template_of_the_catalogue_can_be_chosen() -> None:
    assert {row.template for row in TEMPLATED} <= TEMPLATES.keys()


def test_each_application_runs_alone_wherever_dev_is_called(tmp_path: Path) -> None:
    places = sorted(place for place in (ROOT / "machines").iterdir() if (place / "service.py").is_file())
    program = """
import sys
from durable_fsm.cli.app_arg import find_app
from durable_fsm.frontends.locate import locate_charts
for place in sys.argv[1:]:
    print(*[chart.name for chart in locate_charts(find_app(place).target)])
"""

    found = subprocess.run(
        [sys.executable, "-c", program, *map(str, places)],
        cwd=tmp_path,
        env={**os.environ, **dict.fromkeys(SECRETS, "whatever")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert found.stderr == ""
    assert len(found.stdout.splitlines()) == len(places) > len(DELIVERED)


@pytest.mark.parametrize("row", DELIVERED, ids=lambda row: row.id)
def test_each_chart_file_has_less_than_150_lines(row: Row) -> None:
    assert len((ROOT / "machines" / row.machine / "machine.py").read_text().splitlines()) < 150


def test_the_table_of_all_applications_is_up_to_date() -> None:
    page = PAGE.read_text()

    assert page == in_page(page), "run: python -m tests.acceptance.catalogue"


def test_the_readme_names_every_application_once() -> None:
    _, _, rest = (ROOT / "README.md").read_text().partition("\n## Applications\n")
    named = re.findall(r"[^,|`()]+(?= \(|[,|`]|\Z)", rest.partition("\n## ")[0])

    counted = Counter(name.strip() for name in named)

    assert {row.name: counted[row.template or row.name] for row in rows()} == {row.name: 1 for row in rows()}
