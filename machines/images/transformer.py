"""The transformer: a machine for each picture that is to be rotated or blurred."""

from __future__ import annotations

from datetime import timedelta

from PIL import ImageFilter
from statemachine import State, StateChart

from durable_fsm import Failure, activity, durable, free
from machines.images import files
from machines.images.steps import Angle, Job, Radius


def rotate(job: Job) -> str:
    """Turn the picture counterclockwise; it grows so that nothing is cut off."""
    angle = Angle.model_validate(job.parameters).angle
    assert job.source is not None
    files.write(files.read(job.source).rotate(angle, expand=True), job.target)
    return f"[Rotated image with angle: {angle:g}]"


def blur(job: Job) -> str:
    """Blur the picture."""
    radius = Radius.model_validate(job.parameters).blur
    assert job.source is not None
    files.write(files.read(job.source).filter(ImageFilter.GaussianBlur(radius)), job.target)
    return f"[Blurred image with strength: {radius:g}]"


@durable(name="transformer", version="1", after_end=free(timedelta(days=1)))
class Transformer(StateChart[Job]):
    """Rotates or blurs one picture."""

    choosing = State(initial=True)
    rotating = State(invoke=activity(rotate))
    blurring = State(invoke=activity(blur))
    written = State(final=True)
    failed = State(final=True)

    choosing.to(rotating, cond="is_rotation")
    choosing.to(blurring)
    done_invoke_rotating = rotating.to(written)
    done_invoke_blurring = blurring.to(written)
    error_execution = failed.from_(rotating, blurring)

    def is_rotation(self, data: Job) -> bool:
        return data.action == "rotate"

    def on_enter_written(self, result: str) -> str:
        return result

    def on_enter_failed(self, error: Failure) -> Failure:
        return error
