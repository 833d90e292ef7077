"""Idioms of SCXML: the body of a document, and the events that it is sent."""

from __future__ import annotations

DOCUMENTS: dict[str, tuple[str, list[str]]] = {
    "a cycle of states": (
        """<state id="red"><transition event="go" target="green"/></state>
        <state id="green"><transition event="stop" target="red"/></state>""",
        ["go", "stop", "go"],
    ),
    "data, guards and assignments": (
        """<datamodel><data id="n" expr="0"/></datamodel>
        <state id="a">
          <transition event="add" cond="n &lt; 2"><assign location="n" expr="n + 1"/></transition>
          <transition event="add" cond="n == 2" target="b"/>
        </state>
        <state id="b"/>""",
        ["add", "add", "add", "add"],
    ),
    "nested states with an initial child": (
        """<state id="off"><transition event="press" target="on"/></state>
        <state id="on" initial="bright">
          <state id="dim"/><state id="bright"><transition event="turn" target="dim"/></state>
          <transition event="press" target="off"/>
        </state>""",
        ["press", "turn", "press"],
    ),
    "an initial element": (
        """<state id="s"><initial><transition target="s2"/></initial>
          <state id="s1"/><state id="s2"><transition event="back" target="s1"/></state>
        </state>""",
        ["back"],
    ),
    "regions": (
        """<parallel id="p">
          <state id="l"><state id="l1"><transition event="left" target="l2"/></state><state id="l2"/></state>
          <state id="r"><state id="r1"><transition event="right" target="r2"/></state><state id="r2"/></state>
        </parallel>""",
        ["left", "right"],
    ),
    "regions that end": (
        """<parallel id="p">
          <state id="l"><state id="l1"><transition event="left" target="lf"/></state><final id="lf"/></state>
          <state id="r"><state id="r1"><transition event="right" target="rf"/></state><final id="rf"/></state>
          <transition event="done.state.p" target="over"/>
        </parallel>
        <state id="over"/>""",
        ["right", "left"],
    ),
    "a compound state that ends": (
        """<state id="s"><state id="s1"><transition event="go" target="sf"/></state><final id="sf"/>
          <transition event="done.state.s" target="over"/>
        </state>
        <state id="over"/>""",
        ["go"],
    ),
    "a shallow history": (
        """<state id="book"><history id="h"><transition target="one"/></history>
          <state id="one"><transition event="step" target="two"/></state><state id="two"/>
          <transition event="pause" target="away"/>
        </state>
        <state id="away"><transition event="resume" target="h"/></state>""",
        ["step", "pause", "resume"],
    ),
    "a deep history": (
        """<state id="cave"><history id="h" type="deep"><transition target="hall"/></history>
          <state id="hall"><state id="left"><transition event="turn" target="right"/></state><state id="right"/></state>
          <transition event="pause" target="away"/>
        </state>
        <state id="away"><transition event="resume" target="h"/></state>""",
        ["turn", "pause", "resume"],
    ),
    "transitions without an event": (
        """<datamodel><data id="n" expr="0"/></datamodel>
        <state id="a"><transition event="go" target="b"/></state>
        <state id="b"><onentry><assign location="n" expr="n + 1"/></onentry>
          <transition cond="n == 1" target="c"/></state>
        <state id="c"/>""",
        ["go"],
    ),
    "events that the document raises": (
        """<state id="a"><transition event="go" target="b"><raise event="on"/></transition></state>
        <state id="b"><transition event="on" target="c"/></state><state id="c"/>""",
        ["go"],
    ),
    "descriptors with a star": (
        """<state id="a"><transition event="error.*" target="bad"/><transition event="note.*" target="noted"/></state>
        <state id="noted"><transition event="*" target="a"/></state><state id="bad"/>""",
        ["note.first", "anything", "note.second"],
    ),
    "entry and exit in order": (
        """<datamodel><data id="log" expr="''"/></datamodel>
        <state id="a"><onexit><assign location="log" expr="log + 'x'"/></onexit>
          <transition event="go" target="b"><assign location="log" expr="log + 't'"/></transition></state>
        <state id="b"><onentry><assign location="log" expr="log + 'e'"/></onentry></state>""",
        ["go"],
    ),
    "branches and loops": (
        """<datamodel><data id="n" expr="0"/><data id="items" expr="[1, 2, 3]"/></datamodel>
        <state id="a"><transition event="go" target="b">
          <foreach array="items" item="one"><assign location="n" expr="n + one"/></foreach>
          <if cond="n == 6"><raise event="six"/><else/><raise event="other"/></if>
        </transition></state>
        <state id="b"><transition event="six" target="c"/></state><state id="c"/>""",
        ["go"],
    ),
    "an internal transition": (
        """<datamodel><data id="n" expr="0"/></datamodel>
        <state id="s"><onentry><assign location="n" expr="n + 1"/></onentry>
          <transition event="in" type="internal" target="s2"/><transition event="out" target="s2"/>
          <state id="s1"/><state id="s2"/>
        </state>""",
        ["in", "out"],
    ),
    "a guard that looks at another region": (
        """<parallel id="p">
          <state id="l"><state id="l1"><transition event="go" cond="In('r2')" target="l2"/></state><state id="l2"/></state>
          <state id="r"><state id="r1"><transition event="on" target="r2"/></state><state id="r2"/></state>
        </parallel>""",
        ["go", "on", "go"],
    ),
}
