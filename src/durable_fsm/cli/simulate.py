"""`durable-fsm simulate`: run a machine in memory, one JSON object a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import IO, Any

import click

from durable_fsm.cli.app_arg import trusted_option
from durable_fsm.cli.errors import DIFFERS
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical, milliseconds, plain
from durable_fsm.core.durations import duration_of
from durable_fsm.core.effects import (
    PARENT,
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
from durable_fsm.explore.story_lines import (
    CREATE,
    EXPECT,
    REFUSALS,
    SNAPSHOT,
    BadLine,
    StoryLine,
    beginning_of,
    inside,
    parsed,
    unmet,
    verb_of,
)
from durable_fsm.frontends.locate import locate_chart
from durable_fsm.testing.rehearsal import Rehearsal

OUTCOMES = {error: outcome for outcome, error in REFUSALS.items()}
"""The outcome of a refused event, by the class of the error."""

UNEXPECTED = "unexpected"
"""The outcome of a line that expects something else."""


@click.command()
@click.argument("target")
@click.option("--events", type=click.File("r"), default="-", help="Read the lines from FILE instead of standard input.")
@click.option("--data", help="Create the machine with this data, a JSON object.")
@click.option("--pretty", is_flag=True, help="Print for people instead of programs.")
@trusted_option
def simulate(
    target: str,
    events: IO[str],
    data: str | None,
    trusted: bool,  # noqa: FBT001 - click's way
    pretty: bool,  # noqa: FBT001
) -> None:
    """Run a machine of TARGET in memory, step by step.

    TARGET is 'module:Name', 'file.py:Name' or the path of an .scxml, .json or .yaml document; Name is a chart, or an
    application with one. Every input line is a JSON object; a file of them is a story, which `durable-fsm story` writes as a test:

    \b
      {"event": "pay", "payload": {"cents": 500}}     send an event
      {"advance": "15m"}                              move the clock: 100ms, 30s, 15m, 2h, 1d
      {"timer": "expire"}                             a timer arrives now, before all others
      {"done": "charging", "result": "receipt-1"}     an activity succeeds
      {"error": "charging", "message": "declined"}    an activity fails
      {"lost": "charging"}                            an exclusive activity is killed
      {"message": "ready", "from": "Kitchen/k-1"}     another machine sends an event
      {"returned": "deposit"}                         a message to another machine comes back
      {"receive": "paid", "payload": {}}              an event comes from a topic or a webhook
      {"expect": {"leaves": ["paid"]}}                compare; also: configuration, status, data, output, outcome
      {"create": {"cents": 500}, "key": "o-1"}        the first line may create the machine
      {"snapshot": {}, "key": "o-1"}                  or begin with the snapshot of one

    "in" names the child that a line is about, and "from" of a message the sender: the address of a machine, the id of a
    child, or "#_parent". With "late": true, the outcome is that of an activity that was stopped before. After the start and after each line, one line of JSON is printed: the configuration, its leaves, the status, the
    data, the outcome, the effects and the trace; and `errors`, where callbacks failed with `error.execution`. A line that cannot be read ends the run with exit code 2.
    """
    show = _for_people if pretty else _for_programs
    chart = locate_chart(target, trusted=trusted).chart
    session: Session | None = None
    refusal = ""
    try:
        session = begun_session(chart, {"create": parsed(data) if data else None}, show)
    except BadLine as error:
        _stop(f"--data: {error}")
    except DurableFSMError as error:
        refusal = str(error)  # the first line may create it from other data
    is_first, failed = not data, False
    for number, line in enumerate(events, 1):
        if not line.strip():
            continue
        try:
            read = parsed(line)
            may_begin, is_first = is_first, False
            if may_begin and beginning_of(read) is not None:
                session = begun_session(chart, read, show)
            elif session is None:
                break
            else:
                state = session.follow(read)
                failed |= state["outcome"] == UNEXPECTED
                show(state)
        except (BadLine, LookupError) as error:
            _stop(f"line {number}: {error.args[0]}")
        except DurableFSMError as error:
            _stop(str(error))
    if session is None:
        _stop(refusal)
    if failed:
        sys.exit(DIFFERS)


def begun_session(chart: Chart, line: StoryLine, show: Callable[[dict[str, Json]], None]) -> Session:
    """Begin the machine as the first line of a story says."""
    key, snapshot = str(line.get("key", "simulated")), line.get(SNAPSHOT)
    if isinstance(snapshot, dict):
        session = Session(Rehearsal(chart, key=key, snapshot=snapshot))
        show(session.state("restored"))
    else:
        session = Session(Rehearsal(chart, key=key))
        show(session.state(session.machine.create(line[CREATE]).outcome))
    return session


def _stop(message: str) -> None:
    click.echo(f"durable-fsm simulate: {message}", err=True)
    sys.exit(2)


class Session:
    """A rehearsal, and how many of its effects, microsteps and errors were shown."""

    def __init__(self, machine: Rehearsal) -> None:
        self.machine = machine
        self.shown = (0, 0, 0)
        self.outcome = "created"
        self.verbs: dict[str, Callable[[StoryLine, Rehearsal], str]] = {
            "event": self._send,
            "advance": self._advance,
            "timer": self._ring,
            "done": self._done,
            "error": self._error,
            "lost": self._lose,
            "returned": self._bounce,
            "receive": self._receive,
            "message": self._hear,
        }

    def follow(self, line: StoryLine) -> dict[str, Json]:
        """Follow one line of input."""
        verb = verb_of(line)
        machine = self.machine
        for id in inside(line):
            machine = self._child(machine, id)
        expected = line.get(EXPECT)
        if isinstance(expected, dict):
            return self._compared(expected, machine)
        try:
            return self.state(self.verbs[verb](line, machine))
        except DurableFSMError as error:
            outcome = OUTCOMES.get(type(error).__name__)
            if outcome is None:
                raise
            return {**self.state(outcome), "error": str(error)}

    @staticmethod
    def _child(machine: Rehearsal, id: str) -> Rehearsal:
        """A child that runs now."""
        if id not in machine.machines:
            names = ", ".join(machine.machines) or "none"
            raise LookupError(f"{machine.chart.name}/{machine.key}: child '{id}' is not running; running: {names}")
        return machine.machines[id]

    def _compared(self, expected: dict[str, Json], machine: Rehearsal) -> dict[str, Json]:
        there = {**_facts(machine), "output": machine.output, "outcome": self.outcome}
        problems = unmet(expected, there)
        if not problems:
            return self.state("as expected")
        return {**self.state(UNEXPECTED), "error": "; ".join(problems)}

    @staticmethod
    def _send(line: StoryLine, machine: Rehearsal) -> str:
        return machine.send(str(line["event"]), line.get("payload")).outcome

    @staticmethod
    def _advance(line: StoryLine, machine: Rehearsal) -> str:
        machine.advance(duration_of(str(line["advance"])))
        return "advanced"

    @staticmethod
    def _ring(line: StoryLine, machine: Rehearsal) -> str:
        return machine.ring(str(line["timer"]), _place(line)).outcome

    @staticmethod
    def _bounce(line: StoryLine, machine: Rehearsal) -> str:
        return machine.bounce(str(line["returned"]), _place(line)).outcome

    @staticmethod
    def _lose(line: StoryLine, machine: Rehearsal) -> str:
        return machine.lose(str(line["lost"])).outcome

    @staticmethod
    def _receive(line: StoryLine, machine: Rehearsal) -> str:
        return machine.receive(Incoming(str(line["receive"]), line.get("payload"))).outcome

    @staticmethod
    def _hear(line: StoryLine, machine: Rehearsal) -> str:
        sender = str(line.get("from", PARENT))
        return machine.hear(str(line["message"]), line.get("payload"), sender=sender).outcome

    @staticmethod
    def _done(line: StoryLine, machine: Rehearsal) -> str:
        return machine.finish(str(line["done"]), line.get("result"), late=line.get("late") is True).outcome

    @staticmethod
    def _error(line: StoryLine, machine: Rehearsal) -> str:
        code = line.get("code")
        return machine.fail(
            str(line["error"]),
            str(line.get("message", "")),
            type=str(line.get("type", "TerminalError")),
            code=code if isinstance(code, int) else None,
            late=line.get("late") is True,
        ).outcome

    def state(self, outcome: str) -> dict[str, Json]:
        """The machine after a line, with what is new since the last one."""
        machine = self.machine
        self.outcome = outcome
        effects, trace = machine.effects[self.shown[0] :], machine.trace[self.shown[1] :]
        caught = machine.caught[self.shown[2] :]
        self.shown = (len(machine.effects), len(machine.trace), len(machine.caught))
        return {
            **_facts(machine),
            "outcome": outcome,
            "effects": [effect_to_json(effect) for effect in effects],
            "trace": [plain(microstep._asdict()) for microstep in trace],
            **({"errors": [_caught(error) for error in caught]} if caught else {}),
        }


def _facts(machine: Rehearsal) -> dict[str, Json]:
    snapshot = machine.snapshot
    return {
        "configuration": list(machine.configuration),
        "leaves": list(snapshot.configuration),
        "status": snapshot.status.value,
        "data": snapshot.data,
    }


def _place(line: StoryLine) -> int:
    place = line.get("place", 0)
    return place if isinstance(place, int) else 0


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
