"""Documents as people write them: marks of editors, other languages, history states without a use."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner

from durable_fsm.cli import main
from durable_fsm.errors import DefinitionWarning
from durable_fsm.frontends import documents
from durable_fsm.testing import Rehearsal
from tests.frontends.documents.texts import played, problems, scxml, written

EDITED = """<scxml xmlns="http://www.w3.org/2005/07/scxml" xmlns:qt="http://qt.io/scxml" xmlns:v="urn:view" name="edited">
  <qt:editorinfo initialGeometry="1;2"/>
  <datamodel><data id="n" expr="0"><qt:note>text</qt:note></data><v:note><data id="m"/></v:note></datamodel>
  <state id="a" v:id="other">
    <qt:editorinfo><transition event="go" target="nowhere"/></qt:editorinfo>
    <onentry><qt:beep>loud</qt:beep><assign location="n" expr="n + 1" v:expr="n + 50"/></onentry>
    <transition event="go" qt:event="stop" target="b">
      <v:point x="1"/>
      <if cond="n"><v:point/><raise event="x"/><qt:else/><else/></if>
      <send event="y"><qt:param/><param name="n" expr="n"/></send>
    </transition>
  </state>
  <state id="b">
    <invoke id="till"><content><scxml><v:x/><state id="c" v:id="d"><v:y/></state></scxml></content></invoke>
  </state>
</scxml>"""


def noted(folder: Path, text: str, *, trusted: bool = False) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DefinitionWarning)
        documents.chart_from(written(folder, "doc.scxml", text), trusted=trusted)
    return [str(one.message).replace(f"{folder}/", "") for one in caught if one.category is DefinitionWarning]


def test_elements_and_attributes_of_other_namespaces_are_ignored_and_noted(tmp_path: Path) -> None:
    path = written(tmp_path, "doc.scxml", EDITED)
    with pytest.warns(DefinitionWarning):
        machine = Rehearsal(documents.chart_from(path))
    machine.create()

    machine.send("go")

    assert machine.configuration == ("b",)
    assert machine.snapshot.data == {"n": 1}
    assert machine.machines["till"].configuration == ("c",)
    assert noted(tmp_path, EDITED) == [
        "edited: ignored, of the namespace 'http://qt.io/scxml': <editorinfo>, <beep>, event=, <else>, <param>. (doc.scxml:2)",
        "edited: ignored, of the namespace 'urn:view': <note>, id=, expr=, <point>, <x>, <y>. (doc.scxml:3)",
    ]


def test_misspelt_attributes_are_noted_and_those_of_tools_are_not(tmp_path: Path) -> None:
    text = """<scxml exmode="strict" intial="b">
      <state id="a" profile="x"><transition even="go" targt="b"/></state><state id="b"/>
    </scxml>"""

    assert noted(tmp_path, text) == [
        "doc: <scxml> has no attribute 'intial', and it is ignored. Did you mean 'initial'? (doc.scxml:1)",
        "doc: <transition> has no attribute 'even', and it is ignored. Did you mean 'event'? (doc.scxml:2)",
        "doc: <transition> has no attribute 'targt', and it is ignored. Did you mean 'target'? (doc.scxml:2)",
    ]


@pytest.mark.parametrize(
    "attributes",
    ['xml:space="preserve"', 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b"'],
)
def test_attributes_of_xml_itself_are_not_noted(tmp_path: Path, attributes: str) -> None:
    assert noted(tmp_path, f'<scxml {attributes}><state id="a"/></scxml>') == []


def test_xml_as_a_value_keeps_its_elements_of_every_namespace(tmp_path: Path) -> None:
    text = '<scxml><datamodel><data id="x"><b:s xmlns:b="urn:b"><b:k/></b:s></data></datamodel><state id="a"/></scxml>'

    assert noted(tmp_path, text) == []
    chart = documents.chart_from(tmp_path / "doc.scxml")
    assert played(chart).snapshot.data == {"x": {"$xml": "<s><k /></s>"}}


FOREIGN = ', but ecmascript, as datamodel="ecmascript" says.'


@pytest.mark.parametrize("text", ["n++", "typeof n", "new Date()", "n ? 1 : 2"])
def test_an_expression_in_another_language_is_told_as_that(tmp_path: Path, text: str) -> None:
    body = f'<state id="a"><transition event="go" cond="{text}" target="a"/></state>'
    with pytest.warns(DefinitionWarning, match="its expressions are said to be in ecmascript"):
        found = problems(tmp_path, body, head='datamodel="ecmascript"')

    assert found == [f"'{text}' is not Python{FOREIGN} (doc.scxml:2)"]


def test_a_script_in_another_language_is_told_as_that(tmp_path: Path) -> None:
    body = '<state id="a"><onentry><script>\n  var n = 1;\n  n++;\n</script></onentry></state>'
    with pytest.warns(DefinitionWarning):
        found = problems(tmp_path, body, head='datamodel="ecmascript"')

    assert found == [f"'var n = 1;' is not Python{FOREIGN} (doc.scxml:2)"]


@pytest.mark.parametrize(("datamodel", "rest"), [("ecmascript", FOREIGN), ("python", ".")])
def test_code_of_a_trusted_document_that_is_not_python_is_an_error_when_it_runs(
    tmp_path: Path, datamodel: str, rest: str
) -> None:
    text = f"""<scxml name="doc" datamodel="{datamodel}"><state id="a">
    <onentry><script>var n = 1;</script></onentry>
    <transition event="error.execution" cond="!n++" target="b"/>
    <transition event="error.execution" target="c"/></state><state id="b"/><state id="c"/></scxml>"""

    until = "Write it in Python. Until then it raises error.execution."
    assert noted(tmp_path, text, trusted=True)[-2:] == [
        f"doc: 'var n = 1;' is not Python{rest} {until} (doc.scxml:2)",
        f"doc: '!n++' is not Python{rest} {until} (doc.scxml:3)",
    ]
    with pytest.warns(DefinitionWarning):
        chart = documents.chart_from(tmp_path / "doc.scxml", trusted=True)
    assert played(chart).configuration == ("c",)


def test_an_expression_that_trust_would_not_mend_is_not_said_to_need_it(tmp_path: Path) -> None:
    for text in ("n++", "1 = 1"):
        body = f'<state id="a"><transition event="go" cond="{text}" target="a"/></state>'

        assert problems(tmp_path, body) == [f"'{text}' is not Python. (doc.scxml:2)"]


def test_expressions_of_another_language_that_are_python_too_are_read(tmp_path: Path) -> None:
    body = """<datamodel><data id="n" expr="1"/></datamodel>
    <state id="a"><transition event="go" cond="n === 1 &amp;&amp; !false" target="b"/></state><state id="b"/>"""
    with pytest.warns(DefinitionWarning, match='Check them, and write datamodel="python"'):
        chart = scxml(tmp_path, body, head='datamodel="ecmascript"')

    assert played(chart, "go").configuration == ("b",)


FORGETFUL = """<scxml name="doc"><state id="a">
  <history id="h" type="deep"><transition target="a"/></history>
  <transition event="go" target="b"/></state>
<state id="b"><transition event="back" target="h"/></state></scxml>"""


def test_a_history_state_with_nothing_to_remember_is_its_parent(tmp_path: Path) -> None:
    said = (
        "doc: history state 'h' has nothing to remember: state 'a' has no states in it. A transition to it enters 'a'."
    )

    assert noted(tmp_path, FORGETFUL) == [f"{said} (doc.scxml:2)"]
    with pytest.warns(DefinitionWarning):
        chart = documents.chart_from(tmp_path / "doc.scxml")
    assert played(chart, "go", "back").configuration == ("a",)


@pytest.mark.parametrize("format", ["svg", "mermaid", "md", "plantuml", "dot", "scxml", "xstate"])
@pytest.mark.filterwarnings("ignore::durable_fsm.errors.DefinitionWarning")
def test_a_history_state_with_nothing_to_remember_can_be_drawn(tmp_path: Path, format: str) -> None:
    path = written(tmp_path, "doc.scxml", FORGETFUL)

    outcome = CliRunner().invoke(main, ["diagram", str(path), "--format", format])

    assert (outcome.exit_code, outcome.exception) == (0, None)


SCRIPTED = """<scxml name="doc"><state id="a"><onentry><script>n = len('abc')</script></onentry></state></scxml>"""


@pytest.mark.parametrize("command", ["check", "diagram", "simulate"])
def test_commands_read_a_trusted_document_where_they_are_told_to(tmp_path: Path, command: str) -> None:
    path = written(tmp_path, "doc.scxml", SCRIPTED)
    runner = CliRunner()

    refused, read = runner.invoke(main, [command, str(path)]), runner.invoke(main, [command, str(path), "--trusted"])

    assert "a script may run any code" in refused.output
    assert (refused.exit_code, read.exit_code) == (3, 0)
    assert "a script may run any code" not in read.output


def test_diagrams_in_files_are_drawn_of_trusted_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "doc.scxml", SCRIPTED)
    page = written(tmp_path, "page.md", "<!-- fsm: doc.scxml table -->\n<!-- /fsm -->\n")
    runner = CliRunner()

    assert runner.invoke(main, ["diagram", "page.md", "--trusted"]).exit_code == 0
    assert "script" in page.read_text()
    stale = runner.invoke(main, ["diagram", "doc.scxml", "-o", "doc.svg", "--check", "--trusted"])
    assert "run durable-fsm diagram doc.scxml -o doc.svg --trusted\n" in stale.stderr

    table = '[tool.durable_fsm.diagrams.doc]\ntarget = "doc.scxml"\noutput = "doc.svg"\ntrusted = true\n'
    written(tmp_path, "pyproject.toml", table)
    assert runner.invoke(main, ["diagram"]).exit_code == 0


FAILING = """<scxml name="doc"><datamodel><data id="n" expr="0"/></datamodel><state id="a">
  <onexit><log expr="n.left"/></onexit>
  <transition event="guard" cond="nothing" target="b"/>
  <transition event="if"><if cond="nothing"><raise event="x"/></if></transition>
  <transition event="script"><script>nothing()</script></transition>
  <transition event="assign"><assign location="other" expr="1"/></transition>
  <transition event="send"><send event="x" type="http"/></transition>
  <transition event="leave" target="b"/></state><state id="b"/></scxml>"""


@pytest.mark.parametrize(
    ("event", "callback", "problem"),
    [
        ("guard", "nothing", "name 'nothing' is not defined"),
        ("if", "if", "name 'nothing' is not defined"),
        ("script", "script", "name 'nothing' is not defined"),
        ("assign", "assign other", "variable 'other' is not declared"),
        ("send", "send x", "there is no event processor 'http'"),
        ("leave", "exit", "has no attribute 'left'"),
    ],
)
def test_code_that_fails_is_reported_where_no_transition_takes_the_error(
    tmp_path: Path, event: str, callback: str, problem: str
) -> None:
    path = written(tmp_path, "doc.scxml", FAILING)
    machine = played(documents.chart_from(path, trusted=True), event)
    lines = written(tmp_path, "events", json.dumps({"event": event}) + "\n")
    arguments = ["simulate", str(path), "--trusted", "--events", str(lines)]

    told = CliRunner().invoke(main, arguments).stdout.splitlines()
    pretty = CliRunner().invoke(main, [*arguments, "--pretty"]).stdout

    (error,) = machine.caught
    assert (error.event, error.callback) == (event, callback)
    assert problem in error.problem
    assert "errors" not in json.loads(told[0])
    assert json.loads(told[1])["errors"] == [{"event": event, "callback": callback, "problem": error.problem}]
    assert f"error.execution: {callback}: {error.problem}" in pretty
