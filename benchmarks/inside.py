"""Measure where an event spends its time in a service: replay the request of a real event many times.

    python benchmarks/inside.py

Restate sends one event to each application, and the bytes of that request are kept. They are then replayed to that
application alone, in a separate process without a network, so that only Python's work remains. The applications take
turns in many rounds. cProfile divides the time, and overstates small functions.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import cProfile
import importlib
import json
import os
import pstats
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that imports work from any directory

from restate.server_types import binary_to_header, header_to_binary
from restate.vm import VMWrapper

from benchmarks import floor
from benchmarks.load import PRESS
from benchmarks.serving import BARE, FLOOR, OURS, ROOT
from durable_fsm.local.server import RestateServer
from durable_fsm.serving import Draining, configure_logs
from durable_fsm.testing.application import Served

CORE, LONG = "hand-written, without the SDK's server", "ours, without the short way"

PLAYED = {
    FLOOR: ("benchmarks.floor:app", "HandWritten", {}),
    CORE: ("benchmarks.inside:core", "HandWritten", {}),
    BARE: ("benchmarks.speed_app:app", "Ours", {"BENCH_BARE": "1"}),
    OURS: ("benchmarks.speed_app:app", "Ours", {}),
    LONG: ("benchmarks.speed_app:app", "Ours", {"DURABLE_FSM_SHORT_WAY": "0"}),
}
"""The replayed applications, each with its object and its settings."""

EVENTS = 31
"""The number of events before the kept request: half a page of history has accumulated since the last full one."""

TIMES, WARM = 2_000, 300

PARTS = {
    "Restate's SDK, asyncio": (
        "restate/",
        "durable_fsm/restate/short_way",  # which does the same work
        "asyncio/",
        "contextlib",
        "random",
        "selectors",
        "_weakrefset",
        "PyVM",
        "epoll",
    ),
    "data and payload": ("pydantic", "durable_fsm/frontends/values"),
    "the snapshot, read and written": (
        "durable_fsm/core/codec",
        "durable_fsm/restate/machine/storage",
        "durable_fsm/restate/stored/snapshot",
        "msgspec",
        "json",
    ),
    "the history": ("durable_fsm/restate/history", "durable_fsm/restate/stored/history"),
    "the log": ("logging", "durable_fsm/restate/observability"),
    "the transition": ("durable_fsm/core/", "durable_fsm/frontends/", "benchmarks/speed_app"),
    "around them": ("durable_fsm/restate/", "durable_fsm/serving/"),
    "the handler by hand": ("benchmarks/floor",),
}
"""Parts, with prefixes of their files' paths, or fragments of the names of built-in functions.

A function that fits no part counts as a part of its caller.
"""


Message = MutableMapping[str, Any]  # Any: ASGI's own messages


class CoreContext:
    """As much of a context as the hand-written handler needs, on the SDK's core."""

    def __init__(self, vm: VMWrapper) -> None:
        self.vm = vm
        self.invocation = vm.sys_input()

    def key(self) -> str:
        return self.invocation.key

    async def get(self, name: str, **_: object) -> Any:
        return self.vm.take_notification(self.vm.sys_get_state(name))

    def set(self, name: str, value: bytes, **_: object) -> None:
        self.vm.sys_set_state(name, value)


async def core(scope: Message, receive: Any, send: Any) -> None:
    """Run the hand-written handler on the core of the SDK: what no other way of serving can undercut."""
    vm = VMWrapper(binary_to_header(scope["headers"]))
    vm.notify_input((await receive())["body"])
    vm.notify_input_closed()
    context = CoreContext(vm)
    vm.sys_write_output_success(await floor.press(context, context.invocation.input_buffer))
    vm.sys_end()
    status, headers = vm.get_response_head()
    await send({"type": "http.response.start", "status": status, "headers": header_to_binary(headers)})
    await send({"type": "http.response.body", "body": vm.take_output()})


# ── keeping a request ─────────────────────────────────────────────────────────────────────────────────────────────────


def app_of(target: str) -> Any:  # Any: an ASGI application
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


async def app(scope: Message, receive: Any, send: Any) -> None:
    """Run the application of `BENCH_PLAYED`; write its latest request to the file `BENCH_KEEP`."""
    bodies: list[bytes] = []

    async def kept() -> Message:
        message: Message = await receive()
        bodies.append(message.get("body", b""))
        return message

    await app_of(os.environ["BENCH_PLAYED"])(scope, kept, send)
    if scope["type"] == "http" and "/invoke/" in scope["path"]:
        headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
        record = {"path": scope["path"], "headers": headers, "body": base64.b64encode(b"".join(bodies)).decode()}
        with open(os.environ["BENCH_KEEP"], "w") as file:  # noqa: ASYNC230, PTH123 - this process serves one request at a time
            json.dump(record, file)


def keep(place: Path, server: RestateServer, name: str) -> Path:
    """Let Restate send an event, and return the file with its request."""
    target, called, _ = PLAYED[FLOOR if name == CORE else name]
    file = place / f"{name}.json"
    env = {**settings_of(name), "BENCH_PLAYED": target, "BENCH_KEEP": str(file)}
    log = place / f"{name}.log"
    served = Served.begin("benchmarks.inside:app", server, log=log, app_dir=ROOT, env=env, http1=True)
    try:
        for _ in range(EVENTS):
            server.call(f"{called}{env['BENCH_NAME']}", "one", "press", PRESS)
    finally:
        served.close()
    return file


def settings_of(name: str) -> dict[str, str]:
    """Return the environment for replaying an application."""
    _, _, settings = PLAYED[name]
    return {**settings, "BENCH_NAME": "".join(filter(str.isalnum, name.title()))}


# ── playing it ────────────────────────────────────────────────────────────────────────────────────────────────────────


def player(name: str, file: Path, command: str) -> Any:  # Any: JSON, printed by `play`
    """Replay a request in a separate process."""
    env = {**os.environ, **settings_of(name), "PYTHONHASHSEED": "0"}
    ran = subprocess.run(
        [sys.executable, __file__, "--play", name, "--file", str(file), "--how", command],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout.splitlines()[-1])


def play(name: str, file: Path, how: str) -> Any:  # Any: microseconds an event, or those of each part
    """Replay the request of a file to its application."""
    with Path(os.devnull).open("w") as nowhere:
        sys.stdout, told = nowhere, sys.stdout  # log lines are formatted and discarded
        configure_logs("lines")  # before the application, which may change it
        target, _, _ = PLAYED[name]
        hosted = app_of(target)
        try:
            return asyncio.run(_played(Draining(hosted), json.loads(file.read_text()), how))
        finally:
            sys.stdout = told


async def _played(hosted: Draining, record: dict[str, Any], how: str) -> Any:
    body = base64.b64decode(record["body"])
    scope: Message = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": record["path"],
        "headers": [(name.encode(), value.encode()) for name, value in record["headers"]],
    }

    async def once() -> None:
        come, never = [body], asyncio.Event()
        sent: list[Message] = []

        async def receive() -> Message:
            if come:
                return {"type": "http.request", "body": come.pop(), "more_body": False}
            await never.wait()
            raise AssertionError

        async def send(message: Message) -> None:
            sent.append(message)

        await hosted(dict(scope), receive, send)
        assert sent[0]["status"] == 200
        assert sum(len(message.get("body", b"")) for message in sent) > 100, "an event is answered by its journal"

    for _ in range(WARM):
        await once()
    if how == "time":
        began = time.process_time()
        for _ in range(TIMES):
            await once()
        return (time.process_time() - began) / TIMES * 1e6
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(TIMES):
        await once()
    profile.disable()
    return shared_out(profile)


def shared_out(profile: cProfile.Profile) -> dict[str, float]:
    """Compute the share of each part; built-in functions count as parts of their callers."""
    stats: Any = pstats.Stats(profile)
    shares: Counter[str] = Counter()
    for (file, _, name), (_, _, own, _, callers) in stats.stats.items():
        part = part_of(file, name)
        if part is not None:
            shares[part] += own
            continue
        for (caller, _, calling), (_, _, its, _) in callers.items():
            shares[part_of(caller, calling) or "the rest"] += its
    total = sum(shares.values())
    return {part: share / total for part, share in shares.items()}


def part_of(file: str, name: str) -> str | None:
    """The part to which a function belongs."""
    for mark in ("site-packages/", "/src/", f"{ROOT}/", f"python{sys.version_info[0]}.{sys.version_info[1]}/"):
        file = file.rpartition(mark)[2]
    for part, words in PARTS.items():
        if any(word in name for word in words) if file == "~" else file.startswith(words):
            return part
    return None


def inside(rounds: int = 9) -> dict[str, Any]:
    """Measure each application: microseconds per event for each round, and the shares of the parts."""
    with tempfile.TemporaryDirectory() as made, RestateServer() as server:
        files = {name: keep(Path(made), server, name) for name in PLAYED}
        times: dict[str, list[float]] = {name: [] for name in PLAYED}
        print(f"inside: {' | '.join(PLAYED)}", flush=True)
        for number in range(1, rounds + 1):
            for name, file in files.items():
                times[name].append(player(name, file, "time"))
            print(f"  {number} of {rounds}, µs: {' | '.join(f'{each[-1]:.0f}' for each in times.values())}", flush=True)
        return {name: {"us": times[name], "shares": player(name, file, "profile")} for name, file in files.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--play", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--how", help=argparse.SUPPRESS)
    options = parser.parse_args()
    print(json.dumps(play(options.play, options.file, options.how) if options.play else inside()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
