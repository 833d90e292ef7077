"""The prompt of the model: the contract, the time, the tasks that run, and the conversation so far."""

from __future__ import annotations

import json

from machines.chat.data import SessionData

REMEMBERED = 20
"""Lines of the conversation that the model sees."""

CONTRACT = """\
You are an assistant that looks after tasks. Answer with one JSON object and nothing else:
{"action": "create" | "cancel" | "list" | "status" | "other", "message": "<what the user reads>",
 "task_name": "<short name>", "task_type": "reminder" | "flight_watch", "task_spec": {...}}
create needs task_name, task_type and task_spec; cancel and status need task_name; the others need none of them.
The task_spec of a reminder is {"timestamp": "<ISO 8601, with time zone>", "description": "<of what>"}.
The task_spec of a flight_watch is {"origin": "<city>", "destination": "<city>", "max_price": <whole number>}.
If something is missing, use the action other and ask for it in the message."""

ROLES = {"user": "user", "assistant": "assistant", "task": "assistant"}
"""Errors are for the user; the model does not see them."""


def prompt(data: SessionData) -> list[dict[str, str]]:
    """The messages of the request, the newest last."""
    assert data.turn is not None
    at = data.turn.at
    tasks = {name: task.model_dump(mode="json", exclude_defaults=True) for name, task in data.tasks.items()}
    system = f"{CONTRACT}\n\nTime: {at.isoformat() if at else 'unknown'}\nActive tasks: {json.dumps(tasks)}"
    said = [{"role": ROLES[line.who], "content": line.text} for line in data.history if line.who in ROLES]
    return [{"role": "system", "content": system}, *said[-REMEMBERED:]]
