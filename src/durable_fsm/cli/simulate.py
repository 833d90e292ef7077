"""`durable-fsm simulate`: run a machine in memory, one JSON object a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import IO, Any, cast

import click

from durable_fsm.cli.app_arg import trusted_option
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical, milliseconds, plain
from durable_fsm.core.durations import duration_of
from durable_fsm.core.effects import (
    Cancel,
    Effect,
    Post,
    Reply,
    Send,
    StartActivity,
    StartMachine,
    StopActivity,
    StopMachine,
)
from durable_fsm.core.sources import Incoming
from durable_fsm.core.values import Json
from durable_fsm.errors import ActionError, DurableFSMError
from durable_fsm.frontends.locate import locate_chart
from durable_fsm.testing.rehearsal import Rehearsal

OUTCOMES = {
    "EventRejected": "rejected",
    "TooManyDeferred": "full",
    "UnknownEvent": "unknown",
    "Forbidden": "forbidden",
    "InvalidPayload": "invalid",
    "NotStarted": "not_started",
    "Finished": "finished",
    "ActionError": "failed",
}
"""The outcome of a refused event, by the class of the error."""


class BadLine(ValueError):
    """A line of input that cannot be followed."""


@click.command()
@click.argument("target")
@click.option("--events", type=click.File("r"), default="-", help="Read the lines from FILE instead of standard input.")
@click.option("--data", help="Create the machine with this data, a JSON object.")
@trusted_option
@click.option("--pretty", is_flag=True, help="Print for people instead of programs.")
def simulate(
    target: str,
    events: IO[str],
    data: str | None,
    trusted: bool,  # noqa: FBT001 - click's way
    pretty: bool,  # noqa: FBT001
) -> None:
    """Run a machine of TARGET in memory, on a clock of its own.

    TARGET is 'module:Name', 'file.py:Name' or the path of an .scxml, .json or .yaml document; Name is a chart, or an
    application with one. Every input line is a JSON object:

    \b
      {"event": "pay", "payload": {"cents": 500}}     send an event
      {"advance": "15m"}                              move the clock: 100ms, 30s, 15m, 2h, 1d
      {"timer": "expire"}                             a timer arrives now, before all others
      {"done": "charging", "result": "receipt-1"}     an activity succeeds
      {"error": "charging", "message": "declined"}    an activity fails
      {"lost": "charging"}                            an exclusive activity is killed
      {"returned": "deposit"}                         a message to another machine comes back
      {"receive": "paid", "payload": {}}              an event comes from a topic or a webhook
      {"create": {"cents": 500}, "key": "o-1"}        the first line may create the machine

    With "late": true, the outcome is that of an activity that was stopped before. After the start and after each line, one line of JSON is printed: the configuration, its leaves, the status, the
    data, the outcome, the effects and the trace; and `errors`, where callbacks failed with `error.execution`. A line that cannot be read ends the run with exit code 2.
    """  # noqa: D301 - click's mark for "do not rewrap" is a backspace character
    show = _for_people if pretty else _for_programs
    chart = locate_chart(target, trusted=trusted).chart
    session: _Session | None = None
    refusal = ""
    try:
        session = _begun(chart, {"create": _parse(data) if data else None}, show)
    except BadLine as error:
        _stop(f"--data: {error}")
    except DurableFSMError as error:
        refusal = str(error)  # the first line may create it from other data
    is_first = not data
    for number, line in enumerate(events, 1):
        if not line.strip():
            continue
        try:
            parsed = _parse(line)
            may_create, is_first = is_first, False
            if may_create and "create" in parsed:
                session = _begun(chart, parsed, show)
            elif session is None:
                break
            else:
                show(session.follow(parsed))
        except (BadLine, LookupError) as error:
            _stop(f"line {number}: {error.args[0]}")
        except DurableFSMError as error:
            _stop(str(error))
    if session is None:
        _stop(refusal)


def _begun(chart: Chart, line: dict[str, Json], show: Callable[[dict[str, Json]], None]) -> _Session:
    """Create the machine as the first line of a story says."""
    if unknown := sorted(line.keys() - {"create", "key"}):
        raise BadLine(f"'{unknown[0]}' has no meaning together with 'create'.")
    key = line.get("key", "simulated")
    if not isinstance(key, str) or not key:
        raise BadLine(f"'key' must be a string, not {canonical(key)}.")
    session = _Session(Rehearsal(chart, key=key))
    show(session.begin(line["create"]))
    return session


def _stop(message: str) -> None:
    click.echo(f"durable-fsm simulate: {message}", err=True)
    sys.exit(2)


def _parse(text: str) -> dict[str, Json]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadLine(f"this is not valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise BadLine(f"expected a JSON object, got {text.strip()}.")
    return cast("dict[str, Json]", value)


class _Session:
    """A rehearsal, and how many of its effects, microsteps and errors were shown."""

    def __init__(self, machine: Rehearsal) -> None:
        self.machine = machine
        self.shown = (0, 0, 0)
        self.verbs: dict[str, tuple[set[str], Callable[[dict[str, Json]], str]]] = {
            "event": ({"payload"}, self._send),
            "advance": (set(), self._advance),
            "timer": ({"place"}, self._ring),
            "done": ({"result", "late"}, self._done),
            "error": ({"message", "type", "code", "late"}, self._error),
            "lost": (set(), self._lose),
            "returned": ({"place"}, self._bounce),
            "receive": ({"payload"}, self._receive),
        }

    def begin(self, data: Json) -> dict[str, Json]:
        return self._state(self.machine.create(data).outcome)

    def follow(self, line: dict[str, Json]) -> dict[str, Json]:
        """Follow one line of input."""
        verbs = [verb for verb in self.verbs if verb in line]
        if len(verbs) != 1:
            names = ", ".join(f"'{verb}'" for verb in self.verbs)
            raise BadLine(f"expected one of {names}, got {canonical(line)}.")
        allowed, act = self.verbs[verbs[0]]
        if unknown := sorted(line.keys() - allowed - {verbs[0]}):
            raise BadLine(f"'{unknown[0]}' has no meaning together with '{verbs[0]}'.")
        if not isinstance(line[verbs[0]], str):
            raise BadLine(f"'{verbs[0]}' must be a string, not {canonical(line[verbs[0]])}.")
        try:
            return self._state(act(line))
        except DurableFSMError as error:
            outcome = OUTCOMES.get(type(error).__name__)
            if outcome is None:
                raise
            return {**self._state(outcome), "error": str(error)}

    def _send(self, line: dict[str, Json]) -> str:
        return self.machine.send(str(line["event"]), line.get("payload")).outcome

    def _advance(self, line: dict[str, Json]) -> str:
        try:
            self.machine.advance(duration_of(str(line["advance"])))
        except ValueError as error:
            raise BadLine(str(error)) from error
        return "advanced"

    def _ring(self, line: dict[str, Json]) -> str:
        return self.machine.ring(str(line["timer"]), _place(line)).outcome

    def _bounce(self, line: dict[str, Json]) -> str:
        return self.machine.bounce(str(line["returned"]), _place(line)).outcome

    def _lose(self, line: dict[str, Json]) -> str:
        return self.machine.lose(str(line["lost"])).outcome

    def _receive(self, line: dict[str, Json]) -> str:
        return self.machine.receive(Incoming(str(line["receive"]), line.get("payload"))).outcome

    def _done(self, line: dict[str, Json]) -> str:
        return self.machine.finish(str(line["done"]), line.get("result"), late=line.get("late") is True).outcome

    def _error(self, line: dict[str, Json]) -> str:
        code = line.get("code")
        return self.machine.fail(
            str(line["error"]),
            str(line.get("message", "")),
            type=str(line.get("type", "TerminalError")),
            code=code if isinstance(code, int) else None,
            late=line.get("late") is True,
        ).outcome

    def _state(self, outcome: str) -> dict[str, Json]:
        machine = self.machine
        effects, trace = machine.effects[self.shown[0] :], machine.trace[self.shown[1] :]
        caught = machine.caught[self.shown[2] :]
        self.shown = (len(machine.effects), len(machine.trace), len(machine.caught))
        snapshot = machine.snapshot
        return {
            "configuration": list(machine.configuration),
            "leaves": list(snapshot.configuration),
            "status": snapshot.status.value,
            "data": snapshot.data,
            "outcome": outcome,
            "effects": [effect_to_json(effect) for effect in effects],
            "trace": [plain(microstep._asdict()) for microstep in trace],
            **({"errors": [_caught(error) for error in caught]} if caught else {}),
        }


def _place(line: dict[str, Json]) -> int:
    place = line.get("place", 0)
    if not isinstance(place, int):
        raise BadLine(f"'place' must be a number, not {canonical(place)}.")
    return place


def _caught(error: ActionError) -> Json:
    return {"event": error.event, "callback": error.callback, "problem": error.problem}


def effect_to_json(effect: Effect) -> Json:
    """Write an effect as a JSON object; `effect` names its kind."""
    match effect:
        case Send():
            return {"effect": "send", "event": effect.event, "after_ms": milliseconds(effect.after)}
        case Cancel():
            return {"effect": "cancel", "token": effect.token}
        case StartActivity():
            undoes: dict[str, Json] = {} if effect.undo is None else {"undoes": effect.undo.result}
            return {"effect": "start_activity", "activity": effect.id, "exclusive": effect.exclusive, **undoes}
        case StopActivity():
            return {"effect": "stop_activity", "token": effect.token}
        case StartMachine():
            return {"effect": "start_machine", "id": effect.id, "chart": effect.chart.name, "data": effect.data}
        case StopMachine():
            return {"effect": "stop_machine", "token": effect.token}
        case Post():
            return {"effect": "post", "to": effect.to, "event": effect.event, "payload": effect.payload}
        case Reply():
            return {"effect": "reply", "value": effect.value}


def _for_programs(state: dict[str, Json]) -> None:
    click.echo(json.dumps(state, ensure_ascii=False))


def _for_people(state: dict[str, Any]) -> None:  # Any: JSON of a shape this module made
    click.echo(f"{state['outcome']:>10}  {' · '.join(state['configuration'])}  ({state['status']})")
    if "error" in state:
        click.echo(f"            {state['error']}")
    for microstep in state["trace"]:
        left, entered = " ".join(microstep["exited"]) or "–", " ".join(microstep["entered"]) or "–"
        click.echo(f"            {microstep['event'] or 'always'}: {left} → {entered}")
    for error in state.get("errors", ()):
        click.echo(f"            error.execution: {error['callback']}: {error['problem']}")
    for effect in state["effects"]:
        click.echo(f"            {canonical(effect)}")
    click.echo(f"            data {canonical(state['data'])}")
