"""A task, rehearsed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from durable_fsm.testing import Rehearsal
from machines.task_queue.machine import Task


def test_a_task_is_done_at_once() -> None:
    task = Rehearsal(Task)
    task.create({"id": "t-1", "task": "sort"})
    task.advance(timedelta(0))
    task.finish("running", "Finished t-1: sort")

    assert (task.configuration, task.output) == (("done",), "Finished t-1: sort")


def test_a_task_may_be_delayed() -> None:
    task = Rehearsal(Task)
    task.create({"id": "t-2", "delay_seconds": 60})
    task.advance(timedelta(seconds=59))
    waiting = task.configuration
    task.advance(timedelta(seconds=1))

    assert (waiting, task.configuration) == (("queued",), ("running",))


def test_an_impossible_task_fails() -> None:
    task = Rehearsal(Task)
    task.create({"id": "t-3", "task": "impossible"})
    task.advance(timedelta(0))
    task.fail("running", "t-3 is impossible")

    assert (task.configuration, task.output) == (("failed",), "Failed: t-3 is impossible")


def test_a_task_without_an_id_is_refused() -> None:
    with pytest.raises(Exception, match="id"):
        Rehearsal(Task).create({"id": ""})
