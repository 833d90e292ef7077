"""The steps that a caller lists, and the data of a workflow and of the machines that do its steps."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field


class Parameters(BaseModel):
    """Of one step. Others than these are passed on: an image server knows more of them."""

    model_config = ConfigDict(extra="allow")


class Page(Parameters):
    url: AnyHttpUrl


class Prompt(Parameters):
    prompt: str = Field(min_length=1, max_length=1_000)


class Angle(Parameters):
    angle: float = Field(gt=-3_600, lt=3_600)


class Radius(Parameters):
    blur: float = Field(ge=0, le=100)


class OneStep(BaseModel):
    """A step. The first one may name a picture to begin with, in the folder of pictures: `imgInputPath`."""

    imgInputPath: str | None = None  # noqa: N815 - as callers write it


class Screenshot(OneStep):
    action: Literal["puppeteer"]
    parameters: Page


class Generate(OneStep):
    action: Literal["stable-diffusion-generator"]
    parameters: Prompt


class Redraw(OneStep):
    action: Literal["stable-diffusion-transformer"]
    parameters: Prompt


class Rotate(OneStep):
    action: Literal["rotate"]
    parameters: Angle


class Blur(OneStep):
    action: Literal["blur"]
    parameters: Radius


Step = Annotated[Screenshot | Generate | Redraw | Rotate | Blur, Field(discriminator="action")]

SOURCES = ("puppeteer", "stable-diffusion-generator")
"""The actions that need no picture to begin with."""


class ImageData(BaseModel):
    """A workflow: its steps, the picture's name, and what became of them."""

    steps: list[Step] = Field(min_length=1, max_length=12)
    image: UUID = Field(default_factory=uuid4)
    status: Literal["Processing", "Finished", "Failed"] = "Processing"
    output: list[str] = []


class Job(BaseModel):
    """One step for the machine that does it: where its picture comes from, and where it goes."""

    action: str
    parameters: dict[str, Any]
    source: str | None
    target: str
