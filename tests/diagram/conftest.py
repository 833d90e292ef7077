"""Fixtures: the charts that are drawn, and the browser that measures them."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from statemachine import StateChart

from durable_fsm.core.chart import Chart
from durable_fsm.frontends import chart_from
from tests.diagram.browser import Browser
from tests.diagram.study import STUDY, study
from tests.docs.chromium import Chromium

MACHINES = Path(__file__).parents[2] / "machines"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: needs Chromium")


def examples() -> dict[str, Chart]:
    """The charts of all machines in machines/, by module and name."""
    found: dict[str, Chart] = {}
    for path in sorted(MACHINES.glob("*/machine.py")):
        module = importlib.import_module(f"machines.{path.parent.name}.machine")
        for name, made in vars(module).items():
            if isinstance(made, type) and issubclass(made, StateChart) and made.__module__ == module.__name__:
                found[f"{module.__name__}:{name}"] = chart_from(made)
    return found


@pytest.fixture(scope="session")
def charts() -> dict[str, Chart]:
    """Everything that must be drawn without a fault: the study and the examples."""
    return {**{name: study(name) for name in STUDY}, **examples()}


@pytest.fixture(scope="module")
def browser(chromium: Chromium) -> Browser:
    return Browser(chromium)
