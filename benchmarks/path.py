"""The path of an event through our code: calls, files, and moves between files.

    python benchmarks/path.py [--list]

The first and the second event of a new machine are posted to the real handler, on a context in memory. Every call from
the handler's entry to its return counts, in files of `durable_fsm` only. A move is a call into another file than the
call before it. `--list` prints every call, indented by its depth.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that imports work from any directory

import durable_fsm
from benchmarks.load import PRESS
from benchmarks.speed_app import Toggle
from tests.memory import Memory

OURS = str(Path(durable_fsm.__file__).parent) + "/"


@dataclass
class Walked:
    """The calls of one event, in order: file, function, and depth among our own."""

    calls: list[tuple[str, str, int]] = field(default_factory=list[tuple[str, str, int]])

    @property
    def files(self) -> list[str]:
        """The files, in the order in which the event first reached them."""
        return list(dict.fromkeys(file for file, _, _ in self.calls))

    @property
    def moves(self) -> int:
        return sum(before[0] != after[0] for before, after in pairwise(self.calls))


def walk(call: Callable[[], object]) -> Walked:
    """Follow a call."""
    walked = Walked()
    depth = 0

    def follow(frame: FrameType, kind: str, _: object) -> None:
        nonlocal depth
        code = frame.f_code
        if not code.co_filename.startswith(OURS):
            return
        if kind == "call":
            walked.calls.append((code.co_filename.removeprefix(OURS), code.co_name, depth))
            depth += 1
        elif kind == "return":
            depth -= 1

    before = sys.getprofile()
    sys.setprofile(follow)
    try:
        call()
    finally:
        sys.setprofile(before)
    return walked


def paths() -> dict[str, Walked]:
    """Return the paths of the first and of the second event of a machine, in a process that is warmed up."""
    body = json.dumps(PRESS).encode()
    for key in ("warm", "measured"):
        memory = Memory(Toggle, key=key)
        walked = {place: walk(memory.prepare("press", body)[1]) for place in ("first", "second")}
    return walked


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print every call")
    options = parser.parse_args()
    for place, walked in paths().items():
        print(f"{place} event: {len(walked.calls)} calls, {len(walked.files)} files, {walked.moves} moves between them")
        for file, function, depth in walked.calls if options.list else ():
            print(f"  {'  ' * depth}{file} {function}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
