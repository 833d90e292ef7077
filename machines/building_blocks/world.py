"""The outside services of the building blocks: subscriptions and a bank account.

`python -m machines.building_blocks.world` serves them.
"""

from __future__ import annotations

from typing import Any

from machines.world import Answer, World, serve


def create(world: World, key: str, body: dict[str, Any]) -> Answer:
    return 201, {"number": f"subscription-{world.count('/subscriptions') + 1}"}


def charge(world: World, key: str, body: dict[str, Any]) -> Answer:
    return 201, {"receipt": f"receipt-{world.count('/charges') + 1}"}


if __name__ == "__main__":
    serve({"/subscriptions": create, "/charges": charge}, __doc__)
