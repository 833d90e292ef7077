"""A document in any format is the same chart: its states, events and names."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from durable_fsm import chart_from
from durable_fsm.core.chart import Kind
from durable_fsm.errors import Forbidden
from durable_fsm.testing import Rehearsal
from tests.frontends.documents.texts import LAMP, played, scxml, written

LAMP_AS_JSON: dict[str, Any] = {
    "name": "lamp",
    "datamodel": {"presses": "0"},
    "states": {
        "off": {
            "initial": True,
            "transitions": [
                {
                    "event": "press",
                    "target": "on",
                    "cond": "presses < 3",
                    "on": [{"assign": {"location": "presses", "expr": "presses + 1"}}],
                }
            ],
        },
        "on": {
            "enter": [{"send": {"event": "timeout", "delay": "5min", "id": "sleep"}}],
            "exit": [{"cancel": {"sendid": "sleep"}}],
            "transitions": [{"event": "press", "target": "off"}, {"event": "timeout", "target": "off"}],
        },
    },
}


LAMP_AS_YAML = """
name: lamp
datamodel:
  presses: "0"
states:
  off:
    initial: true
    transitions:
      - event: press
        target: on
        cond: presses < 3
        on:
          - assign: {location: presses, expr: presses + 1}
  on:
    enter:
      - send: {event: timeout, delay: 5min, id: sleep}
    exit:
      - cancel: {sendid: sleep}
    transitions:
      - {event: press, target: off}
      - {event: timeout, target: off}
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [("lamp.scxml", LAMP), ("lamp.xml", LAMP), ("lamp.json", json.dumps(LAMP_AS_JSON)), ("lamp.yaml", LAMP_AS_YAML)],
)
def test_the_same_lamp_in_every_format(tmp_path: Path, name: str, text: str) -> None:
    lamp = played(chart_from(written(tmp_path, name, text)), "press")
    assert lamp.chart.name == "lamp"
    assert lamp.configuration == ("on",)

    lamp.advance(timedelta(minutes=5))
    assert lamp.configuration == ("off",)

    for _ in range(5):
        lamp.send("press")
    assert lamp.configuration == ("off",)
    assert lamp.snapshot.data == {"presses": 3}
    assert lamp.timers == {}


def test_a_path_may_be_a_string(tmp_path: Path) -> None:
    assert chart_from(str(written(tmp_path, "lamp.scxml", LAMP))).public_events == ("press", "timeout")


def test_the_chart_is_named_after_the_file_where_it_has_no_name(tmp_path: Path) -> None:
    path = written(tmp_path, "7 my lamp.scxml", LAMP.replace('name="lamp"', ""))

    assert chart_from(path).name == "my_lamp"


def test_states_are_in_the_order_they_are_written(tmp_path: Path) -> None:
    states = '<state id="s"><history id="h"/><state id="t"/></state>'
    chart = scxml(tmp_path, f'<parallel id="p"><state id="a"/></parallel><final id="f"/>{states}')

    assert list(chart.states) == ["", "p", "a", "f", "s", "t", "h"]
    assert chart.states["h"].kind is Kind.SHALLOW_HISTORY


def test_a_state_without_a_name_gets_one(tmp_path: Path) -> None:
    assert list(scxml(tmp_path, "<state><state/></state><final/>").states) == ["", "state1", "state2", "state3"]


def test_declared_events_are_known_and_events_of_the_platform_are_private(tmp_path: Path) -> None:
    chart = scxml(
        tmp_path,
        '<state id="a"><transition event="go b.* error.x done.invoke.y *" target="a"/></state>',
    )

    assert chart.public_events == ("b", "go")
    with pytest.raises(Forbidden):
        played(chart, "error.x")


def test_a_machine_may_begin_with_data_of_its_own(tmp_path: Path) -> None:
    lamp = Rehearsal(chart_from(written(tmp_path, "lamp.scxml", LAMP)))

    lamp.create({"presses": 3})
    lamp.send("press")

    assert lamp.configuration == ("off",)
