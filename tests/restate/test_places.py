"""Where an exception was raised, as people read it: the last line of the author's own code."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from durable_fsm.core.chart import Retry
from durable_fsm.restate.activities.attempts import RunningAttempts
from durable_fsm.restate.observability.places import place_in, place_of

HERE = Path(__file__).name


def line_of(text: str) -> int:
    return next(n for n, line in enumerate(Path(__file__).read_text().splitlines(), 1) if line.strip() == text)


def inner(total: dict[str, int]) -> int:
    return total["missing"]


def plain() -> int:
    return inner({})


async def asynchronous() -> int:
    return inner({})


def within_the_standard_library() -> object:
    return json.loads("{")


def within_a_chain() -> None:
    try:
        plain()
    except KeyError as error:
        raise ValueError("no total") from error


def unwritable() -> object:
    return {1, object()}


@pytest.mark.parametrize(
    ("step", "where"),
    [
        (plain, ('return total["missing"]', "inner")),
        (asynchronous, ('return total["missing"]', "inner")),
        (partial(inner, {}), ('return total["missing"]', "inner")),
        (within_the_standard_library, ('return json.loads("{")', "within_the_standard_library")),
        (within_a_chain, ('raise ValueError("no total") from error', "within_a_chain")),
        (unwritable, ("def unwritable() -> object:", "unwritable")),
        (partial(partial(int, base=2), "x"), None),
    ],
)
def test_a_failure_names_the_last_line_of_the_authors_code(
    step: Callable[[], object], where: tuple[str, str] | None
) -> None:
    attempt = asyncio.run(RunningAttempts().run("t", "step", step, Retry(), timeout=None))

    assert attempt.error is not None
    if where is None:
        assert attempt.error.place == ""
    else:
        text, name = where
        assert attempt.error.place == f"tests/restate/{HERE}:{line_of(text)} in {name}"


def test_an_exception_that_was_never_raised_has_no_place() -> None:
    assert place_of(KeyError("total")) == ""
    assert place_in(int) == ""


def test_an_application_that_is_installed_is_still_the_authors_code(tmp_path: Path) -> None:
    """The author's package and the library lie side by side: the place is in the former."""
    packages = tmp_path / "site-packages"
    for name, text in (
        ("shop", "import bank\n\ndef charge():\n    bank.pay()\n"),
        ("bank", "def pay():\n    raise KeyError('total')\n"),
    ):
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").write_text(text)
    program = (
        "import sys, sysconfig\n"
        f"root = {str(packages)!r}\n"
        "sys.path.insert(0, root)\n"
        "from durable_fsm.restate.observability import places\n"
        "places._INSTALLED = (root + '/',)\n"
        "import shop\n"
        "try:\n    shop.charge()\nexcept KeyError as error:\n"
        "    error.__traceback__ = error.__traceback__.tb_next\n"
        "    print(places.place_of(error))\n"
    )

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert told.stdout == "shop/__init__.py:4 in charge\n"
