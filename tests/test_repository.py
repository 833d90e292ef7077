"""The committed files run anywhere: they name no local path, and the wheel declares all its dependencies."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest

from tests.distributions import needed_by

ROOT = Path(__file__).parents[1]

# The patterns do not match their own text in this file.
INDEX = re.compile(r"pypi[.]org/simple|pythonhosted[.]org|registry[.]npmjs|index[-]url|find[-]links|file[:]//")
HOME = re.compile(r"/(?:home|root|Users)/[\w.]")
SIBLING = re.compile(r"(?<![\w*|])shared[/](?=[\w.])")


def tracked() -> list[Path]:
    """List every file that is committed, or would be by `git add --all`."""
    try:
        ran = subprocess.run(
            ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("Not a git checkout.")
    return [ROOT / name for name in ran.stdout.split("\0") if name and (ROOT / name).is_file()]


def traces(text: str, neighbours: Iterable[str]) -> list[str]:
    """Find the parts of *text* that are valid on one computer only."""
    local = re.compile("|".join(re.escape(path) + r"(?![\w-])" for path in neighbours) or r"(?!)")
    patterns = (INDEX, HOME, SIBLING, local)
    return [match.group() for pattern in patterns for match in pattern.finditer(text)]


def neighbours_of(root: Path) -> list[str]:
    """List *root* and its neighbours, unless they belong to the system."""
    if root.parent == Path(root.anchor) or root.parent == Path(tempfile.gettempdir()):
        return [str(root)]
    return [str(path) for path in root.parent.iterdir()]


def test_no_committed_text_names_a_path_of_one_computer() -> None:
    neighbours = neighbours_of(ROOT)
    found: dict[str, list[str]] = {}

    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if left := traces(text, neighbours):
            found[str(path.relative_to(ROOT))] = left

    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "see ../shared" + "/NOTES.md",
        "read `shared" + "/notes`",
        "cd /home/" + "ada/durable_fsm",
        "source = '/" + "projects/elsewhere/x'",
        "pip install --index" + "-url=https://mirror.example",
        "https://pypi" + ".org/simple/six",
    ],
)
def test_a_local_path_is_found(text: str) -> None:
    assert len(traces(text, ["/" + "projects/durable_fsm", "/" + "projects/elsewhere"])) == 1


@pytest.mark.long
def test_the_wheel_works_with_its_declared_dependencies_only(tmp_path: Path) -> None:
    """Install the wheel beside its declared dependencies only, and use every public name."""
    python = tmp_path / "venv" / "bin" / "python"
    venv.create(tmp_path / "venv", symlinks=True)
    place = next(tmp_path.glob("venv/lib/python*/site-packages"))
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, ROOT)
    pip("--python", python, "install", "--no-deps", "--no-index", *tmp_path.glob("durable_fsm-*.whl"))
    installed = metadata.Distribution.at(next(place.glob("durable_fsm-*.dist-info")))
    lend(needed_by(installed.requires or []), place)

    program = "import durable_fsm as d; print(d.__file__, *(getattr(d, n) for n in d.__all__ if n not in d._EXTRAS))"
    ran = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=False)
    extra = "from durable_fsm import TransitionsConfig"
    without = subprocess.run([python, "-I", "-c", extra], capture_output=True, text=True, check=False)

    assert without.stderr.endswith("TransitionsConfig needs transitions: pip install 'durable-fsm[transitions]'\n")
    assert ran.stderr == ""
    assert ran.stdout.startswith(str(place))
    assert (place / "durable_fsm" / "py.typed").is_file()


def test_the_package_claims_the_python_versions_on_which_it_is_tested() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project, running = settings["project"], "{}.{}".format(*sys.version_info)
    claimed = [found.group(1) for one in project["classifiers"] if (found := re.search(r":: Python :: (3\.\d+)$", one))]
    images = re.findall(r"^FROM python:(3\.\d+)", (ROOT / "deploy" / "Dockerfile").read_text("utf-8"), re.MULTILINE)

    oldest = claimed[0]
    assert project["requires-python"] == f">={oldest}"
    assert settings["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert settings["tool"]["mypy"]["python_version"] == settings["tool"]["pyright"]["pythonVersion"] == oldest
    assert set(images) <= set(claimed)
    if running not in claimed and "CI" not in os.environ:
        pytest.skip(f"This is Python {running}. The package claims {claimed}, on which CI runs these tests.")
    assert claimed == [running]


def pip(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], check=True)


def lend(names: Iterable[str], place: Path) -> None:
    """Make distributions of this interpreter importable from *place*, without copying or fetching them."""
    for name in names:
        distribution = metadata.distribution(name)
        tops = {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            (place / top).symlink_to(Path(str(distribution.locate_file(top))))


def test_no_two_applications_of_the_server_tests_have_a_chart_of_the_same_name() -> None:
    chart = re.compile(r"^(?:class (\w+)\([^)]*StateChart\b.*\)|(\w+) = TransitionsConfig\()", re.MULTILINE)
    apps = [one for pattern in ("*_app.py", "*charts.py") for one in (ROOT / "tests/server").glob(pattern)]

    homes: dict[str, set[str]] = {}
    for app in apps:
        for one, other in chart.findall(app.read_text(encoding="utf-8")):
            homes.setdefault(one or other, set()).add(app.name)

    assert len(homes) > 50
    assert {name: apps for name, apps in homes.items() if len(apps) > 1} == {}
