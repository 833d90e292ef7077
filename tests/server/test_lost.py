"""A message counts as lost only if the journals show that it was sent, and that nobody has heard it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.server.lost import lost_among

CALL = {"Command": {"Call": {"invocation_id": "b", "invocation_id_completion_id": 1, "result_completion_id": 2}}}
SEND = {"Command": {"OneWayCall": {"invocation_id": "b", "invocation_id_completion_id": 1}}}
ATTACH = {"Command": {"AttachInvocation": {"target": {"InvocationId": "b"}, "completion_id": 1}}}
SIGNAL = {"Command": {"SendSignal": {"target_invocation_id": "b", "signal_id": {"Index": 17}, "result": "Success"}}}


def came(id: dict[str, int]) -> dict[str, Any]:
    return {"Notification": {"id": id, "result": "Success"}}


def lost(journals: dict[str, list[dict[str, Any]]], **statuses: str) -> list[str]:
    rows = [{"id": id, "target": f"Service/{id}", "status": status} for id, status in statuses.items()]
    return lost_among(
        rows,
        [{"id": id, "entry_lite_json": json.dumps(entry)} for id, journal in journals.items() for entry in journal],
    )


@pytest.mark.parametrize(
    ("journals", "statuses", "fault"),
    [
        pytest.param({"a": [SEND]}, {"a": "completed"}, "OneWayCall b, which does not exist", id="sent"),
        pytest.param({"a": [CALL]}, {"a": "suspended"}, "Call b, which does not exist", id="called"),
        pytest.param(
            {"a": [CALL, came({"CompletionId": 1})]},
            {"a": "running", "b": "completed"},
            "Call b, which has ended, and its answer has not come",
            id="answer",
        ),
        pytest.param(
            {"a": [ATTACH]},
            {"a": "suspended", "b": "completed"},
            "AttachInvocation b, which has ended, and its answer has not come",
            id="attached",
        ),
        pytest.param(
            {"a": [SIGNAL], "b": []},
            {"a": "completed", "b": "suspended"},
            "",
            id="signal-to-an-invocation-of-others",
        ),
        pytest.param(
            {"a": [SIGNAL], "b": [came({"SignalIndex": 18})]},
            {"a": "completed", "b": "suspended"},
            "SendSignal b, which has not heard it",
            id="signal",
        ),
        pytest.param({"a": [SEND]}, {"a": "completed", "b": "scheduled"}, "", id="sent-for-later"),
        pytest.param({"a": [CALL]}, {"a": "suspended", "b": "running"}, "", id="still-at-work"),
        pytest.param({"a": [CALL]}, {"a": "completed", "b": "completed"}, "", id="not-awaited"),
        pytest.param(
            {"a": [CALL, came({"CompletionId": 2})]}, {"a": "running", "b": "completed"}, "", id="answer-has-come"
        ),
        pytest.param(
            {"a": [SIGNAL], "b": [came({"SignalIndex": 17})]},
            {"a": "running", "b": "running"},
            "",
            id="signal-has-come",
        ),
    ],
)
def test_a_message_is_lost_if_it_was_sent_and_not_heard(
    journals: dict[str, list[dict[str, Any]]], statuses: dict[str, str], fault: str
) -> None:
    assert lost(journals, **statuses) == ([f"Service/a: {fault}"] if fault else [])
