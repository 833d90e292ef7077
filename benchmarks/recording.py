"""Measure what recording costs an event: charts that differ in nothing else, in turns.

    python benchmarks/recording.py [--events 1000]

Each machine has 1 KB of data, of which every event changes three members; two of the charts redact one of them. The first
lines are the processor time of the recording itself, the others what a client waits for an answer.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that imports work from any directory

import httpx
from pydantic import BaseModel
from statemachine import State, StateChart

import durable_fsm
from durable_fsm import History, durable, event
from durable_fsm.core.effects import Microstep
from durable_fsm.core.events import Event
from durable_fsm.core.redact import Redaction
from durable_fsm.core.turn import Taken
from durable_fsm.core.values import Json
from durable_fsm.local.server import RestateServer
from durable_fsm.restate.observability.redaction import SeenValues
from durable_fsm.restate.stored.history import HistoryTail
from durable_fsm.restate.stored.recording import Recorder
from durable_fsm.testing.application import Served

PADDING = [f"{number:060}" for number in range(15)]
REDACTED = ("card",)
ROUNDS = 5


class Press(BaseModel):
    text: str
    number: int
    card: str


class Padded(BaseModel):
    count: int = 0
    last: str = ""
    card: str = ""
    padding: list[str] = PADDING


def chart(name: str, *, record: bool, redact: tuple[str, ...]) -> type[StateChart]:
    @durable(name=name, history=History(record=record), redact=redact)
    class Toggle(StateChart[Padded]):
        off = State(initial=True)
        on = State()
        press = event(off.to(on) | on.to(off), Press)

        def on_press(self, data: Padded, payload: Press) -> None:
            data.count += payload.number
            data.last, data.card = payload.text, payload.card

    return Toggle


PAIRS = {"nothing": ("Plain", "Recorded"), "a member": ("Redacting", "RedactingRecorded")}
"""By what the charts redact: one that does not record, and one that does."""

CHARTS = [name for pair in PAIRS.values() for name in pair]
app = durable_fsm.app(
    *(
        chart(name, record=name.endswith("Recorded"), redact=REDACTED if name.startswith("Redacting") else ())
        for name in CHARTS
    )
)


def payload(number: int) -> dict[str, Json]:
    return {"text": f"{number:040}", "number": 7, "card": f"4111-{number:08}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000)
    events = parser.parse_args().events
    for redacts in PAIRS:
        usual = min(alone(events, redacts, record=False) for _ in range(ROUNDS))
        recorded = min(alone(events, redacts, record=True) for _ in range(ROUNDS))
        print(f"an entry, redacting {redacts}: {usual:.0f} µs; recorded {recorded:.0f} µs: {recorded - usual:+.0f} µs")
    times = asked(events)
    for redacts, (usual, recorded) in PAIRS.items():
        for name in (usual, recorded):
            each = times[name]
            print(f"{name:18} p50 {statistics.median(each):.3f} ms, mean {statistics.fmean(each):.3f} ms")
        share = statistics.median(times[recorded]) / statistics.median(times[usual]) - 1
        print(f"recording, redacting {redacts}: {share * 100:+.1f} % of the median")


def alone(events: int, redacts: str, *, record: bool) -> float:
    """Processor time to add an entry to a history, in microseconds."""
    redaction = Redaction.of(() if redacts == "nothing" else REDACTED)
    log = HistoryTail()
    data: dict[str, Json] = {"count": 0, "last": "", "card": "", "padding": [*PADDING]}
    steps = (Microstep("press", exited=("off",), entered=("on",), transitions=("off--press--1",)),)
    began = time.process_time()
    for number in range(events):
        sent = payload(number)
        after = {**data, "count": 7 * number, "last": sent["text"], "card": sent["card"]}
        taken = [Taken(number, "press", "taken", steps, took=Event("press", sent), data=after)]
        if record:
            seen = SeenValues(redaction, [data, sent]) if redaction.paths else None
            log, _ = Recorder(log, data, seed="inv_1dvL0cJX6Bgy3mZN0BVHdYlI5", seen=seen).with_entries(taken, number)
        else:
            log, _ = log.with_entries(taken, number)
        data = after
    return (time.process_time() - began) / events * 1e6


def asked(events: int) -> dict[str, list[float]]:
    """How long each event took for its client, in milliseconds, by chart; a tenth of them are to get warm."""
    times: dict[str, list[float]] = {name: [] for name in CHARTS}
    with tempfile.TemporaryDirectory() as folder, RestateServer() as server, httpx.Client(timeout=60) as client:
        log, here = Path(folder) / "service.log", Path(__file__).parents[1]
        with Served.begin("benchmarks.recording:app", server, log=log, app_dir=here, http1=True):
            for number in range(events):
                for name in CHARTS:
                    began = time.perf_counter()
                    url = f"{server.ingress_url}/{name}/one/press"
                    client.post(url, json=payload(number)).raise_for_status()
                    if number >= events // 10:
                        times[name].append((time.perf_counter() - began) * 1_000)
    return times


if __name__ == "__main__":
    main()
