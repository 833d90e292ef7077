"""Documents that several tests read, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from durable_fsm.core.chart import Chart
from durable_fsm.errors import DefinitionError
from durable_fsm.frontends import documents
from durable_fsm.testing import Rehearsal

LAMP = """
<scxml xmlns="http://www.w3.org/2005/07/scxml" name="lamp" initial="off">
  <datamodel><data id="presses" expr="0"/></datamodel>
  <state id="off">
    <transition event="press" cond="presses &lt; 3" target="on">
      <assign location="presses" expr="presses + 1"/>
    </transition>
  </state>
  <state id="on">
    <onentry><send event="timeout" delay="5min" id="sleep"/></onentry>
    <onexit><cancel sendid="sleep"/></onexit>
    <transition event="press timeout" target="off"/>
  </state>
</scxml>
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def scxml(folder: Path, body: str, *, trusted: bool = False, head: str = "") -> Chart:
    text = f'<scxml xmlns="http://www.w3.org/2005/07/scxml" {head}>\n{body}\n</scxml>'
    return documents.chart_from(written(folder, "doc.scxml", text), trusted=trusted)


def played(chart: Chart, *events: str | tuple[str, object]) -> Rehearsal:
    machine = Rehearsal(chart)
    machine.create()
    for event in events:
        name, payload = (event, None) if isinstance(event, str) else event
        machine.send(name, payload)
    return machine


def problems(folder: Path, body: str, **rest: Any) -> list[str]:
    with pytest.raises(DefinitionError) as raised:
        scxml(folder, body, **rest)
    return [f"{found.what} ({found.place.rpartition('/')[2]})" for found in raised.value.problems]
