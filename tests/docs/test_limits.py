"""docs/limits.md: its versions and defaults are those of the code; tests/restate/test_bounds.py compares the sizes."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterable
from datetime import timedelta
from importlib import metadata
from pathlib import Path

import click
from packaging.requirements import Requirement

from durable_fsm import Client, activity
from durable_fsm.cli import main
from durable_fsm.cli.survey import KNOWN
from durable_fsm.core import condition, fan_out, macrostep
from durable_fsm.core.chart import Retry
from durable_fsm.core.retention import History
from durable_fsm.local import native
from durable_fsm.restate import crashes, settings, short_way
from durable_fsm.restate.activities import attempts, external_answers, threads
from durable_fsm.restate.http import requests
from durable_fsm.restate.sources import ingestion
from durable_fsm.restate.stored import history

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "limits.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def rows_of(heading: str) -> dict[str, list[str]]:
    """The cells of a section's table, by the first cell of their row."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in re.findall(r"^\|.*\|$", section, re.MULTILINE)[2:]]
    return {first: cells for first, *cells in rows}


def words(requirement: str) -> str:
    """A requirement as the page says it: `3.2 and later, before 4`."""
    bounds = {one.operator: one.version for one in Requirement(requirement).specifier}
    upper = f", before {bounds['<']}" if "<" in bounds else ""
    return f"{bounds['>=']} and later{upper}"


def test_the_versions_are_those_that_are_required_and_installed() -> None:
    optional: dict[str, list[str]] = PROJECT["optional-dependencies"]
    required = {Requirement(one).name: one for one in [*PROJECT["dependencies"], *optional["transitions"]]}
    libraries = ("restate-sdk", "python-statemachine", "transitions", "pydantic")
    python = words(f"python{PROJECT['requires-python']}")
    tested = [one.rpartition(" :: ")[2] for one in PROJECT["classifiers"] if re.search(r"Python :: 3\.", one)]

    assert rows_of("Versions") == {
        "Python": [python, *tested],
        "Restate server": [".".join(map(str, KNOWN[0])), native.VERSION],
        **{name: [words(required[name]), metadata.version(name)] for name in libraries},
    }
    assert len(KNOWN) == 1
    assert f"other than {short_way.TESTED[0].rstrip('.')}," in PAGE
    assert len(short_way.TESTED) == 1


def test_the_defaults_are_those_of_the_code() -> None:
    retry, hosting = Retry(), settings.Settings()
    drain = next(one for one in command("serve").params if one.name == "drain").default
    patience = inspect.signature(Client).parameters["patience"].default
    deadline = inspect.signature(activity).parameters["deadline"].default

    told = {name: cells[0] for name, cells in rows_of("Defaults and durations").items()}

    assert retry.attempts is None
    assert told == {
        "attempts of an activity": "no limit",
        "the wait after the first failed attempt": said(retry.initial),
        "the growth of that wait": f"{retry.factor:g} times",
        "the longest wait between two attempts": said(retry.maximum),
        "the deadline of a background activity": said(deadline),
        "the clean-up of a step that is stopped": said(attempts.CLEANUP),
        "plain functions that run at once in a process": f"{hosting.threads} functions",
        "threads that hang and are replaced": f"{threads.MOST_GIVEN_UP} threads",
        "the first wait of a parked delivery": said(hosting.park_first),
        "the longest wait of a parked delivery": said(settings.LONGEST),
        "how long a client tries to reach a server": f"{patience.total_seconds():g} seconds",
        "how long a caller waits for a state": said(requests.USUAL_WAIT),
        "the longest time for which it may wait": said(requests.LONGEST_WAIT),
        "conditions in one `any_of`": f"{condition.MOST} conditions",
        "history of a machine": f"{History().entries:,} entries",
        "entries that move to a page of history at once": f"{history.PAGE} entries",
        "how long an event id of a webhook or a record is remembered": said(ingestion.REMEMBERED),
        "an event id": f"{ingestion.LONGEST_ID} characters",
        "processes that may die with the same invocation within an hour": f"{crashes.DEADLY} processes",
        "transitions that one event may cause": f"{macrostep.MICROSTEPS:,} transitions",
        "machines of one fan-out": f"{fan_out.MOST_MACHINES:,} machines",
        "open callbacks that a snapshot lists": f"{external_answers.MOST:,} callbacks",
        "how long a request may take to end on shutdown": f"{str(drain).removesuffix('s')} seconds",
    }
    assert timedelta(seconds=crashes.WINDOW_SECONDS) == timedelta(hours=1)


def test_each_environment_variable_of_the_page_is_read_somewhere() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))

    named = set(re.findall(r"DURABLE_FSM_\w+", PAGE))

    assert len(named) == 3
    assert {name for name in named if f'"{name}"' not in source} == set()


def command(name: str) -> click.Command:
    found = main.get_command(click.Context(main), name)
    assert found is not None
    return found


UNITS: Iterable[tuple[str, timedelta]] = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
    ("ms", timedelta(milliseconds=1)),
)


def said(duration: timedelta) -> str:
    """A duration in its largest whole unit."""
    unit, size = next((unit, size) for unit, size in UNITS if not duration % size)
    number = duration // size
    return f"{number} {unit}" if number == 1 or unit == "ms" else f"{number} {unit}s"
