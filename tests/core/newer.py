"""Newer versions of charts, for the tests of upgrades."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from durable_fsm.core.chart import Activity, Chart
from durable_fsm.core.effects import Step
from durable_fsm.core.migration import Migration
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.upgrade import settle, upgrade
from durable_fsm.errors import MigrationError
from tests.building import hosted

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def work() -> None: ...


def job(id: str, **rest: Any) -> Activity:
    return Activity(id, "work", work, **rest)


def newer(version: str, made: Chart, *migrations: Migration, kept: tuple[Chart, ...] = ()) -> Chart:
    return hosted(replace(made, version=version, kept=kept), migrations=migrations)


def moved(new: Chart, old: Snapshot) -> tuple[Snapshot, Step]:
    """The machine as it arrives, and the step that makes it agree with its chart."""
    taken = upgrade(new, old)
    assert taken.upgrade is not None
    return taken.machine, settle(taken.chart, taken.machine, taken.upgrade, seed="seed")


def refusal(new: Chart, old: Snapshot) -> str:
    with pytest.raises(MigrationError) as caught:
        moved(new, old)
    return caught.value.problem
