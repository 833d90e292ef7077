"""Machines that a document starts: other documents, or documents inside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from durable_fsm import chart_from
from durable_fsm.errors import NotDurable
from durable_fsm.restate.app import services
from durable_fsm.testing import Rehearsal
from tests.frontends.documents.texts import LAMP, played, written

SHOP = """
<scxml xmlns="http://www.w3.org/2005/07/scxml" name="shop">
  <datamodel><data id="cents" expr="500"/><data id="receipt"/></datamodel>
  <state id="paying">
    <invoke id="till" namelist="cents">
      <content>
        <scxml name="till">
          <datamodel><data id="cents" expr="0"/></datamodel>
          <state id="counting">
            <onentry><send event="ready" target="#_parent"><param name="cents" expr="cents"/></send></onentry>
            <transition event="pay" target="paid"/>
          </state>
          <final id="paid"><donedata><content expr="cents"/></donedata></final>
        </scxml>
      </content>
    </invoke>
    <transition event="ready" target="waiting"/>
    <transition event="leave" target="left"/>
    <state id="waiting"/>
    <transition event="done.invoke.till" target="done">
      <assign location="receipt" expr="_event.data"/>
    </transition>
  </state>
  <state id="done"/>
  <state id="left"/>
</scxml>
"""


def shop(folder: Path) -> Rehearsal:
    text = SHOP.replace('<transition event="ready" target="waiting"/>', '<transition event="ready"/>')
    return played(chart_from(written(folder, "shop.scxml", text)))


def test_a_machine_in_a_document_is_rehearsed_along(tmp_path: Path) -> None:
    machine = shop(tmp_path)
    till = machine.machines["till"]
    assert till.configuration == ("counting",)
    assert till.snapshot.data == {"cents": 500}

    till.send("pay")

    assert machine.configuration == ("done",)
    assert machine.machines == {}
    assert machine.snapshot.data == {"cents": 500, "receipt": 500}
    assert [step.event for step in machine.trace] == [None, "ready", "done.invoke.till"]


def test_a_machine_that_was_left_hears_nothing_and_is_not_heard(tmp_path: Path) -> None:
    machine = shop(tmp_path)
    till = machine.machines["till"]
    machine.send("leave")

    till.send("pay")

    assert machine.machines == {}
    assert machine.configuration == ("left",)


def test_a_machine_inside_a_document_is_hosted_beside_its_parent(tmp_path: Path) -> None:
    hosted = services(chart_from(written(tmp_path, "shop.scxml", SHOP)))

    assert [service.name for service in hosted] == [
        "shop",
        "shop.relay",
        "shop.history",
        "till",
        "till.relay",
        "till.history",
    ]


def test_a_machine_that_is_only_known_when_it_begins_has_no_host(tmp_path: Path) -> None:
    text = re.sub("<invoke.*</invoke>", '<invoke id="till" srcexpr="where"/>', SHOP, flags=re.DOTALL)

    with pytest.raises(
        NotDurable, match="state 'paying' runs machine 'till', whose chart is known only when it begins"
    ):
        services(chart_from(written(tmp_path, "shop.scxml", text)))


def test_a_document_without_machines_is_hosted(tmp_path: Path) -> None:
    hosted = services(chart_from(written(tmp_path, "lamp.scxml", LAMP)))

    assert [service.name for service in hosted] == ["lamp", "lamp.relay", "lamp.history"]
