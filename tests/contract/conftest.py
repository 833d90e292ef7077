"""What contract tests share: they compare engines, and are no proof that a line is tested."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def unmeasured_here(unmeasured: None) -> None:
    """Not measured."""
