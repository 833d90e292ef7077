"""The core is pure: its imports cannot tell the time and cannot reach the outside world.

import-linter checks the order of the layers, by a contract in pyproject.toml; these tests check the rest.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).parents[1] / "src" / "durable_fsm" / "core"

CLOCKS = {"calendar", "datetime", "sched", "time", "timeit", "zoneinfo"}
CHANCE = {"random", "secrets", "uuid"}
OTHERS_AT_WORK = {"_thread", "asyncio", "concurrent", "multiprocessing", "queue", "signal", "subprocess", "threading"}
THE_SYSTEM = {"logging", "os", "shutil", "sqlite3", "tempfile"}
THE_NETWORK = {"ftplib", "http", "select", "selectors", "smtplib", "socket", "socketserver", "ssl", "urllib", "xmlrpc"}
ALLOWED = (sys.stdlib_module_names | {"msgspec"}) - CLOCKS - CHANCE - OTHERS_AT_WORK - THE_SYSTEM - THE_NETWORK

# Harmless names of impure modules: types of values, seeded generators, and functions of texts.
BY_NAME = {
    ("datetime", "UTC"),
    ("datetime", "date"),
    ("datetime", "datetime"),
    ("datetime", "time"),
    ("datetime", "timedelta"),
    ("durable_fsm", "errors"),
    ("random", "Random"),
    ("urllib.parse", "quote"),
    ("urllib.parse", "unquote"),
    ("uuid", "UUID"),
}
READS_A_CLOCK = {"now", "today", "utcnow"}


def impurities(source: str) -> Iterator[str]:
    """List everything in *source* that the core must not do, as `line 3: import time`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                refused = [alias for alias in names if not _is_allowed(alias.name)]
            case ast.ImportFrom(module=module, names=names, level=0) if module and not _is_allowed(module):
                refused = [alias for alias in names if (module, alias.name) not in BY_NAME]
            case ast.ImportFrom(names=names, level=level) if level > 1:
                refused = [alias for alias in names if alias.name != "errors"]
            case ast.Attribute(attr=attr) if attr in READS_A_CLOCK:
                yield f"line {node.lineno}: {ast.unparse(node)}"
                continue
            case ast.Call(func=ast.Name(id="Random"), args=[], keywords=[]):
                yield f"line {node.lineno}: Random() without a seed"
                continue
            case _:
                continue
        if refused:
            yield f"line {node.lineno}: {ast.unparse(node)}"


def _is_allowed(module: str) -> bool:
    if module.partition(".")[0] == "durable_fsm":
        return f"{module}.".startswith(("durable_fsm.core.", "durable_fsm.errors."))
    return module.partition(".")[0] in ALLOWED


@pytest.mark.parametrize("module", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_the_core_imports_nothing_that_tells_the_time_or_reaches_the_outside_world(module: Path) -> None:
    assert list(impurities(module.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import asyncio.queues",
        "import json, threading",
        "import datetime",
        "from datetime import tzinfo",
        "from random import random",
        "from uuid import UUID, uuid4",
        "import uuid",
        "import restate",
        "from pydantic import BaseModel",
        "from durable_fsm import restate",
        "from durable_fsm.frontends import chart_from",
        "from durable_fsm.core_of_another import step",
        "from .. import frontends",
        "if TYPE_CHECKING:\n    from restate import Context",
        "def late():\n    import socket",
        "datetime.now",
        "Random()",
    ],
)
def test_an_impure_core_is_refused(source: str) -> None:
    assert len(list(impurities(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from __future__ import annotations",
        "import json",
        "from collections.abc import Mapping",
        "from datetime import timedelta",
        "from random import Random",
        "from uuid import UUID",
        "from durable_fsm.core.chart import Chart",
        "from durable_fsm.errors import EventRejected",
        "from . import chart",
        "from .. import errors",
        "Random(seed)",
    ],
)
def test_a_pure_core_is_accepted(source: str) -> None:
    assert list(impurities(source)) == []
