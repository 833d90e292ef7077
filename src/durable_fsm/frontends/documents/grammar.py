"""Which elements and attributes SCXML has, and where: what it does not have is not dropped in silence.

https://www.w3.org/TR/scxml/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from xml.etree import ElementTree as ET

LITERAL = ("content", "data", "assign")
"""Elements that may hold XML of any kind, as a value."""

_CHILDREN = {
    "scxml": "state parallel final datamodel script",
    "state": "onentry onexit transition initial state parallel final history datamodel invoke",
    "parallel": "onentry onexit transition state parallel history datamodel invoke",
    "final": "onentry onexit donedata",
    "initial": "transition",
    "history": "transition",
    "donedata": "content param",
    "datamodel": "data",
    "invoke": "param finalize content",
    "send": "content param",
    **dict.fromkeys(("raise", "log", "cancel", "param", "script", "elseif", "else"), ""),
}
_ATTRIBUTES = {
    "scxml": "initial name version datamodel binding",
    "state": "id initial",
    "parallel": "id",
    "final": "id",
    "history": "id type",
    "transition": "event cond target type",
    "raise": "event",
    "if": "cond",
    "elseif": "cond",
    "foreach": "array item index",
    "log": "label expr",
    "data": "id src expr",
    "assign": "location expr attr type",
    "content": "expr",
    "param": "name expr location",
    "script": "src",
    "send": "event eventexpr target targetexpr type typeexpr id idlocation delay delayexpr namelist",
    "cancel": "sendid sendidexpr",
    "invoke": "type typeexpr src srcexpr id idlocation namelist autoforward",
}
CHILDREN: Mapping[str, list[str]] = {tag: names.split() for tag, names in _CHILDREN.items()}
ATTRIBUTES: Mapping[str, list[str]] = {tag: names.split() for tag, names in _ATTRIBUTES.items()}


def misplaced(element: ET.Element) -> Iterator[tuple[ET.Element, str]]:
    """Elements below this one that are in the wrong place, each with what is wrong.

    Executable content is left to its reader.
    """
    allowed = CHILDREN.get(element.tag)
    for child in _children(element):
        if allowed is not None and child.tag not in allowed:
            close = get_close_matches(child.tag, allowed, n=1)
            hint = f" Did you mean <{close[0]}>?" if close else ""
            yield child, f"<{child.tag}> does not belong in <{element.tag}>.{hint}"
        else:
            yield from misplaced(child)


def misspelt(element: ET.Element) -> Iterator[tuple[ET.Element, str, str]]:
    """Attributes that are almost one of SCXML's, here and below: the element, the name, and what was meant.

    Others are left out without a word: tools write their own, such as `exmode`.
    """
    known = ATTRIBUTES.get(element.tag, [])
    for name in element.attrib:
        close = [] if name in known else get_close_matches(name, known, n=1, cutoff=0.75)
        if close:
            yield element, name, close[0]
    for child in _children(element):
        yield from misspelt(child)


def _children(element: ET.Element) -> Iterator[ET.Element]:
    return iter(()) if element.tag in LITERAL else iter(element)
