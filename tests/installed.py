"""Make an environment that tests the wheel: `python -m tests.installed FOLDER`.

The environment has durable_fsm from a wheel built here. It has everything else from the environment that runs this
program, without copying or downloading it, but not what makes `src/` importable there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAME = "durable-fsm"


def make(folder: Path) -> Path:
    """Make the environment *folder* again, and return its interpreter."""
    folder = folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, symlinks=True)
    scripts, python = folder / "bin", folder / "bin" / "python"
    lend_packages(next(folder.glob("lib/python*/site-packages")))
    lend_programs(scripts)

    for program in scripts.glob(NAME):
        program.unlink()  # it is the wheel's to bring
    wheels = folder / "wheels"
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", wheels)
    [wheel] = wheels.glob("*.whl")
    run(sys.executable, "-m", "pip", "--quiet", "--python", python, "install", "--no-deps", "--no-index", wheel)
    return python


def lend_packages(place: Path) -> None:
    """Let the packages of this environment be imported in the one whose site-packages are *place*.

    Python reads the .pth files of site-packages, but not those of folders that a .pth file names: those of other
    packages are copied, and that of the editable installation of durable_fsm is not.
    """
    ours = Path(sysconfig.get_path("purelib"))
    editable = {file.name for file in metadata.distribution(NAME).files or ()}
    (place / "_lent.pth").write_text(f"{ours}\n", encoding="utf-8")  # named so that it is read before the others
    for file in ours.glob("*.pth"):
        if file.name not in editable:
            shutil.copy(file, place)


def lend_programs(place: Path) -> None:
    """Put the programs of this environment into *place*; those written in Python run with the interpreter there."""
    for program in Path(sysconfig.get_path("scripts")).iterdir():
        target = place / program.name
        if target.exists() or program.name.startswith(("activate", "python")):
            continue
        content = program.read_bytes()
        if content.startswith(b"#!"):
            target.write_bytes(content.replace(str(program.parent).encode(), str(place).encode()))
            target.chmod(0o755)
        else:
            target.symlink_to(program)


def run(*command: str | Path) -> None:
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
