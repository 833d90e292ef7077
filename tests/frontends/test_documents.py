"""Documents: SCXML, JSON and YAML, read from files, trusted and not."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from durable_fsm import chart_from
from durable_fsm.core.chart import Chart, Kind
from durable_fsm.core.snapshot import Status
from durable_fsm.errors import DefinitionError, Forbidden, NotDurable, UnknownEvent
from durable_fsm.frontends import documents
from durable_fsm.restate.app import services
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


def test_states_stand_in_the_order_they_are_written(tmp_path: Path) -> None:
    chart = scxml(
        tmp_path, '<parallel id="p"><state id="a"/></parallel><final id="f"/><state id="s"><history id="h"/></state>'
    )

    assert list(chart.states) == ["", "p", "a", "f", "s", "h"]
    assert chart.states["h"].kind is Kind.SHALLOW_HISTORY


def test_a_state_without_a_name_gets_one(tmp_path: Path) -> None:
    assert list(scxml(tmp_path, "<state><state/></state><final/>").states) == ["", "state1", "state2", "state3"]


def test_what_is_declared_is_known_and_what_is_the_platforms_is_private(tmp_path: Path) -> None:
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


# ── what a document may say ───────────────────────────────────────────────────────────────────────────────────────────


def test_foreign_operators_are_read_as_pythons(tmp_path: Path) -> None:
    body = """
    <datamodel><data id="n" expr="2"/><data id="word" expr="'a&amp;&amp;b'"/></datamodel>
    <state id="a"><transition cond="n === 2 &amp;&amp; !(n !== 2) || false" target="b"/></state>
    <state id="b"><transition cond="word == 'a&amp;&amp;b' &amp;&amp; true" target="c"/></state>
    <state id="c"/>
    """
    for trusted in (False, True):
        assert played(scxml(tmp_path, body, trusted=trusted)).configuration == ("c",)


def test_an_untrusted_document_reads_its_event_and_its_place(tmp_path: Path) -> None:
    body = """
    <datamodel><data id="seen"/><data id="order"/></datamodel>
    <state id="a">
      <transition event="go" cond="_event.data.cents &gt; 3 and In('a')" target="b">
        <assign location="seen" expr="[_event.name, _event.type, _event.data.cents * 2, _name]"/>
        <assign location="order" expr="{'city': 'x'}"/>
        <assign location="order.city" expr="_event.data.city"/>
      </transition>
    </state>
    <state id="b"/>
    """
    machine = played(scxml(tmp_path, body), ("go", {"cents": 2}), ("go", {"cents": 4, "city": "Rome"}))

    assert machine.snapshot.data == {"seen": ["go", "external", 8, "doc"], "order": {"city": "Rome"}}


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
def test_what_cannot_be_done_is_an_error_of_execution(tmp_path: Path, action: str) -> None:
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


# ── trust ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "expression",
    [
        "open('/etc/passwd')",
        "n.__class__",
        "[x for x in n]",
        "lambda: 1",
        "n is None",
        "1 = 1",
        "'%9d' % n if n else 2",
    ],
)
def test_an_untrusted_document_is_refused_where_it_says_too_much(tmp_path: Path, expression: str) -> None:
    (found,) = problems(tmp_path, f'<state id="a"><onentry><log expr="{expression}"/></onentry></state>')

    assert found.startswith(f"'{expression}' is more than an untrusted document may say (")
    assert found.endswith("(doc.scxml:2)")


def test_an_untrusted_document_runs_no_script_and_reads_no_file(tmp_path: Path) -> None:
    body = """
    <datamodel><data id="n" src="file:secret.txt"/></datamodel>
    <script>n = 1</script>
    <state id="a"><onentry><script>n = 2</script></onentry></state>
    """
    assert problems(tmp_path, body) == [
        "it reads a file, 'file:secret.txt'. (doc.scxml:3)",
        "a script is any code at all. (doc.scxml:4)",
        "a script is any code at all. (doc.scxml:5)",
    ]


def test_the_names_that_untrusted_expressions_see_are_data(tmp_path: Path) -> None:
    body = """
    <datamodel><data id="seen"/></datamodel>
    <state id="a"><transition event="go"><assign location="seen" expr="_event.data.get"/></transition>
    <transition event="error.execution" target="b"/></state><state id="b"/>
    """
    with pytest.raises(Exception, match=r"form in JSON|callback"):
        played(scxml(tmp_path, body), ("go", {"n": 1}))


def test_a_trusted_document_is_python(tmp_path: Path) -> None:
    written(tmp_path, "prices.txt", "[1, 2, 3]")
    body = """
    <datamodel><data id="prices" src="file:prices.txt"/><data id="twice" expr="lambda n: 2 * n"/><data id="n"/></datamodel>
    <script>
      def added(items):
          return sum(items)
      bonus = 4
    </script>
    <state id="a"><transition event="go"><assign location="n" expr="twice(added(prices)) + bonus"/></transition></state>
    """
    machine = played(scxml(tmp_path, body, trusted=True))
    machine.send("go")

    stored = machine.snapshot.data
    assert isinstance(stored, dict)
    assert stored["n"] == 16
    assert stored["twice"] == {"$python": "lambda n: 2 * n"}
    machine.send("go")


def test_stored_code_is_plain_data_to_a_document_that_is_not_trusted(tmp_path: Path) -> None:
    body = """
    <datamodel><data id="f" expr="None"/></datamodel>
    <state id="a"><transition event="go" cond="f.x" target="b"/></state><state id="b"/>
    """
    machine = Rehearsal(scxml(tmp_path, body))
    machine.create({"f": {"$python": "print('owned')", "x": 1}})

    machine.send("go")

    assert machine.configuration == ("b",)


def test_what_scripts_leave_behind_must_have_a_form_in_json(tmp_path: Path) -> None:
    chart = scxml(tmp_path, '<state id="a"><onentry><script>import sys</script></onentry></state>', trusted=True)

    assert played(chart).snapshot.data == {}


def test_xml_is_a_value(tmp_path: Path) -> None:
    body = """
    <datamodel><data id="books"><books><book title="one"/><book title="two"/></books></data><data id="n"/></datamodel>
    <state id="a"><transition event="go" cond="books.findall('book')[1].get('title') == 'two'" target="b"/></state>
    <state id="b"/>
    """
    machine = played(scxml(tmp_path, body, trusted=True), "go")

    assert machine.configuration == ("b",)
    assert machine.snapshot.data == {
        "books": {"$xml": '<books><book title="one" /><book title="two" /></books>'},
        "n": None,
    }


# ── problems ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_problem_is_told_with_its_line(tmp_path: Path) -> None:
    body = """<state id="a">
      <transition event="go" target="nowhere"/>
      <transition event="on" cond="f()" target="a"/>
    </state>
    <state id="b"><state id="a"/></state>"""

    assert problems(tmp_path, body) == [
        "2 states have the id 'a'. (doc.scxml)",
        "target 'nowhere' is no state. (doc.scxml:3)",
        "'f()' is more than an untrusted document may say (Unsupported function: f). (doc.scxml:4)",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<scxml", "it is no XML: unclosed token. Mend it. ("),
        ("<html/>", "its root is <html>, not <scxml>."),
        ("<scxml><state><transition><play/></transition></state></scxml>", "<play> is no executable content."),
        ("<scxml><state><onentry><raise/></onentry></state></scxml>", "<raise> has no 'event'."),
        ('<!DOCTYPE x [<!ENTITY e "boom">]><scxml/>', "it declares entities, which are not read."),
        ("<scxml/>", "the document has no states."),
        ('<scxml><state id="a"/><final id="a"/></scxml>', "state 'a' is there twice. Mend it. ("),
    ],
)
def test_a_text_that_is_no_scxml(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        documents.chart_from(written(tmp_path, "doc.scxml", text))
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("doc.json", "{", "it is no JSON: Expecting property name"),
        ("doc.json", '{"states": {"a": {"what": 1}}}', "Unknown state 'a' key(s) ['what']"),
        ("doc.json", "[]", "must be a mapping"),
        ("doc.yaml", "a: [", "it is no YAML"),
        ("doc.yaml", "states: {a: {enter: call_me}}", "callback 'call_me' is named, and a document has no methods."),
        (
            "doc.json",
            '{"states": {"a": {"transitions": [{"event": "x", "on": [{"raise": {}}]}]}}}',
            "KeyError: 'event'",
        ),
    ],
)
def test_a_text_that_is_no_definition(tmp_path: Path, name: str, text: str, problem: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        documents.chart_from(written(tmp_path, name, text))
    assert problem in str(raised.value)


def test_a_transition_to_nowhere_can_be_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, "doc.scxml", LAMP.replace('target="off"', 'target="of"'))

    with pytest.warns(UserWarning, match=r"a transition to 'of', which is no state, was left out \(.*doc.scxml:12\)"):
        chart = documents.chart_from(path, strict=False)

    assert {edge.key for edge in chart.transitions} == {"off--press--1"}
    with pytest.raises(UnknownEvent):
        played(chart, "timeout")


def test_a_file_that_is_not_there_is_the_operating_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        chart_from(tmp_path / "gone.scxml")


# ── machines in machines ──────────────────────────────────────────────────────────────────────────────────────────────

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


def test_a_machine_that_stands_in_a_document_is_hosted_beside_its_parent(tmp_path: Path) -> None:
    hosted = services(chart_from(written(tmp_path, "shop.scxml", SHOP)))

    assert [service.name for service in hosted] == ["shop", "shop.history", "till", "till.history"]


def test_a_machine_that_is_only_known_when_it_begins_has_no_host(tmp_path: Path) -> None:
    text = re.sub("<invoke.*</invoke>", '<invoke id="till" srcexpr="where"/>', SHOP, flags=re.DOTALL)

    with pytest.raises(
        NotDurable, match="state 'paying' runs machine 'till', whose chart is only known when it begins"
    ):
        services(chart_from(written(tmp_path, "shop.scxml", text)))


def test_a_document_without_machines_is_hosted(tmp_path: Path) -> None:
    hosted = services(chart_from(written(tmp_path, "lamp.scxml", LAMP)))

    assert [service.name for service in hosted] == ["lamp", "lamp.history"]
