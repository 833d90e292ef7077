"""Read a document, and make a chart of it."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias, cast
from xml.etree import ElementTree as ET

from statemachine.exceptions import InvalidDefinition
from statemachine.io import model as io
from statemachine.io import native

from durable_fsm.core.chart import (
    ROOT,
    Callback,
    Chart,
    Child,
    EventType,
    Guard,
    Kind,
    Policies,
    Spawn,
    State,
    Transition,
    Unexpected,
)
from durable_fsm.core.events import PLATFORM_NAMES
from durable_fsm.core.scope import Scope
from durable_fsm.core.service_names import accepted_name
from durable_fsm.core.values import Json, Location
from durable_fsm.errors import DefinitionError, DefinitionWarning, Problem
from durable_fsm.frontends.assembly import Problems
from durable_fsm.frontends.checks.names import chart_name_problems
from durable_fsm.frontends.documents import scxml
from durable_fsm.frontends.documents.content import TYPES, Act, Content
from durable_fsm.frontends.documents.expressions import Language, Value, assign, python_of
from durable_fsm.frontends.documents.formats import FORMATS
from durable_fsm.frontends.documents.scxml import BadDocument, Document
from durable_fsm.frontends.documents.values import Variables
from durable_fsm.frontends.names import unknown_states

LibraryRecord: TypeAlias = Any
"""A state or a transition of `statemachine.io.model`, whose lists of callbacks the library leaves untyped."""

SHOWN: dict[type[io.Action], str] = {
    io.RaiseAction: "raise",
    io.AssignAction: "assign",
    io.SendAction: "send",
    io.CancelAction: "cancel",
    io.ScriptAction: "script",
}
"""Actions that a diagram names."""

NATIVE = cast("Any", native)  # Any: the library leaves the keys of its mappings untyped


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How a document is read; documents that it runs as machines are read in the same way."""

    trusted: bool
    strict: bool


def chart_from(definition: object, *, trusted: bool = False, strict: bool = True) -> Chart:
    """The chart of an .scxml, .json or .yaml file.

    Args:
        trusted: evaluate expressions and scripts as Python, and read the files that it names. Only for documents whose
            author you trust as much as your own code.
        strict: refuse a document with a transition to a state that it does not have; otherwise that is a warning, and
            the transition is left out.

    Raises:
        DefinitionError: with every problem found.
        OSError: the file cannot be read.
    """
    file = Path(cast("str | Path", definition))
    return _chart(
        file.read_text("utf-8-sig"), FORMATS[file.suffix.lower()], file.stem, file, ReadingOptions(trusted, strict)
    )


def _chart(text: str, format: str, name: str, file: Path, reading: ReadingOptions) -> Chart:
    try:
        document = scxml.read(text) if format == "scxml" else _native(text, format, name)
    except BadDocument as error:
        place = f"{file}:{error.line}" if error.line else str(file)
        problem = Problem(f"The document cannot be read: {error}", "Correct it.", place)
        raise DefinitionError(chart=name, problems=(problem,)) from error
    return DocumentReader(document, document.definition.name or name, file, format, reading).chart()


def _native(text: str, format: str, name: str) -> Document:
    try:
        return Document(NATIVE.native_dict_to_definition(_members(text, format), source_name=name))
    except (InvalidDefinition, KeyError, TypeError, AttributeError) as error:
        raise BadDocument(f"{type(error).__name__}: {error}") from error


def _members(text: str, format: str) -> Any:  # Any: what the document holds, which the library checks
    if format == "json":
        try:
            return json.loads(text)
        except ValueError as error:
            raise BadDocument(f"it is not valid JSON: {error}.") from error
    import yaml  # type: ignore[import-untyped]
    from statemachine.io.yaml.reader import YAMLReader

    try:
        return cast("Any", YAMLReader()).parse_document(text)
    except yaml.YAMLError as error:
        raise BadDocument(f"it is not valid YAML: {error}") from error


class DocumentReader:
    """Makes one chart; collects problems instead of stopping at the first."""

    def __init__(self, document: Document, name: str, file: Path, format: str, reading: ReadingOptions) -> None:
        self.document = document
        self.definition = document.definition
        self.name = accepted_name(name, otherwise="Document")
        self.file = file
        self.format = format
        self.reading = reading
        self.trusted = reading.trusted
        self.problems = Problems(self.name, self.file)
        self.language = Language(trusted=reading.trusted, datamodel=document.datamodel)
        self.content = Content(self.language, self.problem, self.note)
        self.states: dict[str, State] = {}
        self.transitions: list[Transition] = []
        self.known = Counter(_ids(self.definition.states.values()))
        self.forgetful = {memory.id: (memory, state) for memory, state in _forgetful(self.definition.states.values())}

    def chart(self) -> Chart:
        self._notes()
        for what, line in sorted(self.document.faults, key=itemgetter(1)):
            self.problems(what, "Correct it.", Location(str(self.file), line))
        for id, count in self.known.items():
            if count > 1:
                self.problem(f"{count} states have the id '{id}'.", "Give each its own.", None)
        for what, remedy in chart_name_problems(self.name):
            self.problem(what, remedy, None)
        if not self.definition.states:
            self.problem("the document has no states.", "Give it at least one.", None)
        top = list(self.definition.states.values())
        marked = [state.id for state in top if state.initial]
        starts = self.definition.initial_states or marked or [state.id for state in top[:1]]
        bind = tuple(self._bindings())
        initial = Transition(key="", source=ROOT, targets=self._targets(" ".join(starts), None), actions=bind)
        children = tuple(state.id for state in top)
        self.states[ROOT] = State(ROOT, Kind.COMPOUND, None, name=self.name, children=children, initial=initial)
        for state in top:
            self._state(state, ROOT)
        self.problems.refuse_if_any()
        return Chart(
            name=self.name,
            states=self.states,
            transitions=tuple(self.transitions),
            events={event.name: event for event in self._events()},
            data=Variables(self._declared(), trusted=self.trusted),
            policies=Policies(unexpected=Unexpected.IGNORE, scxml=True),
        )

    def _notes(self) -> None:
        """Warn of the parts of a document that are not read as its author may think."""
        for space, ignored in self.document.ignored.items():
            what = f"ignored, of the namespace '{space}': {', '.join(ignored.names)}."
            self._warn(what, "", Location(str(self.file), ignored.line))
        for tag, name, meant, line in self.document.misspelt:
            what = f"<{tag}> has no attribute '{name}', and it is ignored."
            self._warn(what, f"Did you mean '{meant}'?", Location(str(self.file), line))
        if self.language.foreign:
            what = f"its expressions are said to be in {self.language.foreign}, but they are read as Python."
            self._warn(what, 'Check them, and write datamodel="python".', None)
        for memory, state in self.forgetful.values():
            what = f"history state '{memory.id}' has nothing to remember: state '{state}' has no states in it."
            self.note(what, f"A transition to it enters '{state}'.", memory)

    def _events(self) -> Iterator[EventType]:
        names = {name for edge in self.transitions for name in edge.events}
        for name in sorted(names):
            if "*" not in name and name != "error":
                yield EventType(name, public=not f"{name}.".startswith((*PLATFORM_NAMES, "done.")))

    # ── variables ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _declared(self) -> list[str]:
        early = self.definition.datamodel.data if self.definition.datamodel else []
        return [item.id for item in [*early, *(item for items in self.document.late.values() for item in items)]]

    def _bindings(self) -> Iterator[Callback]:
        """An action that runs before the first state is entered: it binds variables and runs scripts."""
        model = self.definition.datamodel
        if model is not None:
            yield from (self._binding(item) for item in model.data)
            for script in model.scripts:
                yield self._callback("script", self.content.script(script), script)

    def _binding(self, item: io.DataItem) -> Callback:
        """Bind a variable, unless the machine's input has done so."""
        evaluate = self._initial_value(item)

        def bind(scope: Scope) -> None:
            data: Any = scope.data
            if item.id not in data:
                data[item.id] = None
                data[item.id] = evaluate(scope)

        return self._callback(f"{item.id} = …", bind, item)

    def _initial_value(self, item: io.DataItem) -> Value:
        if item.expr is not None:
            return self.content.value(str(item.expr), item)
        if item.src is not None:
            text = self._file(item.src, item)
            return self.language.literal(" ".join(text.split())) if text else lambda _: None
        return self.language.literal(str(item.content)) if item.content else lambda _: None

    def _file(self, src: str, record: object) -> str | None:
        """The text of a file that the document names."""
        if not self.trusted:
            self.problem(f"it reads the file '{src}'.", "Read it with trusted=True, if you trust its author.", record)
            return None
        try:
            return (self.file.parent / src.removeprefix("file:")).read_text("utf-8-sig")
        except OSError as error:
            self.problem(f"file '{src}' cannot be read: {error.strerror}.", "Correct the path.", record)
            return None

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _state(self, record: LibraryRecord, parent: str) -> None:
        entry = [
            self._callback("datum", self._binding(item).call, item) for item in self.document.late.get(record.id, [])
        ]
        entry += self._blocks("entry", record.onentry, record.enter_refs)
        self.states[record.id] = State(
            id=record.id,
            kind=_kind(record),
            parent=parent,
            name=record.id,
            children=(*record.states, *(id for id in record.history if id not in self.forgetful)),
            initial=self._initial(record),
            entry=tuple(entry),
            exit=tuple(self._blocks("exit", record.onexit, record.exit_refs)),
            done=self._done(record),
            location=self._place(record),
            machines=tuple(self._child(record.id, place, invoke) for place, invoke in enumerate(record.invocations)),
        )
        for child in record.states.values():
            self._state(child, record.id)
        for memory in record.history.values():
            self._history(memory, record.id)
        counts: Counter[str] = Counter()
        for edge in record.transitions:
            if not edge.initial and self._leads_somewhere(edge):
                self.transitions.append(self._transition(record.id, edge, counts))

    def _initial(self, record: io.State) -> Transition | None:
        edges = [edge for edge in record.transitions if edge.initial]
        if edges:
            return self._default(record.id, edges[0])
        marked = next((child.id for child in record.states.values() if child.initial), None)
        return Transition(f"{record.id}--initial", record.id, (marked,)) if marked and not record.parallel else None

    def _history(self, record: io.HistoryState, parent: str) -> None:
        if record.type not in ("shallow", "deep"):
            what = f"history state '{record.id}' has the type '{record.type}'."
            self.problem(what, "Write 'shallow' or 'deep', in small letters.", record)
        if record.id in self.forgetful:
            return
        kind = Kind.DEEP_HISTORY if record.type == "deep" else Kind.SHALLOW_HISTORY
        initial = self._default(record.id, record.transitions[0]) if record.transitions else None
        self.states[record.id] = State(
            record.id, kind, parent, name=record.id, initial=initial, location=self._place(record)
        )

    def _default(self, source: str, edge: LibraryRecord) -> Transition:
        actions = tuple(self._blocks("action", [edge.on] if edge.on else [], edge.on_refs))
        return Transition(f"{source}--initial", source, self._targets(edge.target, edge), actions=actions)

    def _transition(self, source: str, edge: LibraryRecord, counts: Counter[str]) -> Transition:
        events = tuple(_descriptors(edge.event))
        stem = f"{source}--{events[0] if events else 'always'}"
        counts[stem] += 1
        guards = [self._guard(text, edge, negated=False) for text in _listed(edge.cond)]
        guards += [self._guard(text, edge, negated=True) for text in _listed(edge.unless)]
        return Transition(
            key=f"{stem}--{counts[stem]}",
            source=source,
            targets=self._targets(edge.target, edge),
            events=events,
            guards=tuple(guards),
            before=tuple(self._blocks("before", [edge.before] if edge.before else [], edge.before_refs)),
            actions=tuple(self._blocks("action", [edge.on] if edge.on else [], edge.on_refs)),
            after=tuple(self._blocks("after", [edge.after] if edge.after else [], edge.after_refs)),
            internal=edge.internal,
            location=self._place(edge),
        )

    def _targets(self, target: str | None, record: object) -> tuple[str, ...]:
        names = (target or "").split()
        for name in names:
            if name not in self.known:
                self.problem(f"target '{name}' is not a state.", "Correct the name.", record)
        return tuple(self.forgetful[name][1] if name in self.forgetful else name for name in names)

    def _leads_somewhere(self, edge: io.Transition) -> bool:
        lost = [name for name in (edge.target or "").split() if name not in self.known]
        if lost and not self.reading.strict:
            place = self._place(edge) or self.file
            warnings.warn(
                f"{self.name}: a transition to '{lost[0]}', which is not a state, was left out ({place})", stacklevel=2
            )
            return False
        return True

    def _guard(self, text: str, edge: io.Transition, *, negated: bool) -> Guard:
        if self.reading.strict:
            for what, remedy in unknown_states(python_of(text), self.known):
                self.problem(what, remedy, edge)
        evaluate = self.content.value(text, edge)
        return Guard(" ".join(text.split()), evaluate, self._place(edge), negated=negated)

    def _done(self, record: io.State) -> tuple[Callback, ...]:
        left = record.donedata
        if left is None:
            return ()
        content = None
        if left.content_expr is not None:
            inline = isinstance(left.content_expr, scxml.Inline)
            compile_ = self.language.literal if inline else partial(self.content.value, record=record)
            content = compile_(left.content_expr)
        return (self._callback("donedata", self.content.payload(left, content), record),)

    def _blocks(self, name: str, blocks: Iterable[io.ExecutableContent], refs: Iterable[str]) -> Iterator[Callback]:
        for ref in refs:
            self.problem(f"callback '{ref}' is named, but a document has no methods.", "Write what it does.", None)
        for block in blocks:
            if block.actions:
                yield self._callback(_summary(block) or name, self.content.block(block.actions), block)

    def _callback(self, name: str, call: Act | Value, record: object) -> Callback:
        return Callback(name, call, self._place(record))

    # ── machines ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _child(self, state: str, place: int, record: io.InvokeDefinition) -> Child:
        kind = self.content.value(record.typeexpr, record) if record.typeexpr else _constant(record.type)
        source = self.content.value(record.srcexpr, record) if record.srcexpr else _constant(record.src)
        definition = self._inline(state, record)
        data = self.content.payload(io.SendAction(namelist=record.namelist, params=record.params))

        def begin(scope: Scope) -> Spawn:
            if str(kind(scope) or "") not in TYPES:
                raise ValueError(f"there is no machine of type '{kind(scope)}'")
            src = source(scope)
            if src:
                chart = self._from_file(str(src), state)
            else:
                chart = definition if isinstance(definition, Chart) else definition(scope)
            declared = cast("Variables", chart.data).declared
            named: dict[str, Json] = data(scope) or {}
            given = {name: value for name, value in named.items() if name in declared}
            id = record.id or f"{state}.{scope.ids.uuid()}"
            if record.idlocation:
                assign(scope, record.idlocation, id)
            return Spawn(chart, given, id)

        block = record.finalize
        finalize = () if block is None else (self._callback("finalize", self.content.block(block.actions), record),)
        name = record.id or record.src or f"{state}.{place + 1}"
        forward, written = record.autoforward, self._place(record)
        known = isinstance(definition, Chart) and not (record.src or record.srcexpr)
        chart = cast("Chart", definition) if known else None
        return Child(name, begin, written, autoforward=forward, finalize=finalize, chart=chart)

    def _inline(self, state: str, record: io.InvokeDefinition) -> Chart | Value:
        """The chart inside the document, read now; or an expression that gives one later."""
        content = record.content
        if isinstance(content, io.StateMachineDefinition):
            return self._nested(Document(content), state)
        if content is None or not content.lstrip().startswith("<"):
            evaluate = self.content.value(content, record)
            return lambda scope: self._from_text(evaluate(scope), state)
        try:
            return self._nested(scxml.read(content), state)
        except BadDocument as error:
            self.problem(f"the document in it cannot be read: {error}", "Correct it.", record)
        except DefinitionError as error:
            for found in error.problems:
                self.problem(f"in {error.chart}: {found.what}", found.remedy, record)
        return _constant(None)

    def _nested(self, document: Document, state: str) -> Chart:
        name = document.definition.name or f"{self.name}_{state}"
        return DocumentReader(document, name, self.file, self.format, self.reading).chart()

    def _from_text(self, value: object, state: str) -> Chart:
        text = ET.tostring(value, encoding="unicode") if ET.iselement(value) else str(value)
        return self._nested(scxml.read(text), state)

    def _from_file(self, src: str, state: str) -> Chart:
        if not self.trusted:
            raise PermissionError(f"'{src}' is a file, and the document is not trusted")
        file = self.file.parent / src.removeprefix("file:")
        return _chart(file.read_text("utf-8-sig"), FORMATS[file.suffix.lower()], file.stem, file, self.reading)

    # ── small things ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _place(self, record: object) -> Location | None:
        line = self.document.lines.get(id(record))
        return Location(str(self.file), line) if line else None

    def problem(self, what: str, remedy: str, record: object) -> None:
        self.problems(what, remedy, self._place(record))

    def note(self, what: str, remedy: str, record: object) -> None:
        self._warn(what, remedy, self._place(record))

    def _warn(self, what: str, remedy: str, place: Location | None) -> None:
        problem = Problem(what, remedy, str(place or self.file))
        warnings.warn(f"{self.name}: {problem}", DefinitionWarning, stacklevel=5)


def _ids(states: Iterable[io.State]) -> Iterator[str]:
    for state in states:
        yield state.id
        yield from state.history
        yield from _ids(state.states.values())


def _forgetful(states: Iterable[io.State]) -> Iterator[tuple[io.HistoryState, str]]:
    """History states of states without states in them, each with its parent."""
    for state in states:
        if not state.states:
            yield from ((memory, state.id) for memory in state.history.values())
        yield from _forgetful(state.states.values())


def _kind(record: io.State) -> Kind:
    if record.final:
        return Kind.FINAL
    if record.parallel:
        return Kind.PARALLEL
    return Kind.COMPOUND if record.states else Kind.ATOMIC


def _descriptors(text: str | None) -> Iterator[str]:
    """`a b.* c.` as `a`, `b`, `c`: the endings `.*` and `.` have no meaning."""
    for name in (text or "").split():
        yield name if name == "*" else name.removesuffix("*").removesuffix(".")


def _listed(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _summary(block: io.ExecutableContent) -> str:
    """A block's summary for diagrams."""
    names: list[str] = []
    for action in block.actions:
        word = next((word for kind, word in SHOWN.items() if isinstance(action, kind)), None)
        what = getattr(action, "event", None) or getattr(action, "location", None) or ""
        if word is not None:
            names.append(f"{word} {what}".strip())
    return ", ".join(dict.fromkeys(names))


def _constant(value: object) -> Value:
    return lambda _: value
