"""The workshop outside, which does the pieces of a task.

`python -m machines.parallel_work.world` serves it. A piece takes a fiftieth of a second for each of its letters, and is not
done if its customer hangs up meanwhile. Nothing can be made of gold.
"""

from __future__ import annotations

from typing import Any

from machines.world import Answer, World, serve

SECONDS_A_LETTER = 0.02


def do_piece(world: World, key: str, body: dict[str, Any]) -> Answer:
    if "gold" in body["piece"]:
        return 410, {"reason": "there is no gold left"}
    return 201, {}


def seconds(body: dict[str, Any]) -> float:
    return len(body["piece"]) * SECONDS_A_LETTER


if __name__ == "__main__":
    serve({"/pieces": do_piece}, __doc__, {"/pieces": seconds})
