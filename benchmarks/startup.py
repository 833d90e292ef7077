"""Measure the start, for `speed.py`: importing durable_fsm, and until a service of many machines is ready."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.serving import HOST, ROOT, SERVERS
from durable_fsm.local.process import ServiceProcess, free_port

IMPORTS = {
    "import durable_fsm": "import durable_fsm",
    "what a service imports": "from durable_fsm import activity, after, app, durable, event",
}
PROGRAM = """
import json, sys, time
before, began = set(sys.modules), time.perf_counter()
{statement}
took = time.perf_counter() - began
print(json.dumps([took * 1000, sorted({{name.partition(".")[0] for name in set(sys.modules) - before}})]))
"""


def startup(imports: int, starts: int) -> dict[str, Any]:
    """Measure both, this many times.

    Raises:
        RuntimeError: `import durable_fsm` imports an optional dependency of ours.
    """
    found: dict[str, Any] = {"imports": {name: imported(line, imports) for name, line in IMPORTS.items()}}
    for name, one in found["imports"].items():
        print(f"{name}: {statistics.median(one['ms']):.0f} ms", flush=True)
    if wrong := found["imports"]["import durable_fsm"]["optional"]:
        raise RuntimeError(f"'import durable_fsm' imports {', '.join(wrong)}, which are optional")
    found["ready_ms"] = {by: [] for by in SERVERS}
    for _ in range(starts):
        for by, times in found["ready_ms"].items():
            times.append(ready(by))
    for by, times in found["ready_ms"].items():
        print(f"ready by {by}: {statistics.median(times):.0f} ms", flush=True)
    return found


def imported(statement: str, times: int) -> dict[str, Any]:
    """Run an import in new interpreters; return milliseconds, and the packages it loaded, except ours and Python's."""
    milliseconds: list[float] = []
    names: set[str] = set()
    for _ in range(times):
        program = [sys.executable, "-c", PROGRAM.format(statement=statement)]
        took, modules = json.loads(subprocess.run(program, cwd=ROOT, capture_output=True, check=True).stdout)
        milliseconds.append(took)
        names |= {name for name in modules if not name.startswith("_")} - sys.stdlib_module_names - {"durable_fsm"}
    return {"ms": milliseconds, "packages": sorted(names), "optional": sorted(names & optional())}


def optional() -> set[str]:
    """Return the import names of packages that only our extras need."""
    wanted = [Requirement(line) for line in requires("durable-fsm") or ()]
    needed = {canonicalize_name(one.name) for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})}
    more = {canonicalize_name(one.name) for one in wanted} - needed
    return {
        name for name, homes in packages_distributions().items() if more.intersection(map(canonicalize_name, homes))
    }


def ready(by: str) -> float:
    """Return the milliseconds from the command to a first /ready, with many machines."""
    port = free_port()
    command = [sys.executable, "-m", "durable_fsm.cli", "serve", "benchmarks.many:app", "--server", by]
    service = ServiceProcess(
        [*command, "--bind", f"{HOST}:{port}"],
        port=port,
        log=Path("/dev/null"),
        health=f"http://{HOST}:{port}/ready",
        cwd=ROOT,
    )
    began = time.perf_counter()
    with service:
        return (time.perf_counter() - began) * 1000
