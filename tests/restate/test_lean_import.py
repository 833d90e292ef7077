"""A service imports Restate's SDK without its HTTP client and its harness; both are there as soon as they are used."""

from __future__ import annotations

import subprocess
import sys

SERVICE = """
import sys
from durable_fsm import activity, app
assert not {"httpx", "hypercorn"} & set(sys.modules)

import restate
assert restate.create_client.__module__ == "restate.client"
from restate import create_client, create_test_harness, test_harness
from restate.client import Client
assert create_client is restate.create_client
try:
    restate.nothing
except AttributeError as error:
    print(error)
"""

FIRST = """
import restate
before = restate.create_client
from durable_fsm import app
assert restate.create_client is before
assert not hasattr(restate, "__getattr__")
"""


def run(program: str) -> str:
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_parts_that_are_left_out_are_imported_when_they_are_used() -> None:
    assert run(SERVICE) == "module 'restate' has no attribute 'nothing'\n"


def test_an_sdk_that_is_imported_already_stays_as_it_is() -> None:
    run(FIRST)
