"""The state whose end answers a workflow."""

from __future__ import annotations

from typing import Any

import pytest

from durable_fsm import TransitionsConfig, chart_from
from durable_fsm.errors import DefinitionError

STATES: list[Any] = [
    "idle",
    {"name": "upload", "initial": "sending", "children": ["sending", {"name": "sent", "final": True}]},
    {"name": "mail", "initial": "writing", "children": ["writing"]},
    {
        "name": "both",
        "parallel": [
            {"name": "left", "initial": "a", "children": ["a", {"name": "b", "final": True}]},
            {"name": "right", "initial": "c", "children": ["c"]},
        ],
    },
]


WAYS = [
    ["go", "idle", "upload"],
    ["finish", "upload_sending", "upload_sent"],
    ["write", "upload", "mail"],
    ["both", "mail", "both"],
    ["next", "both_left_a", "both_left_b"],
]


def config(workflow: str) -> TransitionsConfig:
    return TransitionsConfig("Order", STATES, WAYS, "idle", workflow=workflow)


def test_a_state_with_a_final_one_inside_may_answer() -> None:
    assert chart_from(config("upload")).hosting.workflow == "upload"


@pytest.mark.parametrize(
    ("workflow", "message"),
    [
        ("uplaod", "workflow='uplaod' names no state of the chart. Did you mean 'upload'?"),
        ("x", "workflow='x' names no state of the chart. Name a state, or say workflow=True."),
        ("", "workflow='' names no state of the chart. Name a state, or say workflow=True."),
        ("idle", "workflow='idle' waits until that state is done, and it has no final state directly inside."),
        ("mail", "workflow='mail' waits until that state is done, and it has no final state directly inside."),
        ("both", "workflow='both' waits until that state is done, and it has no final state directly inside."),
    ],
    ids=["misspelt", "unknown", "empty", "atomic", "endless", "with an endless region"],
)
def test_a_state_that_is_never_done_is_refused(workflow: str, message: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        chart_from(config(workflow))

    assert message in str(refused.value)
