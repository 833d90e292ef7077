"""`make test` tests the wheel: nothing that the tests start can import durable_fsm from `src/`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

import msgspec
import pytest

import durable_fsm
from durable_fsm.local.process import ServiceProcess
from tests.installed import NAME, lend_packages

ROOT = Path(__file__).parents[1]
PLACE = Path(sysconfig.get_path("purelib"))
WHERE = "import durable_fsm; print(durable_fsm.__file__)"


def is_editable(place: Path) -> bool:
    """Whether the installation of durable_fsm in *place* is one for developers, which imports `src/`."""
    for found in metadata.distributions(name=NAME, path=[str(place)]):
        return bool(json.loads(found.read_text("direct_url.json") or "{}").get("dir_info", {}).get("editable"))
    return False


wheel_only = pytest.mark.skipif(is_editable(PLACE), reason="Developers' environment: make test runs this in another.")


@wheel_only
def test_the_tested_package_is_the_installed_wheel() -> None:
    [found, *_] = metadata.distributions(name=NAME)

    assert Path(durable_fsm.__file__).parent == PLACE / "durable_fsm"
    assert Path(str(found.locate_file("durable_fsm"))) == PLACE / "durable_fsm"
    assert [place for place in sys.path if Path(place).resolve() == ROOT / "src"] == []


@wheel_only
@pytest.mark.parametrize(
    ("options", "path"),
    [
        pytest.param([], None, id="as it is"),
        pytest.param(["-I"], None, id="isolated"),
        pytest.param([], str(ROOT), id="with the checkout in PYTHONPATH"),
        pytest.param([], os.pathsep.join(sys.path), id="with our own path in PYTHONPATH"),
    ],
)
def test_a_process_of_a_test_imports_the_wheel(options: list[str], path: str | None) -> None:
    env = {**os.environ, "PYTHONPATH": path} if path else dict(os.environ)

    ran = subprocess.run(
        [sys.executable, *options, "-c", WHERE], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )

    assert Path(ran.stdout.strip()).parent == PLACE / "durable_fsm"


@wheel_only
def test_a_service_of_a_test_imports_the_wheel(tmp_path: Path) -> None:
    program = tmp_path / "where.py"
    program.write_text(WHERE)
    service = ServiceProcess.serving("shop:app", log=tmp_path / "log", app_dir=tmp_path)

    ran = subprocess.run(
        [service.command[0], program], env={**os.environ, **service.env}, capture_output=True, text=True, check=True
    )

    assert Path(ran.stdout.strip()).parent == PLACE / "durable_fsm"


@wheel_only
@pytest.mark.parametrize("program", ["durable-fsm", "pytest", "mkdocs"])
def test_a_program_of_the_environment_runs_with_its_own_interpreter(program: str) -> None:
    first = (Path(sysconfig.get_path("scripts")) / program).read_text("utf-8").splitlines()[0]

    assert first == f"#!{sys.executable}"


def test_packages_are_lent_without_the_editable_installation(tmp_path: Path) -> None:
    """An environment without a wheel has the packages of this one, and no durable_fsm unless this one has a wheel."""
    venv.create(tmp_path, symlinks=True)
    lend_packages(next(tmp_path.glob("lib/python*/site-packages")))

    def ran(program: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [tmp_path / "bin/python", "-I", "-c", program], capture_output=True, text=True, check=False
        )

    assert ran("import msgspec; print(msgspec.__file__)").stdout == f"{msgspec.__file__}\n"
    assert f"{ROOT / 'src'}\n" not in ran("import sys; print(*sys.path, sep='\\n')").stdout
