"""The baseline of `speed.py`: a virtual object written by hand, without durable_fsm.

    durable-fsm serve benchmarks.floor:app

`BENCH_NAME` is added to its name, so that several of these processes can run at the same time.
"""

from __future__ import annotations

import json
import os

import restate
from pydantic import BaseModel, Field, ValidationError
from restate import ObjectContext, TerminalError
from restate.serde import BytesSerde

BYTES = BytesSerde()
NAME = os.environ.get("BENCH_NAME", "")


class Press(BaseModel):
    by: int = Field(ge=1, le=10)
    note: str = ""


class Count(BaseModel):
    presses: int = 0
    last_note: str = ""


hand_written = restate.VirtualObject(f"HandWritten{NAME}")


@hand_written.handler("press", accept="*/*", input_serde=BYTES, output_serde=BYTES)
async def press(ctx: ObjectContext, body: bytes) -> bytes:
    """Validate, load, change, save, answer; state and answer are as large as ours."""
    try:
        payload = Press.model_validate_json(body)
    except ValidationError as error:
        raise TerminalError(str(error), 422) from error
    stored = await ctx.get("snapshot", serde=BYTES)
    if stored is None:
        blob = {
            "chart": "Ours",
            "configuration": ["off"],
            "data": {"presses": 0, "last_note": ""},
            "digest": "0123456789ab",
            "format": 1,
            "life": "0123456789ab",
            "seq": 1,
            "status": "running",
            "version": "1",
        }
    else:
        blob = json.loads(stored)
    data = Count.model_validate(blob["data"])
    data.presses += payload.by
    data.last_note = payload.note
    blob["data"] = data.model_dump()
    blob["configuration"] = ["on"] if blob["configuration"] == ["off"] else ["off"]
    blob["seq"] += 1
    ctx.set("snapshot", json.dumps(blob, sort_keys=True, separators=(",", ":")).encode(), serde=BYTES)
    receipt = {
        "chart": "Ours",
        "key": ctx.key(),
        "seq": blob["seq"],
        "event": "press",
        "outcome": "taken",
        "configuration": blob["configuration"],
        "status": "running",
        "reply": data.presses,
    }
    return json.dumps(receipt, sort_keys=True, separators=(",", ":")).encode()


app = restate.app([hand_written])
