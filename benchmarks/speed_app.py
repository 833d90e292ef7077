"""What `speed.py` compares, in one process: our machine and a hand-written object that does the same work.

`BENCH_NAME` is added to their names, so that several of these processes can be served side by side. `BENCH_BARE` takes from
our machine what the hand-written object does not do: its record, and a line in the log for each event.
"""

from __future__ import annotations

import json
import logging
import os

import restate
from pydantic import BaseModel, Field, ValidationError
from restate import ObjectContext, TerminalError
from restate.serde import BytesSerde
from statemachine import State, StateChart

from durable_fsm import History, durable, event
from durable_fsm.restate import services

BYTES = BytesSerde()
NAME = os.environ.get("BENCH_NAME", "")
BARE = bool(os.environ.get("BENCH_BARE"))

if BARE:
    logging.getLogger("durable_fsm").setLevel(logging.WARNING)


class Press(BaseModel):
    by: int = Field(ge=1, le=10)
    note: str = ""


class Count(BaseModel):
    presses: int = 0
    last_note: str = ""


@durable(version="1", name=f"Ours{NAME}", history=None if BARE else History())
class Toggle(StateChart[Count]):
    """A lamp with a counter."""

    off = State(initial=True)
    on = State()

    press = event(off.to(on) | on.to(off), Press)

    def on_press(self, data: Count, payload: Press) -> int:
        data.presses += payload.by
        data.last_note = payload.note
        return data.presses


hand_written = restate.VirtualObject(f"HandWritten{NAME}")


@hand_written.handler("press", accept="*/*", input_serde=BYTES, output_serde=BYTES)
async def press(ctx: ObjectContext, body: bytes) -> bytes:
    """What somebody would write without us: validate, load, change, save, answer; the same sizes as ours."""
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
        "machine": "Ours",
        "key": ctx.key(),
        "seq": blob["seq"],
        "event": "press",
        "outcome": "taken",
        "configuration": blob["configuration"],
        "status": "running",
        "reply": data.presses,
    }
    return json.dumps(receipt, sort_keys=True, separators=(",", ":")).encode()


app = restate.app([*services(Toggle), hand_written])
