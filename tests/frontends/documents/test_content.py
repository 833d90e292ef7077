"""Executable content of documents: assignments, loops, branches and messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable_fsm.core.snapshot import Status
from tests.frontends.documents.texts import played, scxml


def test_loops_and_branches(tmp_path: Path) -> None:
    body = """
    <datamodel><data id="total" expr="0"/><data id="places" expr="0"/><data id="size"/></datamodel>
    <state id="a">
      <onentry>
        <foreach array="[1, 2, 3]" item="each" index="place">
          <assign location="total" expr="total + each"/>
          <assign location="places" expr="places + place"/>
        </foreach>
        <if cond="total &gt; 10"><assign location="size" expr="'big'"/>
        <elseif cond="total &gt; 5"/><assign location="size" expr="'middling'"/>
        <else/><assign location="size" expr="'small'"/></if>
        <log label="all" expr="total"/>
      </onentry>
    </state>
    """
    assert played(scxml(tmp_path, body)).snapshot.data == {
        "each": 3, "place": 2, "places": 3, "size": "middling", "total": 6,
    }  # fmt: skip


def test_a_block_stops_at_its_first_error_and_the_next_block_runs(tmp_path: Path) -> None:
    body = """
    <datamodel><data id="seen" expr="[]"/></datamodel>
    <state id="a">
      <onentry><assign location="nowhere" expr="1"/><assign location="seen" expr="seen + ['first']"/></onentry>
      <onentry><assign location="seen" expr="seen + ['second']"/></onentry>
      <transition event="error.execution" target="b"/>
    </state>
    <state id="b"/>
    """
    machine = played(scxml(tmp_path, body))

    assert machine.configuration == ("b",)
    assert machine.snapshot.data == {"seen": ["second"]}


def test_a_condition_that_fails_inside_an_if_is_false_and_an_error(tmp_path: Path) -> None:
    body = """
    <datamodel><data id="seen"/></datamodel>
    <state id="a">
      <onentry><if cond="nothing"><raise event="x"/><else/><assign location="seen" expr="'else'"/></if></onentry>
      <transition event="error.execution" target="b"/>
    </state>
    <state id="b"/>
    """
    machine = played(scxml(tmp_path, body))

    assert (machine.configuration, machine.snapshot.data) == (("b",), {"seen": "else"})


@pytest.mark.parametrize(
    "action",
    [
        '<assign location="_event" expr="1"/>',
        '<assign location="n.__class__" expr="1"/>',
        '<assign location="n.real" expr="1"/>',
        '<assign location="class" expr="1"/>',
        '<foreach array="n" item="x"/>',
        '<foreach array="\'text\'" item="x"/>',
        '<foreach array="[1]" item="_x"/>',
        '<send event="x" type="http"/>',
        '<send event="x" target="somewhere"/>',
        '<send eventexpr="None"/>',
        '<send event="x" delay="soon"/>',
        '<send event="x" namelist="nobody"/>',
    ],
)
def test_an_action_that_cannot_be_done_is_an_error_of_execution(tmp_path: Path, action: str) -> None:
    body = f"""
    <datamodel><data id="n" expr="1"/></datamodel>
    <state id="a"><onentry>{action}</onentry><transition event="error.execution" target="b"/></state><state id="b"/>
    """
    assert played(scxml(tmp_path, body)).configuration == ("b",)


def test_messages_carry_parameters_variables_or_content(tmp_path: Path) -> None:
    body = """
    <datamodel><data id="n" expr="1"/><data id="seen" expr="[]"/></datamodel>
    <state id="a">
      <onentry>
        <send event="m1" namelist="n"><param name="p" expr="n + 1"/></send>
        <send eventexpr="'m2'"><content>just text</content></send>
        <send event="m3"><content expr="[n]"/></send>
        <send event="m4" target="#_internal"/>
      </onentry>
      <transition event="*"><assign location="seen" expr="seen + [[_event.name, _event.data]]"/></transition>
    </state>
    """
    assert played(scxml(tmp_path, body)).snapshot.data == {
        "n": 1,
        "seen": [["m4", None], ["m1", {"n": 1, "p": 2}], ["m2", "just text"], ["m3", [1]]],
    }


def test_a_final_state_leaves_its_data_behind(tmp_path: Path) -> None:
    body = """
    <datamodel><data id="n" expr="7"/></datamodel>
    <final id="f"><donedata><param name="answer" expr="n * 6"/></donedata></final>
    """
    machine = played(scxml(tmp_path, body))

    assert (machine.status, machine.output) == (Status.DONE, {"answer": 42})


def test_late_binding_waits_for_the_first_visit(tmp_path: Path) -> None:
    body = """
    <state id="a"><transition event="go" target="b"/></state>
    <state id="b">
      <datamodel><data id="n" expr="1"/></datamodel>
      <transition event="count"><assign location="n" expr="n + 1"/></transition>
      <transition event="back" target="a"/>
    </state>
    """
    chart = scxml(tmp_path, body, head='binding="late"')

    assert played(chart).snapshot.data == {}
    assert played(chart, "go").snapshot.data == {"n": 1}
    assert played(chart, "go", "count", "back", "go").snapshot.data == {"n": 2}
