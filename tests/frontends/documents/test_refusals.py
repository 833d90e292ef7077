"""What is refused of a document, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable_fsm import chart_from
from durable_fsm.errors import DefinitionError, UnknownEvent
from durable_fsm.frontends import documents
from tests.frontends.documents.texts import LAMP, played, problems, scxml, written


def test_every_problem_is_reported_with_its_line(tmp_path: Path) -> None:
    body = """<state id="a">
      <transition event="go" target="nowhere"/>
      <transition event="on" cond="f()" target="a"/>
    </state>
    <state id="b"><state id="a"/></state>"""

    assert problems(tmp_path, body) == [
        "2 states have the id 'a'. (doc.scxml)",
        "target 'nowhere' is not a state. (doc.scxml:3)",
        "'f()' is not allowed in an untrusted document (Unsupported function: f). (doc.scxml:4)",
    ]


def test_every_mistake_in_the_structure_is_reported_at_once(tmp_path: Path) -> None:
    body = """<datamodel><data expr="1"/></datamodel>
    <state id="a"><onentry><raise/><play/><send event="x"><param expr="1"/></send></onentry>
      <transition event="go" target="nowhere"><foreach/><if><raise event="y"/><elseif/></if></transition>
      <history><transition target="c"/></history><state id="c"/>
    </state>
    <state id="b"><invoke><content><scxml><state id="d"><onexit><stop/><assign/></onexit>
      <transition cond="f()" target="e"/></state></scxml></content></invoke></state>
    <state id="a"/>"""

    assert problems(tmp_path, body) == [
        "<data> has no 'id'. (doc.scxml:2)",
        "<raise> has no 'event'. (doc.scxml:3)",
        "<play> is not executable content. (doc.scxml:3)",
        "<param> has no 'name'. (doc.scxml:3)",
        "<foreach> has no 'array'. (doc.scxml:4)",
        "<foreach> has no 'item'. (doc.scxml:4)",
        "<if> has no 'cond'. (doc.scxml:4)",
        "<elseif> has no 'cond'. (doc.scxml:4)",
        "<history> has no 'id'. (doc.scxml:5)",
        "state 'a' is declared twice. (doc.scxml:9)",
        "target 'nowhere' is not a state. (doc.scxml:4)",
        "in doc_b: <stop> is not executable content. (doc.scxml:7)",
        "in doc_b: <assign> has no 'location'. (doc.scxml:7)",
        "in doc_b: 'f()' is not allowed in an untrusted document (Unsupported function: f). (doc.scxml:7)",
        "in doc_b: target 'e' is not a state. (doc.scxml:7)",
    ]


def test_an_element_of_scxml_in_the_wrong_place_is_refused(tmp_path: Path) -> None:
    body = """<datamodel><date id="x"/></datamodel>
    <state id="a"><onenter/><transitoin event="go"/><onentry><send event="x"><parm name="y"/></send></onentry></state>
    <parallel id="b"><initial><transition target="c"/></initial><state id="c"><log/></state></parallel>
    <final id="d"><donedata><foo/></donedata></final>"""

    assert problems(tmp_path, body) == [
        "<date> does not belong in <datamodel>. Did you mean <data>? (doc.scxml:2)",
        "<onenter> does not belong in <state>. Did you mean <onentry>? (doc.scxml:3)",
        "<transitoin> does not belong in <state>. Did you mean <transition>? (doc.scxml:3)",
        "<parm> does not belong in <send>. Did you mean <param>? (doc.scxml:3)",
        "<initial> does not belong in <parallel>. (doc.scxml:4)",
        "<log> does not belong in <state>. (doc.scxml:4)",
        "<foo> does not belong in <donedata>. (doc.scxml:5)",
    ]


def test_a_document_inside_a_document_that_is_not_scxml_is_refused(tmp_path: Path) -> None:
    body = '<state id="a"><invoke><content><html/></content></invoke></state>'

    assert problems(tmp_path, body) == [
        "the document in it cannot be read: its root is <html>, not <scxml>. (doc.scxml:2)",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<scxml", "it is not valid XML: unclosed token. Correct it. ("),
        ("<html/>", "its root is <html>, not <scxml>."),
        ("<scxml><state><transition><play/></transition></state></scxml>", "<play> is not executable content."),
        ("<scxml><state><onentry><raise/></onentry></state></scxml>", "<raise> has no 'event'."),
        ('<!DOCTYPE x [<!ENTITY e "boom">]><scxml/>', "it declares entities, which are not read."),
        ("<scxml/>", "the document has no states."),
        ('<scxml><state id="a"/><final id="a"/></scxml>', "state 'a' is declared twice. Correct it. ("),
    ],
)
def test_a_text_that_is_not_scxml_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        documents.chart_from(written(tmp_path, "doc.scxml", text))
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("doc.json", "{", "it is not valid JSON: Expecting property name"),
        ("doc.json", '{"states": {"a": {"what": 1}}}', "Unknown state 'a' key(s) ['what']"),
        ("doc.json", "[]", "must be a mapping"),
        ("doc.yaml", "a: [", "it is not valid YAML"),
        ("doc.yaml", "states: {a: {enter: call_me}}", "callback 'call_me' is named, but a document has no methods."),
        (
            "doc.json",
            '{"states": {"a": {"transitions": [{"event": "x", "on": [{"raise": {}}]}]}}}',
            "KeyError: 'event'",
        ),
    ],
)
def test_a_text_that_is_not_a_definition_is_refused(tmp_path: Path, name: str, text: str, problem: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        documents.chart_from(written(tmp_path, name, text))
    assert problem in str(raised.value)


def test_a_transition_to_nowhere_can_be_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, "doc.scxml", LAMP.replace('target="off"', 'target="of"'))

    with pytest.warns(
        UserWarning, match=r"a transition to 'of', which is not a state, was left out \(.*doc.scxml:12\)"
    ):
        chart = documents.chart_from(path, strict=False)

    assert {edge.key for edge in chart.transitions} == {"off--press--1"}
    with pytest.raises(UnknownEvent):
        played(chart, "timeout")


def test_a_file_that_is_not_there_is_the_operating_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        chart_from(tmp_path / "gone.scxml")


@pytest.mark.parametrize("kind", ["DEEP", "Deep", "full", ""])
def test_a_history_state_of_an_unknown_type_is_refused_and_not_read_as_shallow(tmp_path: Path, kind: str) -> None:
    body = f'<state id="a"><history id="h" type="{kind}"><transition target="b"/></history><state id="b"/></state>'

    assert problems(tmp_path, body) == [f"history state 'h' has the type '{kind}'. (doc.scxml:2)"]


def test_a_document_inside_a_document_has_the_lines_of_the_whole(tmp_path: Path) -> None:
    body = """<state id="a"><invoke>
      <content>
        <scxml><state id="b">
          <transition event="go" target="b"/></state></scxml>
      </content></invoke></state>"""

    (child,) = scxml(tmp_path, body).states["a"].machines

    assert child.chart is not None
    assert [edge.location and edge.location.line for edge in child.chart.transitions] == [5]
