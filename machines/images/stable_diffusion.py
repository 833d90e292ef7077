"""Stable diffusion: a machine for each picture that an image server is to draw, however long that takes.

IMAGE_SERVER_URL is the address of `image_server`, or of whatever else takes its jobs.
"""

from __future__ import annotations

import base64
import os
from datetime import timedelta
from typing import Any

import httpx
from statemachine import State, StateChart

from durable_fsm import ActivityContext, Failure, TerminalError, activity, durable, free
from machines.images import files
from machines.images.steps import Job

PATIENCE = timedelta(hours=6)
"""How long the image server may take for one picture."""


async def draw(ctx: ActivityContext, data: Job) -> str:
    """Order the picture, wait until the image server calls back with it, and write it."""
    picture = ctx.callback("picture", timeout=PATIENCE)
    await ctx.run("order", order, data, picture.id)
    drawn: Any = await picture
    await ctx.run("write", write, drawn, data.target)
    prompt = data.parameters["prompt"]
    return f"[{'Generated' if data.source is None else 'Transformed'} stable diffusion image: {prompt}]"


async def order(job: Job, callback: str) -> None:
    """Hand the job to the image server, which accepts each callback once."""
    parameters = dict(job.parameters)
    if job.source is not None:
        picture = files.place_of(job.source).read_bytes()
        parameters["init_images"] = [base64.b64encode(picture).decode()]
    body = {"endpoint": "txt2img" if job.source is None else "img2img", "parameters": parameters, "callback": callback}
    url = os.environ.get("IMAGE_SERVER_URL", "http://127.0.0.1:5050")
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as server:
        answer = await server.post("/jobs", json=body)
    if 400 <= answer.status_code < 500:
        raise TerminalError(answer.text, code=answer.status_code)
    answer.raise_for_status()


def write(drawn: Any, target: str) -> None:
    """Write the picture that the image server has sent."""
    try:
        png = base64.b64decode(drawn["image"], validate=True)
    except (KeyError, TypeError, ValueError) as error:
        raise TerminalError("The image server sent no picture.", code=502) from error
    files.write_bytes(png, target)


@durable(name="stable-diffusion", version="1", after_end=free(timedelta(days=1)))
class StableDiffusion(StateChart[Job]):
    """Has one picture drawn by an image server, which calls back."""

    awaiting_picture = State(initial=True, invoke=activity(draw))
    written = State(final=True)
    failed = State(final=True)

    done_invoke_awaiting_picture = awaiting_picture.to(written)
    error_invoke_awaiting_picture = awaiting_picture.to(failed)

    def on_enter_written(self, result: str) -> str:
        return result

    def on_enter_failed(self, error: Failure) -> Failure:
        return error
