"""SCXML as XML: read into python-statemachine's records, in document order and with their line numbers.

The library's own reader sorts states by kind, and leaves out some attributes of `<send>`.
https://www.w3.org/TR/scxml/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast
from xml.etree import ElementTree as ET
from xml.parsers import expat

from statemachine.io import model as io

from durable_fsm.frontends.documents.grammar import LITERAL, misplaced, misspelt

T = TypeVar("T")

STATES = ("state", "parallel", "final", "history")

NAMESPACE = "http://www.w3.org/2005/07/scxml"
UNREMARKABLE = (
    "http://www.w3.org/XML/1998/namespace",
    "http://www.w3.org/2001/XMLSchema-instance",
    "urn:x-durable-fsm",
)
"""Namespaces that are ignored without a word: those of XML itself, and that of names in our own exports."""


class BadDocument(ValueError):
    """The text is not a document at all; `line` counts from 1, and is 0 where it is not known."""

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(problem)
        self.line = line


class Inline(str):
    """Content that is not an expression: text or XML."""


@dataclass
class ScxmlSend(io.SendAction):
    """`<send>` with the attributes that the library leaves out."""

    targetexpr: str | None = None
    typeexpr: str | None = None
    contentexpr: str | None = None


@dataclass
class Ignored:
    """Elements and attributes of one other namespace, and the line of the first."""

    line: int
    names: dict[str, None] = field(default_factory=dict[str, None])


@dataclass
class Document:
    """A document as the library's records, with facts for which these have no field.

    `late` holds the variables of states that are bound when their state is first entered; `lines` tells where a record
    was written, by its identity. `datamodel` names the language of its expressions, where the document says it. `ignored`
    has the line and the names of what was left out, by namespace. `misspelt` are attributes that are almost one of
    SCXML's: the element, the name, what was meant, and the line. `faults` are mistakes in its structure, each with its
    line; a document with one cannot run.
    """

    definition: io.StateMachineDefinition
    late: dict[str, list[io.DataItem]] = field(default_factory=dict[str, "list[io.DataItem]"])
    lines: dict[int, int] = field(default_factory=dict[int, int])
    datamodel: str = ""
    ignored: Mapping[str, Ignored] = field(default_factory=dict[str, "Ignored"])
    faults: Sequence[tuple[str, int]] = ()
    misspelt: Sequence[tuple[str, str, str, int]] = ()


def read(text: str) -> Document:
    """Read an SCXML text.

    Mistakes in its structure are listed in the result.

    Raises:
        BadDocument: it is not valid XML, or not SCXML.
    """
    return ScxmlReader(text).document()


class ScxmlReader:
    def __init__(self, text: str) -> None:
        self.line_of: dict[ET.Element, int] = {}
        self.ignored: dict[str, Ignored] = {}
        self.faults: list[tuple[str, int]] = []
        self.root = self._parse(text)
        self.late: dict[str, list[io.DataItem]] = {}
        self.lines: dict[int, int] = {}
        self.unnamed = 0

    def _parse(self, text: str) -> ET.Element:
        """The tree, without namespaces and without what belongs to other namespaces; entities are not expanded.

        https://www.w3.org/TR/scxml/#ForeignNamespaces
        """
        text = text.lstrip("\ufeff")
        skipped = text[: len(text) - len(text.lstrip())].count("\n")
        builder = ET.TreeBuilder()
        parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True

        own = {"", NAMESPACE}
        open_: list[str] = []  # how the elements around are read: "scxml", "literal" or "ignored"

        def ignore(name: str, shown: str) -> None:
            space = name.rpartition("}")[0]
            if space not in UNREMARKABLE:
                line = parser.CurrentLineNumber + skipped
                self.ignored.setdefault(space, Ignored(line)).names[shown.format(name.rpartition("}")[2])] = None

        def start(tag: str, attributes: dict[str, str]) -> None:
            space, _, local = tag.rpartition("}")
            around = open_[-1] if open_ else "scxml"
            if not open_:
                own.add(space)
            if around == "literal" and (local != "scxml" or space not in own):
                open_.append("literal")
            elif around == "ignored" or space not in own:
                if around != "ignored":
                    ignore(tag, "<{}>")
                open_.append("ignored")
                return
            else:
                open_.append("literal" if local in LITERAL else "scxml")
                for name in [name for name in attributes if "}" in name]:
                    ignore(name, "{}=")
                attributes = {name: value for name, value in attributes.items() if "}" not in name}
            names = {name.rpartition("}")[2]: value for name, value in attributes.items()}
            self.line_of[builder.start(local, names)] = parser.CurrentLineNumber + skipped

        def end(tag: str) -> None:
            if open_.pop() != "ignored":
                builder.end(tag.rpartition("}")[2])

        def text_(text: str) -> None:
            if open_[-1] != "ignored":
                builder.data(text)

        def refuse(*_: object) -> None:
            raise BadDocument("it declares entities, which are not read.", parser.CurrentLineNumber)

        parser.StartElementHandler = start
        parser.EndElementHandler = end
        parser.CharacterDataHandler = text_
        parser.EntityDeclHandler = refuse
        try:
            parser.Parse(text.strip(), True)  # noqa: FBT003 - expat's way to say that this is all
        except expat.ExpatError as error:
            raise BadDocument(
                f"it is not valid XML: {expat.ErrorString(error.code)}.", error.lineno + skipped
            ) from error
        return builder.close()

    def document(self) -> Document:
        root = self.root
        if root.tag != "scxml":
            raise BadDocument(f"its root is <{root.tag}>, not <scxml>.", self.line_of[root])
        for element, what in misplaced(root):
            self._fault(what, element)
        late = root.get("binding") == "late"
        model = io.DataModel(self._data(root), [])
        model.scripts = [self._noted(script, io.ScriptAction(script.text or "")) for script in root.findall("script")]
        states = self._states(root)
        for element in root.iter():
            if element.tag in STATES and element.find("datamodel") is not None:
                items = self._data(element)
                if late:
                    self.late[element.get("id", "")] = items
                else:
                    model.data += items
        initial = (root.get("initial") or "").split()
        definition = io.StateMachineDefinition(root.get("name"), states, initial, model)
        language = root.get("datamodel", "")
        close = [(element.tag, name, meant, self.line_of[element]) for element, name, meant in misspelt(root)]
        return Document(definition, self.late, self.lines, language, self.ignored, self.faults, close)

    def _data(self, parent: ET.Element) -> list[io.DataItem]:
        return [
            self._noted(
                item, io.DataItem(self._required(item, "id"), item.get("src"), item.get("expr"), _content(item))
            )
            for model in parent.findall("datamodel")
            for item in model.findall("data")
        ]

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _states(self, parent: ET.Element) -> dict[str, io.State]:
        found: dict[str, io.State] = {}
        for element in parent:
            if element.tag in STATES and element.tag != "history":
                state = self._state(element)
                if state.id in found:
                    self._fault(f"state '{state.id}' is declared twice.", element)
                found.setdefault(state.id, state)
        return found

    def _state(self, element: ET.Element) -> io.State:
        if "id" not in element.attrib:
            self.unnamed += 1
            element.set("id", f"state{self.unnamed}")
        state = io.State(
            id=element.attrib["id"],
            final=element.tag == "final",
            parallel=element.tag == "parallel",
            transitions=[*self._initial(element), *map(self._transition, element.findall("transition"))],
            onentry=[self._block(block) for block in element.findall("onentry")],
            onexit=[self._block(block) for block in element.findall("onexit")],
            states=self._states(element),
            history={memory.id: memory for memory in map(self._history, element.findall("history"))},
            invocations=[self._invoke(invoke) for invoke in element.findall("invoke")],
        )
        left = element.find("donedata")
        if left is not None:
            content = left.find("content")
            inline = None if content is None else content.get("expr") or Inline(_content(content) or "")
            state.donedata = io.DoneData(self._params(left), inline)
        return self._noted(element, state)

    def _initial(self, element: ET.Element) -> Iterator[io.Transition]:
        for initial in element.findall("initial/transition"):
            yield self._transition(initial, initial=True)
        if element.get("initial"):
            yield io.Transition(target=element.attrib["initial"], initial=True)

    def _history(self, element: ET.Element) -> io.HistoryState:
        kind = cast("Literal['shallow', 'deep']", element.get("type", "shallow"))
        transitions = [self._transition(transition) for transition in element.findall("transition")]
        return self._noted(element, io.HistoryState(self._required(element, "id"), kind, transitions))

    def _transition(self, element: ET.Element, *, initial: bool = False) -> io.Transition:
        transition = io.Transition(
            target=element.get("target"),
            internal=element.get("type") == "internal",
            initial=initial,
            event=element.get("event"),
            cond=element.get("cond") or None,
            on=self._block(element),
        )
        return self._noted(element, transition)

    def _invoke(self, element: ET.Element) -> io.InvokeDefinition:
        content, finalize = element.find("content"), element.find("finalize")
        invoke = io.InvokeDefinition(
            type=element.get("type"),
            typeexpr=element.get("typeexpr"),
            src=element.get("src"),
            srcexpr=element.get("srcexpr"),
            id=element.get("id"),
            idlocation=element.get("idlocation"),
            autoforward=element.get("autoforward") == "true",
            namelist=element.get("namelist"),
            params=self._params(element),
            content=None if content is None else content.get("expr") or self._document(content),
            finalize=None if finalize is None else self._block(finalize),
        )
        return self._noted(element, invoke)

    def _document(self, content: ET.Element) -> str | None:
        """The document inside, after as many blank lines that its line numbers are those of the whole."""
        text = _content(content)
        return "\n" * (self.line_of[content[0]] - 1) + text if text and len(content) else text

    # ── executable content ────────────────────────────────────────────────────────────────────────────────────────────

    def _block(self, parent: ET.Element) -> io.ExecutableContent:
        return self._noted(parent, io.ExecutableContent(self._actions(parent)))

    def _actions(self, elements: Iterable[ET.Element]) -> list[io.Action]:
        readers: dict[str, Callable[[ET.Element], io.Action]] = {
            "raise": lambda element: io.RaiseAction(self._required(element, "event")),
            "assign": self._assign,
            "log": lambda element: io.LogAction(element.get("label"), element.get("expr")),
            "if": self._if,
            "foreach": self._foreach,
            "send": self._send,
            "cancel": lambda element: io.CancelAction(element.get("sendid"), element.get("sendidexpr")),
            "script": lambda element: io.ScriptAction(element.text or ""),
        }
        actions: list[io.Action] = []
        for element in elements:
            if element.tag not in readers:
                self._fault(f"<{element.tag}> is not executable content.", element)
                continue
            actions.append(self._noted(element, readers[element.tag](element)))
        return actions

    def _assign(self, element: ET.Element) -> io.Action:
        return io.AssignAction(self._required(element, "location"), element.get("expr"), _content(element))

    def _if(self, element: ET.Element) -> io.Action:
        branches = [io.IfBranch(self._required(element, "cond"))]
        bodies: list[list[ET.Element]] = [[]]
        for child in element:
            if child.tag in ("elseif", "else"):
                branches.append(io.IfBranch(self._required(child, "cond") if child.tag == "elseif" else None))
                bodies.append([])
            else:
                bodies[-1].append(child)
        for branch, body in zip(branches, bodies, strict=True):
            branch.actions = self._actions(body)
        return io.IfAction(branches)

    def _foreach(self, element: ET.Element) -> io.Action:
        array, item = self._required(element, "array"), self._required(element, "item")
        return io.ForeachAction(array, item, element.get("index"), self._block(element))

    def _send(self, element: ET.Element) -> io.Action:
        names = ("event", "eventexpr", "target", "type", "id", "idlocation", "delay", "delayexpr", "namelist")
        given: dict[str, Any] = {name: element.get(name) for name in (*names, "targetexpr", "typeexpr")}
        content = element.find("content")
        if content is not None:
            given["contentexpr"] = content.get("expr")
            given["content"] = _content(content)
        return ScxmlSend(**given, params=self._params(element))

    def _params(self, parent: ET.Element) -> list[io.Param]:
        return [
            io.Param(self._required(param, "name"), param.get("expr"), param.get("location"))
            for param in parent.findall("param")
        ]

    # ── small things ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _required(self, element: ET.Element, name: str) -> str:
        if name not in element.attrib:
            self._fault(f"<{element.tag}> has no '{name}'.", element)
        return element.get(name, "")

    def _fault(self, what: str, element: ET.Element) -> None:
        self.faults.append((what, self.line_of[element]))

    def _noted(self, element: ET.Element, record: T) -> T:
        self.lines[id(record)] = self.line_of[element]
        return record


def _content(element: ET.Element) -> str | None:
    """The content of an element: an element as XML, or a text with its white space normalised."""
    if len(element):
        first = element[0]
        first.tail = None
        return ET.tostring(first, encoding="unicode")
    return " ".join((element.text or "").split()) or None
