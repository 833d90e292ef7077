"""Measure what recording costs an event: two charts that differ in nothing else, in turns.

    python benchmarks/recording.py [--events 1000]

Each machine has 1 KB of data, of which every event changes a member.
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
from durable_fsm.local.server import RestateServer
from durable_fsm.testing.application import Served

PAYLOAD = {"text": "x" * 40, "number": 7}


class Press(BaseModel):
    text: str
    number: int


class Padded(BaseModel):
    count: int = 0
    last: str = ""
    padding: list[str] = [f"{number:060}" for number in range(15)]


def chart(name: str, *, record: bool) -> type[StateChart]:
    @durable(name=name, history=History(record=record))
    class Toggle(StateChart[Padded]):
        off = State(initial=True)
        on = State()
        press = event(off.to(on) | on.to(off), Press)

        def on_press(self, data: Padded, payload: Press) -> None:
            data.count += payload.number
            data.last = payload.text

    return Toggle


CHARTS = ("Plain", "Recorded")
app = durable_fsm.app(*(chart(name, record=name == "Recorded") for name in CHARTS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000)
    events = parser.parse_args().events
    times: dict[str, list[float]] = {name: [] for name in CHARTS}
    with tempfile.TemporaryDirectory() as folder, RestateServer() as server, httpx.Client(timeout=60) as client:
        log, here = Path(folder) / "service.log", Path(__file__).parents[1]
        with Served.begin("benchmarks.recording:app", server, log=log, app_dir=here, http1=True):
            for number in range(events):
                for name in CHARTS:
                    began = time.perf_counter()
                    client.post(f"{server.ingress_url}/{name}/one/press", json=PAYLOAD).raise_for_status()
                    if number >= events // 10:
                        times[name].append((time.perf_counter() - began) * 1_000)
    for name in CHARTS:
        print(f"{name:10} p50 {statistics.median(times[name]):.2f} ms, mean {statistics.fmean(times[name]):.2f} ms")
    medians = [statistics.median(times[name]) for name in CHARTS]
    print(f"recording: {(medians[1] / medians[0] - 1) * 100:+.1f} % of the median")


if __name__ == "__main__":
    main()
