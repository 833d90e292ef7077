"""The compiler of image workflows: it turns a list of steps into a statechart."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from pydantic import TypeAdapter

from durable_fsm import Failure, TransitionsConfig, compiled, machine
from machines.images.screenshots import Screenshots
from machines.images.stable_diffusion import StableDiffusion
from machines.images.steps import SOURCES, ImageData, Step
from machines.images.transformer import Transformer

SERVICES: dict[str, type] = {
    "puppeteer": Screenshots,
    "stable-diffusion-generator": StableDiffusion,
    "stable-diffusion-transformer": StableDiffusion,
    "rotate": Transformer,
    "blur": Transformer,
}
"""The machines that do the steps, by action."""

NAMES = {
    "puppeteer": "taking_screenshot",
    "stable-diffusion-generator": "drawing",
    "stable-diffusion-transformer": "redrawing",
    "rotate": "rotating",
    "blur": "blurring",
}
"""The names of their states."""

EXAMPLE: list[Step] = TypeAdapter(list[Step]).validate_python(
    [
        {"action": "puppeteer", "parameters": {"url": "http://localhost:5050"}},
        {"action": "rotate", "parameters": {"angle": 90}},
        {"action": "blur", "parameters": {"blur": 5}},
    ]
)


class Work(ImageData):
    """The data, and what the chart does with them."""

    def note(self, result: str) -> None:
        self.output.append(result)

    def finish(self) -> dict[str, Any]:
        self.status = "Finished"
        return progress(self)

    def fail(self, error: Failure) -> Failure:
        self.status = "Failed"
        self.output.append(f"[Failed: {error.message}]")
        return error


def progress(data: ImageData | None) -> dict[str, Any]:
    """How far a workflow is."""
    if data is None:
        return {"status": "Not started", "imgName": None, "output": []}
    return {"status": data.status, "imgName": str(data.image), "output": data.output}


def job_of(steps: list[Step], place: int) -> Callable[[Work], dict[str, Any]]:
    """The input of the machine that does a step: it reads the picture of the step before, and writes the next one."""
    step = steps[place - 1]

    def job(data: Work) -> dict[str, Any]:
        source = step.imgInputPath if place == 1 else picture_of(data, place - 1)
        return {
            "action": step.action,
            "parameters": step.parameters.model_dump(mode="json"),
            "source": source,
            "target": picture_of(data, place),
        }

    return job


def picture_of(data: ImageData, place: int) -> str:
    """The file of the picture that a step makes, counted from 1."""
    return f"{data.image}-{place}.png"


@compiled("steps", example=EXAMPLE, machines=[Screenshots, StableDiffusion, Transformer])
def image_workflow(steps: list[Step]) -> TransitionsConfig:
    """A state for each step, in order."""
    first, *others = steps
    if first.action not in SOURCES and first.imgInputPath is None:
        raise ValueError(f"step 1 ('{first.action}') needs a picture: begin with a source, or give it an imgInputPath")
    for place, step in enumerate(others, 2):
        if step.action in SOURCES:
            raise ValueError(f"step {place} ('{step.action}') would discard the picture of the steps before it")

    names = [f"{NAMES[step.action]}_{place}" for place, step in enumerate(steps, 1)]
    states = [f"processing.{name}" for name in names]
    return TransitionsConfig(
        "image-processing-workflow",
        states=[
            {"name": "processing", "initial": names[0], "children": names},
            {"name": "finished", "final": True, "on_enter": "finish"},
            {"name": "failed", "final": True, "on_enter": "fail"},
        ],
        transitions=[
            *(
                {"trigger": f"done_invoke_{name}", "source": here, "dest": there, "before": "note"}
                for name, (here, there) in zip(names, pairwise([*states, "finished"]), strict=True)
            ),
            ["error_execution", "processing", "failed"],
        ],
        initial="processing",
        separator=".",
        machines={
            f"processing.{name}": machine(SERVICES[step.action], id=name, input=job_of(steps, place))
            for place, (name, step) in enumerate(zip(names, steps, strict=True), 1)
        },
        model=Work,
        version="1",
        workflow=True,
        queries={"getStatus": progress},
        doc="Makes a picture, step by step.",
    )
