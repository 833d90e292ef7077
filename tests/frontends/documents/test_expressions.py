"""Expressions and scripts of documents, with and without trust in their author."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable_fsm.testing import Rehearsal
from tests.frontends.documents.texts import played, problems, scxml, written


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


@pytest.mark.parametrize(
    "expression",
    [
        "open('/etc/passwd')",
        "n.__class__",
        "[x for x in n]",
        "lambda: 1",
        "n is None",
        "'%9d' % n if n else 2",
    ],
)
def test_an_untrusted_document_is_refused_where_it_says_too_much(tmp_path: Path, expression: str) -> None:
    (found,) = problems(tmp_path, f'<state id="a"><onentry><log expr="{expression}"/></onentry></state>')

    assert found.startswith(f"'{expression}' is not allowed in an untrusted document (")
    assert found.endswith("(doc.scxml:2)")


def test_an_untrusted_document_runs_no_script_and_reads_no_file(tmp_path: Path) -> None:
    body = """
    <datamodel><data id="n" src="file:secret.txt"/></datamodel>
    <script>n = 1</script>
    <state id="a"><onentry><script>n = 2</script></onentry></state>
    """
    assert problems(tmp_path, body) == [
        "it reads the file 'file:secret.txt'. (doc.scxml:3)",
        "a script may run any code. (doc.scxml:4)",
        "a script may run any code. (doc.scxml:5)",
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


def test_values_that_scripts_leave_behind_must_have_a_form_in_json(tmp_path: Path) -> None:
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
