"""Image workflows, rehearsed: each list of steps is a chart of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from durable_fsm import Failure, TerminalError
from durable_fsm.errors import InvalidPayload
from durable_fsm.testing import Rehearsal
from machines.images import files
from machines.images.image_server import by_diffusers
from machines.images.machine import image_workflow
from machines.images.procedural import draw
from machines.images.stable_diffusion import write
from machines.images.steps import Job
from machines.images.transformer import Transformer, blur, rotate

IMAGE = "0a6c1f0e-3f6b-4a55-9d50-7d6a3a1c1f00"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of pictures."""
    monkeypatch.setenv("IMAGES_DIR", str(tmp_path))
    return tmp_path


def step(action: str, **parameters: object) -> dict[str, Any]:
    return {"action": action, "parameters": parameters}


def begun(*steps: dict[str, Any]) -> Rehearsal:
    workflow = Rehearsal(image_workflow, key="w")
    workflow.create({"steps": [*steps], "image": IMAGE})
    return workflow


POSTCARD = step("puppeteer", url="http://localhost:5050")


def test_each_step_is_a_state_and_each_reads_the_picture_of_the_one_before() -> None:
    workflow = begun(POSTCARD, step("rotate", angle=90), step("blur", blur=5))
    states: list[str] = []
    files: list[tuple[str | None, str]] = []

    for name, activity in (
        ("taking_screenshot_1", "photographing"),
        ("rotating_2", "rotating"),
        ("blurring_3", "blurring"),
    ):
        states.append(workflow.configuration[-1])
        job = workflow.machines[name].data
        files.append((job.source, job.target))
        workflow.machines[name].finish(activity, f"[{activity}]")

    assert states == ["processing.taking_screenshot_1", "processing.rotating_2", "processing.blurring_3"]
    assert files == [
        (None, f"{IMAGE}-1.png"), (f"{IMAGE}-1.png", f"{IMAGE}-2.png"), (f"{IMAGE}-2.png", f"{IMAGE}-3.png"),
    ]  # fmt: skip
    assert workflow.output == {
        "status": "Finished", "imgName": IMAGE, "output": ["[photographing]", "[rotating]", "[blurring]"],
    }  # fmt: skip


def test_the_status_is_told_before_during_and_after() -> None:
    workflow = Rehearsal(image_workflow)
    before = workflow.ask("getStatus")
    workflow.create({"steps": [POSTCARD, step("blur", blur=5)], "image": IMAGE})

    workflow.machines["taking_screenshot_1"].finish("photographing", "[done]")

    assert before == {"status": "Not started", "imgName": None, "output": []}
    assert workflow.ask("getStatus") == {"status": "Processing", "imgName": IMAGE, "output": ["[done]"]}


def test_a_step_that_fails_for_good_ends_the_workflow() -> None:
    workflow = begun(step("stable-diffusion-generator", prompt="a sea"), step("blur", blur=5))

    workflow.machines["drawing_1"].fail("awaiting_picture", "out of memory", code=500)

    assert (workflow.configuration, workflow.ask("getStatus")["status"]) == (("failed",), "Failed")
    assert workflow.failure is not None
    assert (workflow.failure.message, workflow.failure.code) == ("out of memory", 500)
    assert isinstance(workflow.failure, Failure)


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([], "at least 1 item"),
        ([step("sepia", strength=1)], "input tag 'sepia'"),
        ([step("rotate", angle=90)], "step 1 ('rotate') needs a picture"),
        ([POSTCARD, POSTCARD], "step 2 ('puppeteer') would discard the picture"),
        ([{"action": "puppeteer"}], "field required"),
        ([step("puppeteer", url="ftp://localhost/x")], "URL scheme should be 'http' or 'https'"),
    ],
    ids=["empty", "unknown", "transformer first", "source later", "no parameters", "not a web page"],
)
def test_an_invalid_list_is_refused(steps: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(InvalidPayload) as refused:
        begun(*steps)

    assert reason in str(refused.value)


def test_a_picture_to_begin_with_may_be_given() -> None:
    workflow = begun({**step("rotate", angle=90), "imgInputPath": "mine.png"})

    assert workflow.machines["rotating_1"].data.source == "mine.png"


def test_the_transformer_rotates_and_blurs(folder: Path) -> None:
    picture = draw("hills", (60, 40), None)
    files.write(picture, "one.png")

    rotation = Rehearsal(Transformer, answers={"rotating": rotate, "blurring": blur})
    rotation.create({"action": "rotate", "parameters": {"angle": 90}, "source": "one.png", "target": "two.png"})
    blur(Job(action="blur", parameters={"blur": 3}, source="two.png", target="three.png"))

    assert (rotation.configuration, rotation.output) == (("written",), "[Rotated image with angle: 90]")
    assert files.read("two.png").tobytes() == picture.transpose(Image.Transpose.ROTATE_90).tobytes()
    assert files.read("three.png").tobytes() != files.read("two.png").tobytes()
    assert sorted(path.name for path in folder.iterdir()) == ["one.png", "three.png", "two.png"]


def test_pictures_are_read_in_their_folder_alone(folder: Path) -> None:
    (folder / "note.png").write_text("not a picture")

    for name, reason in (("../secret", "not in the folder"), ("none.png", "no picture"), ("note.png", "not a picture")):
        with pytest.raises(TerminalError, match=reason):
            files.read(name)


def test_a_prompt_paints_the_same_picture_again() -> None:
    first, again, other = (draw(prompt, (64, 64), None) for prompt in ("hills", "hills", "dunes"))

    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_an_answer_that_is_not_a_picture_is_refused() -> None:
    with pytest.raises(TerminalError, match="sent no picture"):
        write({"images": []}, "one.png")


def test_the_diffusers_library_draws_if_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is not installed here: this is what it is called with."""
    called: list[tuple[str, dict[str, object]]] = []

    def pipeline(kind: str) -> Any:
        def from_pretrained(model: str) -> Any:
            def run(**given: object) -> SimpleNamespace:
                called.append((f"{kind} {model}", given))
                return SimpleNamespace(images=[Image.new("RGB", (8, 8))])

            return run

        return SimpleNamespace(from_pretrained=from_pretrained)

    library: Any = ModuleType("diffusers")
    library.AutoPipelineForText2Image, library.AutoPipelineForImage2Image = pipeline("text"), pipeline("image")
    monkeypatch.setitem(sys.modules, "diffusers", library)
    draw_ = by_diffusers("turbo")

    first = draw_("a sea", (64, 32), None)
    draw_("at night", (64, 32), first)

    assert called == [
        ("text turbo", {"prompt": "a sea", "width": 64, "height": 32}),
        ("image turbo", {"prompt": "at night", "image": first}),
    ]
