"""Executable content of a document, `<assign>`, `<send>`, `<if>` and others, as callbacks of a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, Literal, cast

from statemachine.io import model as io

from durable_fsm.core.author_code import named
from durable_fsm.core.durations import duration_of
from durable_fsm.core.events import Failure
from durable_fsm.core.scope import Scope
from durable_fsm.frontends.documents.expressions import REWRITE, BadExpression, Language, Value, assign, writable
from durable_fsm.frontends.documents.values import SCXML, Object, stored

Act = Callable[[Scope], None]
Report = Callable[[str, str, object], None]

TYPES = ("", "scxml", "http://www.w3.org/TR/scxml", "http://www.w3.org/TR/scxml/", SCXML)
"""Names of the only event processor and of the only kind of machine."""


class NotSent(ValueError):
    """A message that could not be made; `metadata` names it in the `error.execution` that follows."""

    def __init__(self, problem: str, sendid: str = "") -> None:
        super().__init__(problem)
        self.metadata = {"sendid": sendid}


class Content:
    """Compiles executable content; problems go to `report` and warnings to `note`, with the record they are about."""

    def __init__(self, language: Language, report: Report, note: Report) -> None:
        self.language = language
        self.report = report
        self.note = note

    def block(self, actions: Iterable[io.Action]) -> Act:
        """One block: the first action that fails is its last."""
        acts = [self.action(action) for action in actions]

        def run(scope: Scope) -> None:
            for act in acts:
                act(scope)

        return run

    def value(self, text: str | None, record: object) -> Value:
        """Compile an expression. Report one that is refused, and return None for it until then."""
        text = text or "None"
        try:
            self._warn(text, "eval", record)
            return self.language.value(text)
        except BadExpression as error:
            self.report(f"{error}.", error.remedy, record)
            return lambda _: None

    def action(self, action: io.Action) -> Act:
        match action:
            case io.RaiseAction():
                name = action.event
                return lambda scope: scope.effects.raise_(name)
            case io.AssignAction():
                return self._assign(action)
            case io.LogAction():
                evaluate = self.value(action.expr, action)
                return lambda scope: _drop(evaluate(scope))  # evaluated for its errors only: a step prints nothing
            case io.IfAction():
                return self._if(action)
            case io.ForeachAction():
                return self._foreach(action)
            case io.SendAction():
                return self._send(action)
            case io.CancelAction():
                find = self.value(action.sendidexpr, action) if action.sendidexpr else _constant(action.sendid)
                return lambda scope: scope.effects.cancel(str(find(scope)))
            case io.ScriptAction():
                return self.script(action)
            case _:
                self.report(f"{type(action).__name__} is not executable content.", "Remove it.", action)
                return _drop

    def script(self, action: io.ScriptAction) -> Act:
        try:
            self._warn(action.content, "exec", action)
            return self.language.script(action.content)
        except BadExpression as error:
            self.report(f"{error}.", error.remedy, action)
            return _drop

    def _warn(self, text: str, mode: Literal["eval", "exec"], record: object) -> None:
        """Warn of code of a trusted document that is not Python; elsewhere it is refused."""
        if self.language.trusted and (fault := self.language.fault(text, mode)):
            self.note(f"{fault}.", f"{REWRITE} Until then it raises error.execution.", record)

    def _assign(self, action: io.AssignAction) -> Act:
        if action.expr is None and action.child_xml is not None:
            evaluate = self.language.literal(action.child_xml)
        else:
            evaluate = self.value(action.expr, action)
        return lambda scope: assign(scope, action.location, evaluate(scope))

    def _if(self, action: io.IfAction) -> Act:
        branches = [
            (self.value(branch.cond, action) if branch.cond is not None else None, self.block(branch.actions))
            for branch in action.branches
        ]

        def run(scope: Scope) -> None:
            for condition, body in branches:
                if condition is None or _holds(scope, condition):
                    body(scope)
                    return

        return run

    def _foreach(self, action: io.ForeachAction) -> Act:
        array, body = self.value(action.array, action), self.block(action.content.actions)

        def run(scope: Scope) -> None:
            items = array(scope)
            if not isinstance(items, Sequence) or isinstance(items, str):
                raise TypeError(f"'{action.array}' is not a list")
            writable([name for name in (action.item, action.index) if name], action.item)
            data = cast("Object", scope.data)
            data.setdefault(action.item, None)
            for place, item in enumerate(list(cast("Sequence[object]", items))):
                data[action.item] = item
                if action.index:
                    data[action.index] = place
                body(scope)

        return run

    # ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, action: io.SendAction) -> Act:
        def either(name: str) -> Value:
            text = getattr(action, f"{name}expr", None)
            return self.value(text, action) if text else _constant(getattr(action, name))

        event, target, kind, delay = either("event"), either("target"), either("type"), either("delay")
        payload = self.payload(action, either("content") if getattr(action, "contentexpr", None) else None)

        def run(scope: Scope) -> None:
            sendid = action.id or ""
            if action.idlocation:
                sendid = str(scope.ids.uuid())
                assign(scope, action.idlocation, sendid)
            try:
                self._dispatch(scope, event(scope), target(scope), kind(scope), delay(scope), payload(scope), sendid)
            except NotSent:
                raise
            except Exception as error:
                raise NotSent(f"'{action.event or action.eventexpr}' was not sent: {error}", sendid) from error

        return run

    @staticmethod
    def _dispatch(scope: Scope, event: Any, target: Any, kind: Any, delay: Any, payload: object, sendid: str) -> None:
        if str(kind or "") not in TYPES:
            raise NotSent(f"there is no event processor '{kind}'", sendid)
        if not event:
            raise NotSent("a message has no event", sendid)
        if target and not str(target).startswith("#_"):
            raise NotSent(f"'{target}' is not an address", sendid)
        if target == "#_internal":
            scope.effects.raise_(str(event), payload)
            return
        after = duration_of(str(delay).strip(), unit="ms") if delay else timedelta(0)  # a number is milliseconds
        to = str(target) if target else None
        scope.effects.send(str(event), payload, after=after, id=sendid or None, to=to)

    def payload(self, record: io.SendAction | io.InvokeDefinition | io.DoneData, content: Value | None = None) -> Value:
        """The payload of a message: its content, or the named variables and parameters."""
        inline = None if isinstance(record, io.DoneData) else record.content
        if content is None and isinstance(inline, str):
            content = self.language.literal(inline)
        if content is not None:
            evaluate = content
            return lambda scope: stored(evaluate(scope))
        names = [] if isinstance(record, io.DoneData) else (record.namelist or "").split()
        parts = [(name, self.value(name, record)) for name in names]
        parts += [(param.name, self.value(param.expr or param.location, record)) for param in record.params]
        return lambda scope: {name: stored(evaluate(scope)) for name, evaluate in parts} if parts else None


def _holds(scope: Scope, condition: Value) -> bool:
    """True if the condition holds. One that raises counts as false, and raises `error.execution` in the machine."""
    try:
        return bool(condition(scope))
    except Exception as error:  # noqa: BLE001 - the author's expression
        failure = Failure(type(error).__name__, f"{named(error)}.", source="if")
        scope.effects.raise_("error.execution", failure)
        return False


def _constant(value: object) -> Value:
    return lambda _: value


def _drop(_: object) -> None:
    pass
