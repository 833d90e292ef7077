"""The files that `durable-fsm new` writes: few, without a fault that a tool would find, and in plain English."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from durable_fsm.cli import main
from durable_fsm.cli.project import DEFAULT, FLAVOURS, ROOT, TEMPLATES
from tests.cli.terminal import PROGRAM
from tests.cli.test_first_ten_minutes import WITHOUT
from tests.prose import of_file
from tests.test_prose import faults

TOOLS = Path(sys.executable).parent
WRITTEN = [(name, flavour) for name, template in TEMPLATES.items() for flavour in template.flavours]
WRITTEN += [("seats", flavour) for flavour in FLAVOURS]
"""Templates and flavours; `seats` is the layer of a project that is written without a template."""
IDS = [f"{template}-{flavour}" for template, flavour in WRITTEN]
GREETERS = [(name, template) for name, (template, _) in zip(IDS, WRITTEN, strict=True) if template in TEMPLATES]
HOSTED_NOWHERE = ["seats-transitions", "plain-transitions"]
"""Projects that no other test runs."""


@dataclass(frozen=True)
class Written:
    """Projects by template and flavour: their folders, and the files that `new` has listed."""

    place: Path
    files: dict[str, list[str]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Every project."""
    place = tmp_path_factory.mktemp("projects")
    files: dict[str, list[str]] = {}
    for name, (template, flavour) in zip(IDS, WRITTEN, strict=True):
        chosen = ["--template", template] if template in TEMPLATES else []
        ran = CliRunner().invoke(main, ["new", "boat-trip", str(place / name), *chosen, "--flavour", flavour, "--json"])
        assert ran.exit_code == 0, ran.output
        files[name] = json.loads(ran.stdout)["files"]
    return Written(place, files)


def passes(*command: str | Path, cwd: Path) -> str:
    ran = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
    return ran.stdout


@pytest.mark.long
def test_linters_type_checkers_and_our_own_checks_find_nothing(written: Written) -> None:
    charts = [
        f"{name}/{TEMPLATES.get(template, DEFAULT).chart}:BoatTrip"
        for name, (template, _) in zip(IDS, WRITTEN, strict=True)
    ]
    for name in IDS:
        passes(TOOLS / "ruff", "check", "--no-cache", ".", cwd=written.place / name)
        passes(TOOLS / "ruff", "format", "--no-cache", "--check", ".", cwd=written.place / name)

    passes(TOOLS / "pyright", "--pythonpath", sys.executable, ".", cwd=written.place)
    found = json.loads(passes(*PROGRAM, "check", "--json", *charts, cwd=written.place))

    assert [(one["chart"], one["problems"], one["warnings"]) for one in found] == [("BoatTrip", [], [])] * len(charts)


EDGES = """
import json, sys
from durable_fsm.frontends.locate import locate_chart
for target in sys.argv[1:]:
    print(json.dumps([(one.source, *one.events, *one.targets) for one in locate_chart(target).chart.transitions]))
"""


@pytest.mark.long
def test_every_template_has_the_same_chart_in_either_library(written: Written) -> None:
    charts = [f"{written.place}/{name}/{TEMPLATES[template].chart}:BoatTrip" for name, template in GREETERS]

    printed = passes(sys.executable, "-c", EDGES, *charts, cwd=written.place)

    edges = [
        ["notifying", "done.invoke.notifying", "pausing"],
        ["pausing", "pause_over", "reminding"],
        ["reminding", "done.invoke.reminding", "greeted"],
        ["notifying", "error.invoke.notifying", "failed"],
        ["reminding", "error.invoke.reminding", "failed"],
    ]
    found = [sorted(json.loads(line)) for line in printed.splitlines()]
    assert found == [sorted(edges)] * len(GREETERS)


@pytest.mark.long
@pytest.mark.parametrize("name", HOSTED_NOWHERE)
def test_the_tests_of_a_project_pass(written: Written, name: str) -> None:
    ran = passes(sys.executable, "-m", "pytest", "-q", *WITHOUT, cwd=written.place / name)

    assert "3 passed" in ran


@pytest.mark.long
@pytest.mark.parametrize("name", ["seats-python-statemachine", "plain-python-statemachine"])
def test_the_diagram_of_a_project_is_the_one_that_its_settings_describe(written: Written, name: str) -> None:
    passes(*PROGRAM, "diagram", "--check", cwd=written.place / name)


@pytest.mark.parametrize("name", IDS)
def test_a_project_is_small_complete_and_in_plain_english(written: Written, name: str) -> None:
    files = [written.place / name / file for file in written.files[name]]
    [picture] = [file for file in files if file.suffix == ".svg"]
    texts = [file for file in files if file != picture]
    prose = [file for file in texts if file.suffix in (".md", ".py", ".yaml")]

    assert len(files) <= 15
    assert sum(len(file.read_text("utf-8").splitlines()) for file in texts) < 600
    assert {"README.md", ".gitignore"} < {file.name for file in files}
    assert any(file.name.startswith("test_") for file in files)
    assert f"]({picture.name})" in (written.place / name / "README.md").read_text("utf-8")
    assert [fault for file in prose for fault in faults(of_file(file), file.name)] == []


def test_the_script_names_the_packages_that_the_projects_name() -> None:
    settings = tomllib.loads((ROOT / "greeter" / "pyproject.toml").read_text("utf-8"))
    asked = json.dumps(settings["project"]["dependencies"])

    assert f"# dependencies = {asked}\n" in (ROOT / "single-file" / "app.py").read_text("utf-8")
