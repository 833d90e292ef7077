"""The server accepts every name that a chart may have."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from durable_fsm.testing import Served
from tests.server.named_app import NAMES

pytestmark = pytest.mark.server


def test_a_machine_of_a_chart_with_an_odd_name_takes_its_event(serve: Callable[[str], Served]) -> None:
    served = serve("tests.server.named_app:app")

    for name in NAMES:
        answer = httpx.post(f"{served.server.ingress_url}/{name}/k/close", json={}, trust_env=False, timeout=20)
        assert (answer.status_code, answer.json()["configuration"]) == (200, ["shut"])
