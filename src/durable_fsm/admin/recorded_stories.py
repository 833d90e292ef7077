"""The recorded history of a machine as a story, and as a test on `Rehearsal`: both end where the machine is.

Entries tell what came from outside only if they are recorded. The story leaves out all that follows by itself: a rehearsal does it, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from durable_fsm.admin.past import EntryRecord, PastMoment, leaves_in
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical
from durable_fsm.core.redact import REDACTED
from durable_fsm.core.values import Json
from durable_fsm.explore.proofs import Imported
from durable_fsm.explore.stories import test_of_story
from durable_fsm.explore.story_lines import StoryLine

BY_ITSELF = frozenset({"self", "deferred"})
"""Senders of entries that follow from others."""

UNTOLD = frozenset({"parked", "rejected"})
"""Outcomes of entries that changed nothing: a delivery that failed, and a deferred event that was dropped."""


RECORD = (
    "Record machines that begin from now on: @durable(history=History(record=True)), or DURABLE_FSM_RECORD=1 in the"
    " environment of the service."
)


@dataclass(frozen=True)
class Story:
    """The lines of a story; or why there are none.

    Attributes:
        problem: why there is no story up to the step that was asked for.
        reach: the last step up to which there is one; None if there is none at all.
        hints: what a reader has to fill in, or to know.
    """

    lines: tuple[StoryLine, ...] = ()
    problem: str = ""
    reach: int | None = None
    hints: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "".join(f"{canonical(line)}\n" for line in self.lines)

    def as_test(self, chart: str, key: str, imported: Imported | None) -> str:
        """The text of a pytest file."""
        named = imported or Imported("service", chart)
        hints = self.hints if imported else (*self.hints, f"import {chart} from where it is")
        text = test_of_story(f"{chart} {key}", self.lines, named)
        words = f'"""The way of {chart}/{_plain(key)}, from its recorded history.'
        if hints:
            words += "\n\nTo do:\n" + "".join(f"- {hint}\n" for hint in map(_plain, hints))
        return f'{words}"""\n' + text.partition("\n")[2]


def _plain(text: str) -> str:
    """A text that may be in a docstring."""
    return "".join(letter for letter in text if letter.isprintable() and letter not in '\\"')


def story_of(
    moments: Sequence[PastMoment], chart: Chart | None, key: str, *, status: str = "", upto: int | None = None
) -> Story:
    """The story of a machine, up to a moment or to the present, in which it has this status."""
    told = [moment for moment in moments if upto is None or moment.n <= upto]
    if not told:
        return Story(problem=f"It has no history. {RECORD}")
    if told[0].n != 1:
        return Story(
            problem="The first steps of its history are not kept any more, so its beginning is unknown. Keep more steps"
            " of machines that begin from now on: @durable(history=History(entries=10_000, record=True))."
        )
    if "data" not in told[0].record and "seed" not in told[0].record:
        return Story(problem=f"Its history was not recorded. {RECORD}")
    lines: list[StoryLine] = []
    hints: list[str] = []
    for moment in told:
        record = moment.record
        if "seed" not in record:
            return Story(problem=f"Step {moment.n} was not recorded.", reach=moment.n - 1)
        if "in" in record.get("cut", ()):
            hints.append(f"the payload of step {moment.n} was too long to be recorded: fill it in")
        if moment.n == 1:
            lines.append({"create": _payload(record, chart), "key": key})
            continue
        if record.get("by") in BY_ITSELF or record.get("outcome") in UNTOLD:
            if moment.event == "migrated":
                hints.append(f"step {moment.n} is a migration: the test runs on the chart as it is now")
            continue
        if moment.event == "repair":
            problem = f"Step {moment.n} is a repair, which a rehearsal cannot do. Export the steps before it."
            return Story(problem=problem, reach=moment.n - 1)
        lines.append(_line(moment, chart))
    if REDACTED in canonical(cast("Json", lines)):
        hints.append(f"put values in the place of {REDACTED}")
    expected: dict[str, Json] = {"leaves": list(leaves_in(chart, told[-1].after))}
    if status and upto is None:
        expected["status"] = status
    return Story((*lines, {"expect": expected}), hints=tuple(dict.fromkeys(hints)))


def _payload(record: EntryRecord, chart: Chart | None) -> Json:
    """The payload of an entry, without members that the chart redacts only since it was recorded."""
    payload: Json = None if "in" in record.get("cut", ()) else record.get("in")
    return payload if chart is None else chart.redaction.members(payload)


def _line(moment: PastMoment, chart: Chart | None) -> StoryLine:
    record, event = moment.record, moment.event
    by, payload = str(record.get("by", "")), _payload(record, chart)
    given: StoryLine = {} if payload is None else {"payload": payload}
    if by == "timer":
        return {"timer": event}
    outcome, _, activity = event.partition(".invoke.")
    if activity and outcome in ("done", "error"):
        late: StoryLine = {"late": True} if _is_late(moment, chart, activity) else {}
        if outcome == "done":
            return {"done": activity, **({} if payload is None else {"result": payload}), **late}
        failure = cast("dict[str, Any]", record.get("failure") or {})
        if failure.get("type") == "lost":
            return {"lost": activity}
        told: dict[str, Any] = payload if isinstance(payload, dict) else {}
        facts = {
            name: found
            for name in ("message", "type", "code")
            if (found := told.get(name, failure.get(name))) is not None
        }
        return {"error": activity, **facts, **late}
    if by.startswith(("kafka:", "webhook:")):
        return {"receive": event, **given}
    if by.startswith("machine:"):
        return {"message": event, **given, "from": by.removeprefix("machine:")}
    return {"event": event, **given}


def _is_late(moment: PastMoment, chart: Chart | None, activity: str) -> bool:
    """Whether the work had been stopped before its outcome came."""
    if chart is None or activity not in chart.activities:
        return False
    homes = [id for id, state in chart.states.items() if any(one.id == activity for one in state.activities)]
    return bool(homes) and not any(home in moment.before for home in homes)
