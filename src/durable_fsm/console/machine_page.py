"""The page of one machine: values in, HTML out."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from markupsafe import Markup

from durable_fsm.console.machine_view import ShownMachine, ShownMoment
from durable_fsm.console.pictures import lit_machine, picture
from durable_fsm.console.previews import why_not
from durable_fsm.console.rendering import PageFrame, markup, render

SEGMENTS = 48
"""Steps of the timeline that are shown at once."""

ROWS = 100
"""Steps of the history that are shown at once."""

FAILURES = "failures"


@dataclass(frozen=True)
class Neighbour:
    """Another machine of the chart, in the list beside this one."""

    key: str
    states: tuple[str, ...]
    at: int | None
    pip: str = ""


@dataclass(frozen=True)
class MachineScene:
    """All that the page of a machine shows.

    Attributes:
        show: which steps the history lists: all, `failures`, or those of an event.
        upto: the last step that the history lists; None for the latest.
        neighbours: machines for the list beside it; `counts` are how many there are in each state.
        print: identifies all that was read, so that the first look of the live stream sends nothing that is shown already.
    """

    frame: PageFrame
    machine: ShownMachine
    show: str = ""
    upto: int | None = None
    neighbours: Sequence[Neighbour] = ()
    counts: Sequence[tuple[str, int]] = ()
    total: int = 0
    print: str = ""
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])  # Any: whatever a template of acting needs


@dataclass(frozen=True, slots=True)
class TimelineSegment:
    """A step on the timeline: place and width in percent, and how long the machine stayed there."""

    n: int
    x: float
    w: float
    kind: str
    failed: bool
    label: str
    segment: str
    at: int | None
    lasted: int | None


def machine_page(scene: MachineScene) -> str:
    """The whole page."""
    return render("machine.html", scene.frame, here="charts", **_values(scene))


def machine_panels(scene: MachineScene) -> str:
    """The parts of the page that change, each with the id under which it replaces the old one."""
    values = _values(scene)
    names = ("machine_head.html", "machine_time.html", "machine_history.html", "machine_side.html")
    return "\n".join(render(name, scene.frame, here="charts", **values) for name in names)


def _values(scene: MachineScene) -> dict[str, Any]:  # Any: what the templates use
    machine, url = scene.machine, scene.frame.url
    place = f"/chart/{machine.chart}/machine"
    chart = None if machine.known is None else machine.known.chart
    drawn = picture(chart)
    sendable = machine.describer.sendable(machine.leaves_now)
    may = machine.describer.possible_edges(machine.leaves_now) if machine.status == "running" else frozenset[str]()
    possible = may if machine.is_live else ()
    current = machine.moment.n if machine.moment else 0
    step_url = partial(_step_url, scene)
    listed, matching, earlier, later = _rows(scene, current)
    return {
        "machine": machine,
        "drawing": None if drawn is None else lit_machine(drawn, machine.active, machine.taken, possible),
        "no_drawing": _no_drawing(machine),
        "current": current,
        "previous": max(current - 1, machine.first),
        "following": min(current + 1, machine.last),
        "step_url": step_url,
        "live_url": url(place, key=machine.key),
        "permalink": url(place, key=machine.key, n=current or None),
        "data_url": url(f"{place}.json", key=machine.key, n=machine.n),
        "here_url": partial(url, place, key=machine.key, n=machine.n),
        "live": url("/live", chart=machine.chart, key=machine.key, seen=machine.mark, print=scene.print),
        "panel": url("/panel/machine", chart=machine.chart, key=machine.key, show=scene.show, life=machine.life),
        "segments": segments_of(machine.moments, current, scene.frame.as_of),
        "rows": listed,
        "matching": matching,
        "earlier": earlier,
        "later": later,
        "show": scene.show,
        "filters": _filters(machine),
        "has_who": any(one.who for one in listed),
        "has_payload": any(one.payload for one in listed),
        "public": () if chart is None else chart.public_events,
        "sendable": sendable,
        "reasons": {}
        if chart is None
        else {event: why_not(chart, machine.leaves_now, event) for event in chart.public_events},
        "send_urls": script_json(_send_urls(scene, may)),
        "story": story_of(machine, may),
        "neighbours": scene.neighbours,
        "counts": scene.counts,
        "total": scene.total,
        **scene.more,
    }


def _send_urls(scene: MachineScene, possible: Collection[str]) -> dict[str, str]:
    """Where a click on a transition leads an operator: to the form of its event."""
    machine, operator = scene.machine, scene.frame.operator
    chart = None if machine.known is None else machine.known.chart
    if chart is None or operator is None or not operator.may("send", machine.chart) or not machine.is_live:
        return {}
    found: dict[str, str] = {}
    for edge in chart.transitions:
        event = next((name for name in edge.events if name in chart.public_events), None)
        if event is not None and edge.key in possible:
            found[edge.key] = scene.frame.url("/act/send", chart=machine.chart, key=machine.key, event=event)
    return found


def _step_url(scene: MachineScene, n: int) -> str:
    query = {"key": scene.machine.key, "n": n or None, "show": scene.show}
    return scene.frame.url(f"/chart/{scene.machine.chart}/machine", **query)


def _no_drawing(machine: ShownMachine) -> str:
    if machine.known is None:
        return "the chart is not registered"
    return machine.known.problem or "no layout program is installed: pip install 'durable-fsm[diagrams]'"


def segments_of(moments: Sequence[ShownMoment], current: int, now: int) -> list[TimelineSegment]:
    """The part of the timeline around a step. A segment is as wide as the logarithm of its time, so that idle gaps fold."""
    place = next((at for at, one in enumerate(moments) if one.n == current), len(moments) - 1)
    begin = max(0, min(place - SEGMENTS // 2, len(moments) - SEGMENTS))
    window = moments[begin : begin + SEGMENTS]
    found: list[tuple[ShownMoment, int | None, float]] = []
    for at, one in enumerate(window, begin):
        until = moments[at + 1].at if at + 1 < len(moments) else now
        lasted = None if one.at is None or until is None else max(0, until - one.at)
        found.append((one, lasted, 2.0 + math.log2(1 + (lasted or 0) / 500)))
    scale = 100 / sum(weight for _, _, weight in found) if found else 0
    segments: list[TimelineSegment] = []
    x = 0.0
    for one, lasted, weight in found:
        w = weight * scale
        segments.append(
            TimelineSegment(
                one.n,
                round(x, 2),
                round(max(w - 0.25, 0.2), 2),
                one.kind,
                one.failed,
                one.label,
                one.segment,
                one.at,
                lasted,
            )
        )
        x += w
    return segments


def _rows(scene: MachineScene, current: int) -> tuple[list[ShownMoment], int, int | None, int | None]:
    """The steps of the history to list, the latest first; how many match; where earlier and later ones begin."""
    moments = scene.machine.moments
    matching = [one for one in moments if _matches(one, scene.show)]
    upto = scene.upto
    if upto is None:
        upto = scene.machine.last if scene.machine.is_live else max(current + ROWS // 2, min(ROWS, scene.machine.last))
    below = [one for one in matching if one.n <= upto]
    listed = below[-ROWS:]
    above = matching[len(below) : len(below) + ROWS]
    earlier = below[-ROWS - 1].n if len(below) > ROWS else None
    return list(reversed(listed)), len(matching), earlier, above[-1].n if above else None


def _matches(moment: ShownMoment, show: str) -> bool:
    return not show or moment.event == show or (show == FAILURES and moment.failed)


def _filters(machine: ShownMachine) -> list[tuple[str, str]]:
    """The choices of steps: all, failures, and the events that came most often."""
    often: dict[str, int] = {}
    for one in machine.moments:
        often[one.event] = often.get(one.event, 0) + 1
    names = {one.event: one.label for one in machine.moments}
    top = sorted(often, key=lambda name: (-often[name], name))[:4] if len(machine.moments) > SEGMENTS // 4 else []
    failures = [(FAILURES, "failures")] if any(one.failed for one in machine.moments) else []
    return [("", "all"), *failures, *((name, names[name]) for name in top)]


def story_of(machine: ShownMachine, possible: Collection[str] = ()) -> Markup:
    """The steps as the page's script walks through them, as JSON that cannot end its element."""
    states: dict[str, int] = {}
    keys: dict[str, int] = {}

    def place(names: Sequence[str], known: dict[str, int]) -> list[int]:
        return [known.setdefault(name, len(known)) for name in names]

    steps = [[one.n, one.at, one.label, place(one.active, states), place(one.taken, keys)] for one in machine.moments]
    story = {"states": list(states), "keys": list(keys), "steps": steps}
    story |= {"active": list(machine.active_now), "possible": sorted(possible), "mark": machine.mark}
    return script_json(story)


def script_json(value: object) -> Markup:
    """JSON for a script element: nothing in it can be read as markup."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
