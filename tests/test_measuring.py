"""Coverage of the core is the same in whatever order the tests run."""

from __future__ import annotations

from durable_fsm.core import interchange
from tests.measuring import forget


def test_measuring_begins_with_empty_caches() -> None:
    interchange._hints(interchange.Chart)
    assert interchange._hints.cache_info().currsize > 0
    forget()
    assert interchange._hints.cache_info().currsize == 0
