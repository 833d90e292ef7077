"""Wheels for all projects of a run, and the service that they call."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_fsm.testing import ServiceProcess, free_port
from tests.acceptance.applications import ROOT, Outside
from tests.templates.wheelhouse import Wheelhouse


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Wheelhouse:
    """The wheels, made once for all processes of a run."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    with (place / "wheelhouse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return Wheelhouse.filled(place / "wheelhouse")


@pytest.fixture(scope="module")
def notifications(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """The notification service, in a process of its own."""
    port, log = free_port(), tmp_path_factory.mktemp("notifications") / "log"
    command = [sys.executable, "-m", "tests.templates.notifications", "--port", str(port)]
    with ServiceProcess(command, port=port, log=Path(log), cwd=ROOT, name="notifications") as process:
        yield Outside(process)
