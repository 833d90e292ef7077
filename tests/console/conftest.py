"""Fixtures of the tests of the console."""

from __future__ import annotations

import pytest

from tests.console.kitchen import Kitchen, made


@pytest.fixture
def kitchen() -> Kitchen:
    return made()
