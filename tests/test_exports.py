"""The public names of `durable_fsm`, and the packages that importing it loads."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import durable_fsm
import durable_fsm.explore

EXPLORE = ["always", "by_itself", "can_always", "domain", "never", "sometimes"]
NEEDS_A_HOST = {"JsonFormatter", "app"}


def loaded_by(statements: str) -> set[str]:
    """List the packages outside the standard library that a fresh interpreter loads for *statements*."""
    program = f"import json, sys; before = set(sys.modules)\n{statements}\nprint(json.dumps([*(sys.modules.keys() - before)]))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    packages = {name.partition(".")[0] for name in json.loads(ran.stdout)}
    return packages - sys.stdlib_module_names


def test_the_public_names_are_sorted() -> None:
    assert durable_fsm.__all__ == sorted(durable_fsm.__all__)


def test_the_names_of_proofs_files_are_these() -> None:
    assert durable_fsm.explore.__all__ == EXPLORE
    assert all(callable(getattr(durable_fsm.explore, name)) for name in EXPLORE)


def test_a_proofs_file_does_not_load_the_host() -> None:
    assert "restate" not in loaded_by("import durable_fsm.explore")


def test_type_checkers_see_the_public_names_and_no_others() -> None:
    tree = ast.parse(Path(durable_fsm.__file__).read_text(encoding="utf-8"))

    seen = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("durable_fsm")
        for alias in node.names
    }

    assert seen == set(durable_fsm.__all__)


@pytest.mark.parametrize("name", durable_fsm.__all__)
def test_every_public_name_exists_and_is_listed(name: str) -> None:
    assert getattr(durable_fsm, name) is not None
    assert name in dir(durable_fsm)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'durable_fsm' has no attribute 'durabel'"):
        _ = durable_fsm.durabel  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def test_importing_durable_fsm_loads_only_the_standard_library() -> None:
    assert loaded_by("import durable_fsm") == {"durable_fsm"}


def test_defining_a_chart_does_not_load_the_host() -> None:
    names = [name for name in durable_fsm.__all__ if name not in NEEDS_A_HOST]

    assert "restate" not in loaded_by(f"from durable_fsm import {', '.join(names)}")


def test_the_admin_tools_do_not_load_the_host() -> None:
    modules = ("client", "inventory", "diagnosis", "kafka_subscriptions")

    loaded = loaded_by("".join(f"import durable_fsm.admin.{module}\n" for module in modules))

    assert not loaded & {"restate", "opentelemetry"}
