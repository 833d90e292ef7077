"""Expressions of documents, compiled once: by an allowlist, or as Python where the author is trusted."""

from __future__ import annotations

import ast
import keyword
import re
import textwrap
import warnings
from collections.abc import Callable, Iterable
from types import FunctionType, ModuleType
from typing import Any, Literal, cast
from xml.etree import ElementTree as ET

from statemachine import spec_parser

from durable_fsm.core.events import Failure, Origin
from durable_fsm.core.scope import Scope
from durable_fsm.frontends.documents.values import SCXML, Code, Object, Processor, revived, stored
from durable_fsm.frontends.syntax import parsed

PARSER = cast("Any", spec_parser)  # Any: the library leaves its parser untyped
WORDS: dict[str, object] = {"true": True, "false": False, "null": None}

TRUST = "Read the document with trusted=True, if you trust its author."

REWRITE = "Write it in Python."
LINE = "\n"

PYTHON_MODELS = ("", "python", "null")
"""Values of `datamodel` that mean Python, or no expressions."""

Value = Callable[[Scope], Any]

_FOREIGN = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|===|!==|&&|\|\||!(?!=)""")
_PYTHON = {"===": "==", "!==": "!=", "&&": " and ", "||": " or ", "!": " not "}


class BadExpression(ValueError):
    """An expression that this document may not use, or that is not Python; `remedy` says what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


class Namespace:
    """The names that an expression may use: variables, system variables, `In`."""

    def __init__(self, scope: Scope, *, trusted: bool) -> None:
        self.scope = scope
        self.trusted = trusted

    def all(self) -> dict[str, Any]:
        scope = self.scope
        space: dict[str, Any] = {**WORDS, **cast("Object", scope.data)}
        space["_event"] = message(scope, trusted=self.trusted)
        space["_sessionid"] = scope.session
        space["_name"] = scope.chart.name
        here = Object(location=f"#_scxml_{scope.session}")
        space["_ioprocessors"] = Object({"scxml": here, SCXML: here})
        space["In"] = self._active
        return space

    def _active(self, *states: str) -> bool:
        return self.scope.configuration >= set(states)

    # the library's parser reads this from a machine
    @property
    def configuration(self) -> list[Object]:
        return [Object(id=id) for id in self.scope.configuration]


def message(scope: Scope, *, trusted: bool) -> Object | None:
    """`_event`; None before the first event."""
    event = scope.event
    if event.name == "create" and event.origin is Origin.PLATFORM:
        return None
    internal = event.origin is Origin.INTERNAL
    failure = event.payload if isinstance(event.payload, Failure) else None
    metadata = failure.metadata if failure is not None and isinstance(failure.metadata, dict) else {}
    return Object(
        name=event.name,
        type="platform" if event.name.startswith("error.") else "internal" if internal else "external",
        sendid=event.sendid or metadata.get("sendid") or "",
        origin=f"#_scxml_{event.sender}" if event.sender else "",
        origintype="" if internal else Processor(SCXML),
        invokeid=event.invokeid,
        data=Object(type=failure.type, message=failure.message)
        if failure is not None
        else revived(stored(event.payload), trusted=trusted),
    )


class Language:
    """How a document's expressions are read. `foreign` names the language that it declares, where that is not Python."""

    def __init__(self, *, trusted: bool, datamodel: str = "") -> None:
        self.trusted = trusted
        self.foreign = "" if datamodel.lower() in PYTHON_MODELS else datamodel

    def value(self, text: str) -> Value:
        """Compile an expression.

        Raises:
            BadExpression: an untrusted document may not use it, or it is not Python. A wrong expression of a trusted
                document raises `error.execution` when it is evaluated, as SCXML requires.
        """
        return self._python(text) if self.trusted else self._restricted(text)

    def literal(self, text: str) -> Value:
        """Compile inline content: an XML element, an expression, or just a text."""
        if text.startswith("<"):
            return lambda _: ET.fromstring(text)
        if not self.trusted:
            try:
                constant = ast.literal_eval(text)
            except (ValueError, SyntaxError):
                constant = text
            return lambda _: revived(stored(constant), trusted=False)
        evaluate = self.value(text)

        def read(scope: Scope) -> Any:
            try:
                return evaluate(scope)
            except Exception:  # noqa: BLE001 - what cannot be evaluated is a text
                return text

        return read

    def script(self, text: str) -> Callable[[Scope], None]:
        """Compile a script; what it binds becomes variables.

        Raises:
            BadExpression: the document is not trusted.
        """
        source = textwrap.dedent(text).strip()
        if not self.trusted:
            fault = self.fault(source, "exec")
            raise BadExpression(fault, REWRITE) if fault else BadExpression("a script may run any code", TRUST)
        code = _compiled(source, "exec")

        def run(scope: Scope) -> None:
            data = cast("Object", scope.data)
            before = Namespace(scope, trusted=True).all()
            space = dict(before)
            exec(code(), space)  # noqa: S102 - the author is trusted
            for name, found in space.items():
                if not name.startswith("_") and (name not in before or found is not before[name]):
                    data[name] = _kept(found, source, name)

        return run

    def fault(self, text: str, mode: Literal["eval", "exec"]) -> str:
        """How an expression or a script is not Python; empty if it is."""
        source = python_of(text) if mode == "eval" else textwrap.dedent(text).strip()
        if _parses(source, mode):
            return ""
        language = f', but {self.foreign}, as datamodel="{self.foreign}" says' if self.foreign else ""
        return f"'{source.partition(LINE)[0] if mode == 'exec' else text}' is not Python{language}"

    def _python(self, text: str) -> Value:
        code = _compiled(text, "eval")

        def evaluate(scope: Scope) -> Any:
            value = eval(code(), Namespace(scope, trusted=True).all())  # noqa: S307 - the author is trusted
            return _kept(value, text, "")

        return evaluate

    def _restricted(self, text: str) -> Value:
        def named(name: str) -> Callable[..., Any]:
            def read(*, names: dict[str, Any], **_: object) -> Any:
                if name not in names:
                    raise NameError(f"name '{name}' is not defined")
                return names[name]

            read.__name__ = name
            return read

        try:
            evaluate = PARSER.parse_expr(python_of(text), named)
        except (ValueError, SyntaxError, KeyError) as error:
            if fault := self.fault(text, "eval"):
                raise BadExpression(fault, REWRITE) from error
            raise BadExpression(f"'{text}' is not allowed in an untrusted document ({error})", TRUST) from error

        def value(scope: Scope) -> Any:
            names = Namespace(scope, trusted=False)
            return _wrapped(evaluate(names=names.all(), machine=names))

        return value


def assign(scope: Scope, location: str, value: object) -> None:
    """Put *value* where `location` says: a variable, or a member of one (`order.address.city`)."""
    first, *members = location.strip().split(".")
    writable([first, *members], location)
    data = cast("Object", scope.data)
    if first not in data:
        raise NameError(f"variable '{first}' is not declared")
    if not members:
        data[first] = value
        return
    holder: Any = data[first]
    for member in members[:-1]:
        holder = getattr(holder, member)
    if isinstance(holder, type | ModuleType) or not hasattr(holder, "__dict__") or ET.iselement(holder):
        raise TypeError(f"'{location}' cannot be written to")
    setattr(holder, members[-1], value)


def writable(names: Iterable[str], location: str) -> None:
    """Refuse names that a document cannot write to."""
    for name in names:
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise ValueError(f"'{location}' cannot be written to")


def _kept(value: Any, source: str, name: str) -> Any:
    """The value, or the code behind it where it is a function or a class."""
    if isinstance(value, ModuleType):
        raise TypeError(f"module '{value.__name__}' cannot be a variable")
    return Code(source, name) if isinstance(value, FunctionType | type) else _wrapped(value)


def _wrapped(value: Any) -> Any:
    """The value with every object in it as an `Object`, as it will be when it has been stored and loaded."""
    if type(value) is dict:
        members = cast("dict[str, Any]", value)
        return Object({name: _wrapped(member) for name, member in members.items()})
    return _wrapped_items(cast("Iterable[Any]", value)) if type(value) is list else value


def _wrapped_items(items: Iterable[Any]) -> list[Any]:
    return [_wrapped(item) for item in items]


def _compiled(text: str, mode: str) -> Callable[[], Any]:
    """Compile a text. A syntax error is raised when the code is used, not now."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(python_of(text) if mode == "eval" else text, "<document>", mode)
    except (SyntaxError, ValueError) as error:
        reason = str(error)

        def fail() -> Any:
            raise SyntaxError(f"'{text}': {reason}")

        return fail
    return lambda: code


def _parses(text: str, mode: Literal["eval", "exec"]) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed(text, mode)
    except (SyntaxError, ValueError):
        return False
    return True


def python_of(text: str) -> str:
    """The expression itself, or with `&&`, `||`, `!` and `===` in Python's spelling if that makes it one."""
    source = text.strip()
    try:
        parsed(source, "eval")
    except SyntaxError:
        return _FOREIGN.sub(lambda found: found.group(1) or _PYTHON[found.group(0)], source).strip()
    return source
