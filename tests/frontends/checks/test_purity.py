"""Impure callbacks are found in their source: clocks, random numbers, sleeps and threads, wherever they hide."""

from __future__ import annotations

import asyncio
import datetime as dates
import functools
import hmac
import os
import random
import secrets
import shutil
import smtplib
import sqlite3
import subprocess
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from random import choice
from time import sleep
from time import time as now
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import httpx
import pytest
import requests

from durable_fsm.frontends.checks.purity import faults, outside_work, started_by

noon = datetime(2026, 1, 1, 12, tzinfo=dates.UTC)
LIMIT = 53


class Stamp(datetime):
    """A datetime of the author's own."""


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda: [time.time()], ("reads the clock", "time.time")),
        (lambda: datetime.now(dates.UTC), ("reads the clock", "datetime.now")),
        (lambda: dates.datetime.now(dates.UTC), ("reads the clock", "dates.datetime.now")),
        (lambda: [date.today()], ("reads the clock", "date.today")),  # noqa: DTZ011
        (lambda: sleep(1), ("sleeps", "sleep")),
        (lambda: [random.random()], ("draws random numbers", "random.random")),
        (lambda: choice("ab"), ("draws random numbers", "choice")),
        (lambda: [uuid.uuid4() for _ in "ab"], ("draws random numbers", "uuid.uuid4")),
        (lambda: [secrets.token_hex()], ("draws random numbers", "secrets.token_hex")),
        (lambda: os.urandom(1), ("draws random numbers", "os.urandom")),
        (lambda: [threading.Thread()], ("starts threads", "threading.Thread")),
        (lambda: now() > LIMIT, ("reads the clock", "now")),
        (lambda: Stamp.now(dates.UTC), ("reads the clock", "Stamp.now")),
        (lambda: f"{time.perf_counter_ns():x}", ("reads the clock", "time.perf_counter_ns")),
        (lambda: SimpleNamespace(clock=time.time), ("reads the clock", "time.time")),
    ],
)
def test_a_call_that_cannot_be_repeated_is_found(function: Callable[[], Any], expected: tuple[str, str]) -> None:
    assert faults(function) == [expected]


def test_a_call_that_can_be_repeated_is_not_a_fault() -> None:
    generator = random.Random(1)
    unbound: Any

    def pure(event: Any, time: Any = None) -> object:
        return [noon.year, event.random, time.time, generator.random, datetime(2026, 1, 1), sorted("ab"), unbound]  # noqa: DTZ001

    assert faults(pure) == []
    assert faults(len) == []
    unbound = 1


def test_a_number_or_a_comparison_is_not_taken_for_a_random_one() -> None:
    assert faults(lambda n: n > LIMIT) == []
    assert faults(lambda a, b: [hmac.compare_digest(a, b)]) == []


def test_a_function_that_is_imported_inside_is_seen() -> None:
    def wait() -> None:
        import os.path
        import time as clock
        from time import sleep as nap

        if os.path.sep:
            nap(clock.monotonic())

    assert faults(wait) == [("sleeps", "nap"), ("reads the clock", "clock.monotonic")]


def test_functions_and_lambdas_inside_are_seen() -> None:
    def outer(items: list[int]) -> object:
        def inner(default: float = time.time()) -> float:
            return default * random.random()

        class Local:
            made = uuid.uuid4()

            def read(self) -> float:
                return time.monotonic()

        return [inner, Local, sorted(items, key=lambda _: secrets.randbits(8))]

    assert faults(outer) == [
        ("reads the clock", "time.time"),
        ("draws random numbers", "random.random"),
        ("draws random numbers", "uuid.uuid4"),
        ("reads the clock", "time.monotonic"),
        ("draws random numbers", "secrets.randbits"),
    ]


def test_a_name_that_the_function_binds_itself_hides_a_module() -> None:
    def reading(event: Any) -> object:
        time = event.clock
        match event.payload:
            case {"random": random}:
                return [time.time(), random.random()]
            case _:
                return [uuid.uuid4() for uuid in event.ids]

    assert faults(reading) == []


# ── helpers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def stamp() -> float:
    return time.time()


def twice_removed() -> float:
    return stamp() + never_ending()


def never_ending() -> float:
    return twice_removed()


class Deciding:
    def lucky(self) -> bool:
        return self.draw() > self.limit(1)

    def draw(self) -> float:
        return random.random()

    @staticmethod
    def limit(seconds: float) -> float:
        sleep(seconds)
        return seconds


def test_helpers_of_the_same_module_are_followed() -> None:
    assert faults(lambda: stamp() > 1) == [("reads the clock", "time.time in stamp")]
    assert faults(twice_removed) == [("reads the clock", "time.time in stamp")]


def test_methods_of_the_same_class_are_followed() -> None:
    assert faults(Deciding.lucky) == [("draws random numbers", "random.random in draw"), ("sleeps", "sleep in limit")]
    assert faults(Deciding().lucky) == faults(Deciding.lucky)


def test_functions_that_are_named_and_not_called_are_not_followed() -> None:
    assert faults(lambda effects: effects.start("stamping", stamp)) == []


def test_helpers_of_other_modules_are_not_followed() -> None:
    assert faults(lambda: [uuid.getnode()]) == []


# ── finding the source ────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_of_several_lambdas_on_one_line_is_judged_by_itself() -> None:
    pure, impure, outer = (lambda n: n + 1), (lambda n: [n, time.time()]), (lambda n: lambda n: [n, sleep])

    assert faults(pure) == []
    assert faults(impure) == [("reads the clock", "time.time")]
    assert faults(outer) == [("sleeps", "sleep")]
    assert faults(outer(1)) == [("sleeps", "sleep")]


def unchanged(function: Callable[[], Any]) -> Callable[[], Any]:
    return function


def timed(function: Callable[[], Any]) -> Callable[[], Any]:
    @functools.wraps(function)
    def wrapper() -> object:
        return [time.time(), function()]

    return wrapper


def test_a_decorated_function_is_found_below_its_decorators() -> None:
    @unchanged
    @unchanged
    def decorated() -> None:
        sleep(LIMIT)

    assert faults(decorated) == [("sleeps", "sleep")]


def test_a_wrapper_is_judged_with_the_function_that_it_calls() -> None:
    @timed
    def decorated() -> None:
        sleep(LIMIT)

    assert faults(decorated) == [("reads the clock", "time.time"), ("sleeps", "sleep in decorated")]


def test_a_function_without_source_is_not_judged() -> None:
    space: dict[str, Any] = {}
    exec("import time\ndef made(effects):\n    effects.start('work', time.time())", space)  # noqa: S102

    assert faults(space["made"]) == []
    assert started_by(space["made"]) == []


def test_work_is_found_where_it_is_started_by_a_name_that_is_written_out() -> None:
    def start(effects: Any, other: Any, name: str) -> None:
        effects.start("second", [effects.start("inside")])
        effects.start(name)
        other.start("nothing")
        later = [lambda: effects.start("first")]
        later.append(lambda: effects.start("second"))

    assert started_by(start) == ["second", "inside", "first"]


@pytest.mark.parametrize(
    ("function", "call"),
    [
        (lambda: open("x"), "open"),  # noqa: SIM115, PTH123
        (lambda: [input()], "input"),
        (lambda: urlopen("http://x"), "urlopen"),
        (lambda: urllib.request.urlopen("http://x"), "urllib.request.urlopen"),
        (lambda: subprocess.run(["x"], check=False), "subprocess.run"),
        (lambda: subprocess.Popen(["x"]), "subprocess.Popen"),
        (lambda: requests.post("http://x", timeout=1), "requests.post"),
        (lambda: httpx.get("http://x"), "httpx.get"),
        (lambda: [httpx.Client()], "httpx.Client"),
        (lambda: smtplib.SMTP("x"), "smtplib.SMTP"),
        (lambda: sqlite3.connect("x"), "sqlite3.connect"),
        (lambda: os.remove("x"), "os.remove"),  # noqa: PTH107
        (lambda: shutil.rmtree("x"), "shutil.rmtree"),
        (lambda: Path("x").write_text("y"), "Path('x').write_text"),
        (lambda: asyncio.create_task(asyncio.sleep(0)), "asyncio.create_task"),
    ],
)
def test_visible_work_on_the_outside_world_is_found(function: Callable[[], Any], call: str) -> None:
    assert outside_work(function) == [call]
    assert faults(function) == []


def test_values_and_exceptions_of_clients_are_no_outside_work() -> None:
    def harmless(open: Callable[[], None]) -> None:
        open()
        print(httpx.URL("http://x"), requests.ConnectionError("x"), subprocess.CalledProcessError(1, "x"))

    assert outside_work(harmless) == []
