"""Every statechart class of python-statemachine's documentation, run by the library while we watch, and then by us.

A page is executed as its reader would; what is sent to each machine, when, and where that led is noted. The class is
then read by us and sent the same, on a clock that moves as much as theirs did.
"""

from __future__ import annotations

import asyncio
import contextlib
import doctest
import inspect
import io
import json
import logging
import sys
import tempfile
import time
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from unittest import mock

from statemachine import State, StateChart, StateMachine
from statemachine.contrib.timeout import timeout
from statemachine.utils import run_async_from_sync

from durable_fsm import chart_from
from durable_fsm.core.chart import Activity, Chart
from durable_fsm.core.codec import canonical, plain
from durable_fsm.core.values import Json
from durable_fsm.errors import (
    DefinitionError,
    DefinitionWarning,
    DurableFSMError,
    EventRejected,
    Finished,
    UnknownEvent,
)
from durable_fsm.frontends.statemachine.reader import ClassReader, _data_class
from durable_fsm.frontends.values import Plain, native
from durable_fsm.testing import Rehearsal
from tests.contract.sources import sources

MODEL = "its model says where the machine starts, and stores it"

EXPLAINED = {
    ("docs/actions.md", "Greeter"): "it is sent positional arguments beside named ones",
    ("docs/events.md", "ErrorLogger"): "its page sends an event that only the machine itself may send",
    ("docs/invoke.md", "MissingFileLoader"): "a failure of outside work is a record, not the exception itself",
    ("tests/examples/persistent_model_machine.py", "ResourceManagement"): MODEL,
    ("tests/examples/recursive_event_machine.py", "MyStateMachine"): "its callbacks use up an iterator of the module",
}
"""Classes that are read but refused when they run, and why; the tests see to it that none of them runs alike."""

SKIPPED = {
    "ai_shell_machine": "it is a program that talks to a language model",
}
"""Examples that cannot be executed at all, and why."""


PATIENCE = 10
"""Seconds for work that a page has started; it takes so long only if it never ends."""

LIBRARY = ("state_field", "start_configuration_values", "model")
"""Attributes that the library itself keeps on its machines."""


@dataclass
class Sent:
    """One event from outside, and what the library made of it."""

    event: str
    positional: tuple[object, ...]
    named: dict[str, object]
    at: float
    written: dict[str, object]
    over: float = 0
    states: frozenset[str] = frozenset()
    error: BaseException | None = None


@dataclass
class Watched:
    """One machine of a page."""

    cls: type[StateChart[Any]]
    machine: Any
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    model: Json
    born: float
    began: bool = False
    sent: list[Sent] = field(default_factory=list)
    ended_at: float = 0
    end: frozenset[str] = frozenset()
    end_look: dict[str, object] = field(default_factory=dict)
    seen: dict[str, object] = field(default_factory=dict)
    """Plain attributes when the engine last came to rest; what differs later was written from outside."""

    def look(self) -> dict[str, object]:
        """The attributes that the author gave it: those that its class or its methods name, and that are plain."""
        found: dict[str, object] = {}
        for name, value in vars(self.machine).items():
            if not name.startswith("_") and name not in LIBRARY:
                with contextlib.suppress(Exception):
                    found[name] = native(value)
        return found


@dataclass
class Page:
    name: str
    classes: list[type[StateChart[Any]]] = field(default_factory=list)
    watched: list[Watched] = field(default_factory=list)


@dataclass(frozen=True)
class Verdict:
    """What became of one class: `same`, `read`, `refused` or `differs`."""

    page: str
    name: str
    kind: str
    why: str = ""


# ── the library's side ────────────────────────────────────────────────────────────────────────────────────────────────


def verdicts() -> Iterator[Verdict]:
    """Every class of every page and example of the documentation, after both engines have run it."""
    root = sources()
    texts = [*sorted((root / "docs").glob("*.md")), *sorted((root / "docs" / "how-to").glob("*.md"))]
    for path in [*texts, *sorted((root / "docs" / "io").glob("*.md"))]:
        yield from _executed(str(path.relative_to(root)), _snippets(path))
    for path in sorted((root / "tests" / "examples").glob("*_machine.py")):
        if path.stem not in SKIPPED:
            yield from _executed(str(path.relative_to(root)), [compile(path.read_text(), str(path), "exec")])


def _snippets(path: Path) -> list[types.CodeType]:
    found: list[types.CodeType] = []
    for example in doctest.DocTestParser().get_examples(path.read_text()):
        with contextlib.suppress(SyntaxError):
            found.append(compile(example.source, str(path), "single"))
    return found


class _Asyncio:
    """What the library's own pages are executed with."""

    run = staticmethod(run_async_from_sync)


def _executed(name: str, snippets: list[types.CodeType]) -> Iterator[Verdict]:
    page = Page(name)
    module = types.ModuleType("documentation")
    space = vars(module)
    space.update(State=State, StateChart=StateChart, StateMachine=StateMachine, asyncio=_Asyncio(), __file__=name)
    seen: set[int] = set()
    surroundings: dict[int, dict[str, object]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
        _watching(page),
        _sheltered(folder, module),
    ):
        for snippet in snippets:
            with contextlib.suppress(Exception, SystemExit):  # pages show errors, too
                exec(snippet, space)  # noqa: S102 - the library's own pages
            for value in list(space.values()):
                if isinstance(value, type) and issubclass(value, StateChart) and value.__module__ == "documentation":
                    if id(value) not in seen and list(value.states):
                        page.classes.append(value)
                        surroundings[id(value)] = dict(space)
                    seen.add(id(value))
        for watched in page.watched:
            _end_work(watched.machine)
            watched.ended_at = time.monotonic()
            watched.end = _states(watched.machine)
            watched.end_look = watched.look()
        warnings.simplefilter("ignore", DefinitionWarning)
        for cls in page.classes:  # among the names that there were when the class was made
            space.update(surroundings[id(cls)])
            yield _verdict(page, cls)


def _end_work(machine: Any) -> None:
    """Wait for the threads of outside work, but not for timeouts. The page itself only sleeps for a moment."""
    engine = getattr(machine, "_engine", None)  # some machines of the pages never began
    for invocation in list(engine._invoke_manager._active.values()) if engine is not None else ():
        if invocation.thread is not None and not isinstance(invocation._handler, type(timeout(1))):
            invocation.thread.join(PATIENCE)


@contextlib.contextmanager
def _sheltered(folder: str, module: types.ModuleType) -> Iterator[None]:
    """Nothing is printed, asked or left behind, and files stay until we have read them, too."""
    out = io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
        mock.patch.object(tempfile, "tempdir", folder),
        mock.patch.object(Path, "unlink", return_value=None),
        mock.patch("builtins.input", return_value=""),
    ):
        before = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        sys.modules["documentation"] = module
        try:
            yield
        finally:
            del sys.modules["documentation"]
            logging.disable(before)


@contextlib.contextmanager
def _made_by(new: Callable[..., Any]) -> Iterator[None]:
    """Let *new* make every machine of the library."""
    library: Any = StateChart
    library.__new__ = new
    try:
        yield
    finally:
        # To delete it would not do: Python then still calls object's with the arguments, which it does not take.
        library.__new__ = lambda cls, *_, **__: object.__new__(cls)


@contextlib.contextmanager
def _watching(page: Page) -> Iterator[None]:
    known: dict[int, Watched] = {}
    depth: dict[int, int] = {}
    made: dict[int, tuple[tuple[Any, ...], dict[str, Any]]] = {}
    begin, put, loop = StateChart.__init__, StateChart._put_nonblocking, StateChart._processing_loop

    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        machine = object.__new__(cls)
        made[id(machine)] = (args, kwargs)
        return machine

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        model = kwargs.get("model", args[0] if args else None)
        watched = Watched(type(self), self, made[id(self)], _plain(model), time.monotonic())
        page.watched.append(watched)
        known[id(self)] = watched
        depth[id(self)] = 1
        try:
            begin(self, *args, **kwargs)
            watched.began = True
        finally:
            depth[id(self)] = 0
            watched.seen = watched.look()

    def note(self: Any, data: Any, internal: bool = False) -> None:  # noqa: FBT002 - as the library calls it
        name = str(data.event)
        if depth.get(id(self)) == 0 and not name.startswith(
            ("done.", "error.", "error_")
        ):  # those are from the library's threads
            watched = known[id(self)]
            written = {
                key: value
                for key, value in watched.look().items()
                if key not in watched.seen or watched.seen[key] != value
            }
            watched.sent.append(Sent(name, data.args, dict(data.kwargs), time.monotonic(), written))
        put(self, data, internal)

    def process(self: Any, future: Any = None) -> Any:
        outermost = depth.get(id(self)) == 0 and known[id(self)].sent
        depth[id(self)] = depth.get(id(self), 0) + 1
        try:
            return loop(self, future)
        except BaseException as error:
            if outermost:
                known[id(self)].sent[-1].error = error
            raise
        finally:
            depth[id(self)] -= 1
            if outermost:
                watched = known[id(self)]
                watched.sent[-1].states = _states(self)
                watched.sent[-1].over = time.monotonic()
                watched.seen = watched.look()

    with (
        _made_by(new),
        mock.patch.object(StateChart, "__init__", init),
        mock.patch.object(StateChart, "_put_nonblocking", note),
        mock.patch.object(StateChart, "_processing_loop", process),
    ):
        yield


def _states(machine: Any) -> frozenset[str]:
    try:
        return frozenset(state.id for state in machine.configuration)
    except Exception:  # noqa: BLE001 - one that never began, or whose storage is closed: nobody can tell
        return frozenset()


def _plain(model: object) -> Json:
    try:
        return native(vars(model)) if model is not None else None
    except Exception:  # noqa: BLE001 - not everything has attributes of that kind
        return None


# ── our side ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _verdict(page: Page, cls: type[StateChart[Any]]) -> Verdict:
    runs = [watched for watched in page.watched if watched.cls is cls]

    def verdict(kind: str, why: str = "") -> Verdict:
        return Verdict(page.name, cls.__name__, kind, why)

    try:
        typed = next((watched for watched in runs if watched.model is not None), None)
        _ = _chart(typed) if typed is not None else chart_from(cls)
    except DefinitionError as error:
        if runs and not any(watched.began for watched in runs):
            return verdict("same", "neither engine takes it")
        return verdict("refused", " ".join(problem.what for problem in error.problems))
    if not runs:
        return verdict("read")
    for watched in runs:
        if not watched.began and watched.model is None and typed is not None:
            continue  # the page shows what happens without the model
        try:
            why = _difference(watched)
        except AssertionError as error:
            why = str(error)
        if why is not None:
            return verdict("differs", EXPLAINED.get((page.name, cls.__name__), f"UNEXPLAINED: {why}"))
    return verdict("same")


def _difference(watched: Watched) -> str | None:
    """Where our run of a machine parts from theirs."""
    chart = _chart(watched)
    machine = Rehearsal(chart, answers={id: _answer(activity) for id, activity in chart.activities.items()})
    try:
        machine.create(_data(chart, watched))
    except DurableFSMError as error:
        return None if not watched.began else f"it does not begin: {error}"
    at = watched.born
    alone = not chart.activities and not any(state.machines for state in chart.states.values())
    for number, sent in enumerate(watched.sent, 1):
        machine.advance(timedelta(seconds=max(0.0, sent.at - at)))
        at = sent.at
        before = set(machine.snapshot.configuration)
        if isinstance(chart.data, Plain):
            _write(machine, sent.written)
        try:
            plain(sent.named)
        except TypeError as error:
            return f"event {number}, '{sent.event}', brings something that is no JSON: {error}"
        try:
            machine.send(sent.event, sent.named or list(sent.positional) or None)
        except (EventRejected, UnknownEvent, Finished):
            if sent.error is None and alone and set(machine.snapshot.configuration) != before:
                return f"event {number}, '{sent.event}', is rejected"
        except DurableFSMError as error:
            if sent.error is None:
                return f"event {number}, '{sent.event}', fails: {error}"
        machine.advance(timedelta(seconds=max(0.0, sent.over - at)))  # the library waits for its delays
        at = max(at, sent.over)
        if alone and sent.error is None and sent.states and _active(machine) != sent.states:
            return f"event {number}, '{sent.event}', leads to {sorted(_active(machine))}, not {sorted(sent.states)}"
    machine.advance(timedelta(seconds=max(0.0, watched.ended_at - at)))
    if watched.end and _active(machine) != watched.end:
        return f"it ends in {sorted(_active(machine))}, not {sorted(watched.end)}"
    return _other_data(machine, watched)


def _write(machine: Rehearsal, written: dict[str, object]) -> None:
    """Change the machine's data as the page does, from outside."""
    record = json.loads(str(machine._machine.stored))
    record["data"].update(written)
    machine._machine.stored = canonical(record)


def _other_data(machine: Rehearsal, watched: Watched) -> str | None:
    data = machine.snapshot.data
    seen = watched.seen if not machine.chart.activities else watched.end_look
    if isinstance(machine.chart.data, Plain) and isinstance(data, dict):
        for name, value in data.items():
            theirs = seen.get(name)
            if name in seen and theirs != value:
                return f"'{name}' is {value!r}, not {theirs!r}"
    return None


def _chart(watched: Watched) -> Chart:
    """The chart of the class, or of one that declares the type of the model which the page hands to it."""
    model = watched.machine.model if watched.model is not None else None
    if model is None or _data_class(watched.cls) is not None:
        return chart_from(watched.cls)
    typed = StateChart[type(model)]  # type: ignore[misc]  # only known when the page has run
    with mock.patch.object(watched.cls, "__orig_bases__", (typed,), create=True):
        return ClassReader(watched.cls, chart_from).chart()


def _data(chart: Chart, watched: Watched) -> Json:
    if not isinstance(chart.data, Plain):
        return watched.model
    positional, named = watched.arguments
    try:
        return chart.data.dump(cast("Any", chart.data.make)(*positional, **named))
    except (TypeError, ValueError):
        return None


def _answer(activity: Activity) -> Callable[[Any], object]:
    """The activity itself, as a runner would run it."""

    def answer(data: Any) -> object:
        takes = list(inspect.signature(activity.run).parameters)
        result = activity.run(*(data,)[: len(takes)])
        return asyncio.run(result) if inspect.iscoroutine(result) else result

    return answer


def _active(machine: Rehearsal) -> frozenset[str]:
    return frozenset(id.rpartition(".")[2] for id in machine.configuration)


# ── the table ─────────────────────────────────────────────────────────────────────────────────────────────────────────

WORDS = {
    "same": "runs with the same result",
    "read": "is read; its page does not run it",
    "refused": "refused, because",
    "differs": "refused, because",
}


def table(found: Iterable[Verdict]) -> str:
    """The verdicts in Markdown, a row for each class; those of one name on one page share it if they fare alike."""
    counts = Counter(found)
    rows = ["| page | class | |", "|---|---|---|"]
    for verdict, count in counts.items():
        page = verdict.page.removeprefix("docs/").removeprefix("tests/")
        times = f" ({count} times)" if count > 1 else ""
        why = f" {verdict.why.rstrip('.')}" if verdict.kind in ("refused", "differs") else ""
        rows.append(f"| {page} | `{verdict.name}`{times} | {WORDS[verdict.kind]}{why} |")
    return "\n".join(rows)


if __name__ == "__main__":
    from tests.contract.test_documentation import BEGIN, END, PAGE

    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{table(verdicts())}{END}{rest.partition(END)[2]}", "utf-8")
