"""The input of an activity, computed once when the activity starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


@pytest.mark.parametrize(
    ("what", "received"),
    [
        ("field", "7"),
        ("fields", "{'cents': 7, 'effect': 'e'}"),
        ("function", "{'cents': 14, 'price': '1.5'}"),
    ],
)
def test_an_activity_receives_the_input_that_its_declaration_computes(bench: Host, what: str, received: str) -> None:
    work = bench.key("given")

    bench.receipt("Given", work, f"try_{what}", {"cents": 7, "effect": "e"})

    assert bench.wait_in("Given", work, "over")["data"]["result"] == received


def test_the_input_is_computed_when_the_activity_starts_and_survives_a_kill(bench: Host) -> None:
    work = bench.key("given")
    cents = 1_000 + int(work.rpartition("-")[2])  # its own: the effect is named after it

    with bench.effects.hold(f"before:given-{cents}") as gate:
        bench.receipt("Given", work, "try_changing", {"cents": cents})
        gate.wait_reached()
        bench.receipt("Given", work, "change", {"cents": 8})
        bench.served.kill()
    bench.served.restart()

    assert bench.wait_in("Given", work, "over")["data"] | {"effect": ""} == {
        "effect": "", "url": "", "cents": 8, "price": "1.5", "result": str(cents), "error": {},
    }  # fmt: skip


def test_an_exclusive_activity_receives_its_input_too(bench: Host) -> None:
    work = bench.key("given")

    receipt = bench.receipt("Given", work, "try_lonely", {"cents": 9})

    assert receipt["configuration"] == ["over"]
    assert bench.snapshot("Given", work)["data"]["result"] == "9"


def test_a_failing_input_is_an_error_of_the_chart_and_starts_no_activity(bench: Host) -> None:
    work = bench.key("given")

    bench.receipt("Given", work, "try_broken", {"cents": 1})

    assert bench.snapshot("Given", work)["configuration"] == ["failed"]
    assert bench.snapshot("Given", work)["data"]["error"]["type"] == "ZeroDivisionError"
    assert bench.jobs("Given", work) == []


def test_a_transitions_configuration_computes_inputs_in_the_same_way(bench: Host) -> None:
    work = bench.key("priced")

    bench.receipt("Priced", work, "ask", {"cents": 5})

    assert bench.wait_in("Priced", work, "priced")["data"] == {"cents": 5, "label": "5 cents"}
