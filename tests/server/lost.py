"""Messages between invocations that Restate's server has lost.

Restate 1.7.12, killed by SIGKILL on a busy machine, sometimes forgets a message that it had accepted: seen in five of about
1,400 kills, each while a fan-out ran. A story that is told to such a server cannot end as it should. The journals show it:
what was sent is not there, or whoever waits has not heard of an end.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from durable_fsm.testing import RestateServer

Row = Mapping[str, Any]
Entry = dict[str, Any]  # as Restate writes an entry of a journal
OVER = "completed"


def lost_messages(server: RestateServer, condition: str) -> list[str]:
    """What invocations that meet a condition of SQL have sent or awaited in vain, as lines for people."""
    return lost_among(
        server.query("SELECT id, target, status FROM sys_invocation"),
        server.query(
            "SELECT id, entry_lite_json FROM sys_journal"
            f" WHERE id IN (SELECT id FROM sys_invocation WHERE {condition}) ORDER BY id, index"
        ),
    )


def lost_among(invocations: Iterable[Row], entries: Iterable[Row]) -> list[str]:
    """See `lost_messages`: from all invocations, and from the journals of those that count."""
    known = {row["id"]: row for row in invocations}
    journals: dict[str, list[Entry]] = defaultdict(list)
    for row in entries:
        journals[row["id"]].append(json.loads(row["entry_lite_json"]))
    lost: list[str] = []
    for id, journal in journals.items():
        for entry in journal:
            name, command = next(iter(entry.get("Command", {}).items()), ("", {}))
            fault = _fault(id, name, command, known, journals)
            if fault:
                lost.append(f"{known[id]['target']}: {name} {fault}")
    return lost


def _fault(
    sender: str, name: str, command: Entry, known: Mapping[str, Row], journals: Mapping[str, list[Entry]]
) -> str | None:
    """What is wrong with the receiver of a command, if the command has one."""
    if name in ("Call", "OneWayCall"):
        receiver = command["invocation_id"]
        if receiver not in known:
            return f"{receiver}, which does not exist"
        answer = command.get("result_completion_id")
    elif name == "AttachInvocation":
        receiver, answer = command["target"].get("InvocationId"), command["completion_id"]
    elif name == "SendSignal":
        receiver = command["target_invocation_id"]
        signal = {f"Signal{kind}": value for kind, value in command["signal_id"].items()}
        awaited = receiver in journals and known[receiver]["status"] != OVER
        return f"{receiver}, which has not heard it" if awaited and signal not in _heard(journals[receiver]) else None
    else:
        return None
    is_over = receiver in known and known[receiver]["status"] == OVER
    awaited = answer is not None and known[sender]["status"] != OVER
    if awaited and is_over and {"CompletionId": answer} not in _heard(journals[sender]):
        return f"{receiver}, which has ended, and its answer has not come"
    return None


def _heard(journal: list[Entry]) -> list[Entry]:
    """The ids of what came to an invocation."""
    return [entry["Notification"]["id"] for entry in journal if "Notification" in entry]
