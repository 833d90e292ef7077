"""The lines of a story: what happens to one machine, and what is expected of it.

`durable-fsm simulate` plays a story, `durable-fsm story --pytest` writes it as a test, and `durable-fsm explore` writes its
counterexamples in this form. A line is a JSON object with one verb; the first line may create the machine, or name the
snapshot with which it begins.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, cast

from durable_fsm.core.codec import canonical
from durable_fsm.core.durations import duration_of
from durable_fsm.core.values import Json

StoryLine: TypeAlias = dict[str, Json]

CREATE, SNAPSHOT, EXPECT, INSIDE = "create", "snapshot", "expect", "in"

BEGINNINGS = (CREATE, SNAPSHOT)
"""Verbs of the first line."""

VERBS: Mapping[str, tuple[str, ...]] = {
    "event": ("payload",),
    "advance": (),
    "timer": ("place",),
    "done": ("result", "late"),
    "error": ("message", "type", "code", "late"),
    "lost": (),
    "returned": ("place",),
    "receive": ("payload",),
    "message": ("payload", "from"),
    EXPECT: (),
}
"""The verbs of all other lines, and what each may have beside it; `in` names a child machine in every one but `advance`."""

FACTS = ("leaves", "configuration", "status", "data", "output", "outcome")
"""Facts that `expect` compares: those of the machine, and the outcome of the line before."""

REFUSALS: Mapping[str, str] = {
    "rejected": "EventRejected",
    "full": "TooManyDeferred",
    "unknown": "UnknownEvent",
    "forbidden": "Forbidden",
    "invalid": "InvalidPayload",
    "not_started": "NotStarted",
    "finished": "Finished",
    "failed": "ActionError",
}
"""The error of each outcome with which a line is refused."""


class BadLine(ValueError):
    """A line that cannot be followed; the message says why."""


def parsed(text: str) -> StoryLine:
    """Read a line of a story, whatever its verb.

    Raises:
        BadLine: It is not a JSON object.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadLine(f"this is not valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise BadLine(f"expected a JSON object, got {text.strip()}.")
    return cast("StoryLine", value)


def beginning_of(line: StoryLine) -> str | None:
    """The verb with which a line begins a machine; None if it does not.

    Raises:
        BadLine: It has a member that means nothing there.
    """
    verb = next((verb for verb in BEGINNINGS if verb in line), None)
    if verb is not None:
        _refuse_unknown(line, verb, ("key", "chart"))
        for name in ("key", "chart"):
            if not isinstance(text := line.get(name, name), str) or not text:
                raise BadLine(f"'{name}' must be a string, not {canonical(text)}.")
        if verb == SNAPSHOT and not isinstance(line[verb], dict):
            raise BadLine(f"'{SNAPSHOT}' must be a JSON object, not {canonical(line[verb])}.")
    return verb


def verb_of(line: StoryLine) -> str:
    """The verb of a line that does not begin a machine.

    Raises:
        BadLine: It has none, or several, or a member of the wrong kind.
    """
    verbs = [verb for verb in VERBS if verb in line and not (verb == "message" and "error" in line)]
    if len(verbs) != 1:
        names = ", ".join(f"'{verb}'" for verb in VERBS)
        raise BadLine(f"expected one of {names}, got {canonical(line)}.")
    verb = verbs[0]
    _refuse_unknown(line, verb, (*VERBS[verb], *(() if verb == "advance" else (INSIDE,))))
    if verb == EXPECT:
        _check_expected(line[verb])
    elif not isinstance(line[verb], str):
        raise BadLine(f"'{verb}' must be a string, not {canonical(line[verb])}.")
    if verb == "advance":
        try:
            duration_of(str(line[verb]))
        except ValueError as error:
            raise BadLine(str(error)) from error
    for name, kind, words in (
        ("place", int, "a number"),
        (INSIDE, str, "a string"),
        ("from", str, "a string"),
        ("late", bool, "true or false"),
    ):
        if name in line and not isinstance(line[name], kind):
            raise BadLine(f"'{name}' must be {words}, not {canonical(line[name])}.")
    return verb


def _refuse_unknown(line: StoryLine, verb: str, allowed: Iterable[str]) -> None:
    if unknown := sorted(line.keys() - {verb, *allowed}):
        raise BadLine(f"'{unknown[0]}' has no meaning together with '{verb}'.")


def _check_expected(facts: Json) -> None:
    if not isinstance(facts, dict) or not facts:
        raise BadLine(f"'{EXPECT}' must be an object with some of: {', '.join(FACTS)}.")
    if unknown := sorted(facts.keys() - set(FACTS)):
        raise BadLine(f"'{EXPECT}' knows no '{unknown[0]}'. It compares: {', '.join(FACTS)}.")
    if not isinstance(facts.get("data", {}), dict):
        raise BadLine("'data' of 'expect' must be an object: the members that are compared.")


def unmet(expected: Mapping[str, Json], state: Mapping[str, Json]) -> list[str]:
    """The facts that are not as expected, in words. Of the data, only the members that are named are compared."""
    found: list[str] = []
    for name, value in expected.items():
        there = state.get(name)
        if name == "data" and isinstance(value, dict) and isinstance(there, dict):
            for member, wanted in value.items():
                if member not in there or canonical(there[member]) != canonical(wanted):
                    shown = canonical(there[member]) if member in there else "missing"
                    found.append(f"$.{member} is {shown}, expected {canonical(wanted)}")
        elif canonical(there) != canonical(value):
            found.append(f"{name} is {canonical(there)}, expected {canonical(value)}")
    return found


# ── as Python ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def literal(value: Json) -> str:
    """A plain value as Python, in the quotes of this house."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case dict():
            return "{" + ", ".join(f"{literal(name)}: {literal(member)}" for name, member in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(literal, value)) + "]"
        case _:
            return repr(value)


def texts(names: Sequence[str]) -> str:
    """Names as Python writes a tuple of them."""
    shown = ", ".join(map(literal, names))
    return f"({shown},)" if len(names) == 1 else f"({shown})"


def begun(line: StoryLine, definition: str, machine: str, key: str) -> list[str]:
    """The lines of a test that begin a machine."""
    named = str(line.get("key", key))
    if SNAPSHOT in line:
        return [f"{machine} = Rehearsal({definition}, key={literal(named)}, snapshot={literal(line[SNAPSHOT])})"]
    data = line.get(CREATE)
    return [
        f"{machine} = Rehearsal({definition}, key={literal(named)})",
        f"{machine}.create({'' if data in (None, {}) else literal(data)})",
    ]


def call_of(line: StoryLine, machine: str) -> str:
    """One line of a story as a line of a test; not one that expects something."""
    verb = verb_of(line)
    subject = literal(line[verb])
    place = f", {line['place']}" if line.get("place") else ""
    late = ", late=True" if line.get("late") else ""
    payload = "" if line.get("payload") is None else f", {literal(line['payload'])}"
    at = f"{machine}{''.join(f'.machines[{literal(id)}]' for id in inside(line))}"
    match verb:
        case "event":
            return f"{at}.send({subject}{payload})"
        case "advance":
            milliseconds = duration_of(str(line[verb])).total_seconds() * 1000
            return f"{at}.advance(timedelta(milliseconds={milliseconds:g}))"
        case "timer":
            return f"{at}.ring({subject}{place})"
        case "done":
            result = "" if line.get("result") is None else f", {literal(line['result'])}"
            return f"{at}.finish({subject}{result}{late})"
        case "error":
            facts = f", {literal(line.get('message', ''))}"
            if line.get("type", "TerminalError") != "TerminalError":
                facts += f", type={literal(line['type'])}"
            if line.get("code") is not None:
                facts += f", code={line['code']!r}"
            return f"{at}.fail({subject}{facts}{late})"
        case "lost":
            return f"{at}.lose({subject})"
        case "returned":
            return f"{at}.bounce({subject}{place})"
        case "receive":
            return f"{at}.receive(Incoming({subject}{payload}))"
        case "message":
            sender = f", sender={literal(line['from'])}" if "from" in line else ""
            return f"{at}.hear({subject}{payload}{sender})"
        case _:
            raise BadLine(f"'{verb}' is not a call.")


def asserted(expected: Mapping[str, Json], machine: str) -> list[str]:
    """The facts that a line expects, as assertions. The outcome is that of the call before; see `test_of_story`."""
    lines: list[str] = []
    for name, value in expected.items():
        match name, value:
            case "leaves" | "configuration", list():
                lines.append(f"assert {machine}.{name} == {texts([str(one) for one in value])}")
            case "data", dict():
                for member, wanted in value.items():
                    sign = "is" if wanted is None or isinstance(wanted, bool) else "=="
                    lines.append(f"assert {machine}.snapshot.data[{literal(member)}] {sign} {literal(wanted)}")
            case "outcome", _:
                continue
            case _:
                lines.append(f"assert {machine}.{name} == {literal(value)}")
    return lines


def inside(line: StoryLine) -> list[str]:
    """Ids of the child machines that lead to the one a line is about; none for the machine itself."""
    path = line.get(INSIDE)
    return path.split("/") if isinstance(path, str) and path else []


def in_words(line: StoryLine) -> str:
    """A line for people: `done charging {"receipt":"c"}`."""
    where = f" in {line[INSIDE]}" if line.get(INSIDE) else ""
    verb = next((one for one in (*BEGINNINGS, *VERBS) if one in line), "")
    subject = line.get(verb)
    shown = f" {subject}" if isinstance(subject, str) else f" {canonical(subject)}" if subject else ""
    more = [
        canonical(value) if name in ("payload", "result") else f"{name}={canonical(value)}"
        for name, value in line.items()
        if name not in (verb, INSIDE)
    ]
    return " ".join([f"{verb}{shown}{where}", *more])
