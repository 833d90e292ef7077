"""History states remember what was active."""

from __future__ import annotations

from durable_fsm.core.chart import Transition
from tests.building import Driven, chart, edge, note, watched

REMEMBERING = """
    away
    home
        last history
        exactly deep
        kitchen
            cooking
            eating
        bedroom
            reading
            sleeping
"""


# ── history ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def remembering(**rest: Transition) -> Driven:
    return Driven(
        watched(
            REMEMBERING,
            edge("away", "return", "last"),
            edge("away", "resume", "exactly"),
            edge("away", "sleep", "sleeping"),
            edge("home", "leave", "away"),
            initial=rest,
        )
    )


def test_shallow_history_returns_to_the_child_and_begins_anew_inside_it() -> None:
    machine = remembering()
    for event in ("sleep", "leave", "return"):
        machine.take(event)

    assert machine.leaves == ("reading",)
    assert machine.snapshot.history == {"exactly": ("sleeping",), "last": ("bedroom",)}


def test_deep_history_returns_to_the_very_leaf() -> None:
    machine = remembering()
    for event in ("sleep", "leave", "resume"):
        machine.take(event)

    assert machine.leaves == ("sleeping",)
    assert machine.log == [
        "before away--resume", "exit away", "on away--resume", "enter home", "enter bedroom", "enter sleeping",
        "after away--resume",
    ]  # fmt: skip


def test_a_history_that_remembers_nothing_takes_its_default_with_its_content() -> None:
    machine = remembering(last=Transition("", "last", ("bedroom",), actions=(note("by default"),)))

    machine.take("return")
    assert machine.leaves == ("reading",)
    assert machine.log[3:6] == ["enter home", "by default", "enter bedroom"]

    machine.take("leave")
    machine.take("return")
    assert "by default" not in machine.log


def test_a_history_without_a_default_begins_where_its_parent_does() -> None:
    machine = remembering()

    machine.take("return")

    assert machine.leaves == ("cooking",)


def test_a_history_of_regions_remembers_all_of_them() -> None:
    both = """
        away
        home parallel
            last history
            exactly deep
            light
                on
                off
            door
                open
                shut
    """
    machine = Driven(
        chart(
            both,
            edge("away", "enter", "exactly"),
            edge("away", "return", "last"),
            edge("on", "change", "off"),
            edge("open", "change", "shut"),
            edge("home", "leave", "away"),
        )
    )

    machine.take("enter")
    assert machine.leaves == ("on", "open")
    for event in ("change", "leave", "enter"):
        machine.take(event)
    assert machine.leaves == ("off", "shut")
    for event in ("leave", "return"):
        machine.take(event)
    assert machine.leaves == ("on", "open")
    assert machine.snapshot.history == {"exactly": ("off", "shut"), "last": ("light", "door")}


def test_history_is_what_was_active_before_anything_was_left() -> None:
    machine = remembering()

    machine.take("sleep")
    machine.take("leave")

    assert machine.snapshot.history["last"] == ("bedroom",)


def test_a_history_may_lead_to_another_one() -> None:
    machine = remembering(last=Transition("", "last", ("exactly",)), exactly=Transition("", "exactly", ("sleeping",)))

    machine.take("return")

    assert machine.leaves == ("sleeping",)
