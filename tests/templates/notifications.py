"""The notification service of the tests: it sends each message once, and refuses as many as a test wants.

python -m tests.templates.notifications --port 9090
"""

from __future__ import annotations

from typing import Any

from machines.world import Answer, World, serve


def send(world: World, key: str, body: dict[str, Any]) -> Answer:
    return 201, {"sent": body["name"]}


if __name__ == "__main__":
    serve({"/notifications": send, "/reminders": send}, __doc__)
