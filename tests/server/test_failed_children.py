"""Machines that fail with their child: they name it, and it goes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from durable_fsm.testing import wait_until
from tests.server.test_children import begin, children, gone

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


@pytest.mark.parametrize(("begun", "told"), [("begin", "tell"), ("spread", "tell_all")])
def test_a_parent_that_fails_with_its_child_names_it_and_takes_it_along(family: Host, begun: str, told: str) -> None:
    office = begin(
        family, chart="Delegate", event=begun, letters=[{"name": f"{begun}-{number}"} for number in range(3)]
    )
    keys = [child["key"] for child in children(family, office, "Delegate")]
    torn = keys[1 if begun == "spread" else 0]
    family.settled()

    family.receipt("Delegate", office, told, "fail")

    wait_until(lambda: family.snapshot("Delegate", office)["status"] == "failed", what="the parent to fail")
    machine = family.snapshot("Delegate", office)
    assert machine["failure"]["machine"] == f"Letter/{torn}"
    assert [(one["key"], one["failed"]) for one in machine["machines"]] == [(torn, True)]
    entries = family.receipt("Delegate", office, "history", {"last": 1})["entries"]
    assert entries[0]["note"] == {"machine": f"Letter/{torn}"}
    assert not gone(family, "Letter", torn)

    family.receipt("Delegate", office, "delete")

    wait_until(lambda: all(gone(family, "Letter", key) for key in keys), what="the children to be gone")
    family.settled()
