"""R21, image workflows: each list of steps is a chart of its own, whose steps survive kills and are each done once.

The pictures are real files, and looked at pixel by pixel. A server of its own draws some of them, and calls back; it also
serves the page that Chromium photographs, and counts how often.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from PIL import Image, ImageChops, ImageStat

from durable_fsm import chart_from
from durable_fsm.testing import Rehearsal, RestateServer, ServiceProcess, wait_until
from machines.images.machine import image_workflow
from machines.images.procedural import draw
from machines.images.stable_diffusion import StableDiffusion
from machines.images.steps import ImageData
from machines.images.transformer import Transformer
from tests.acceptance.applications import PATIENCE, ROOT, Application, edges, hosted, rehearsed, serve, world
from tests.browsing import NO_CHROMIUM, chromium_program, faults, looked_at
from tests.web import web

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.server

NAME = "image-processing-workflow"
SERVICES = ("puppeteer-service", "stable-diffusion", "transformer")
Step = dict[str, Any]


def step(action: str, **parameters: object) -> Step:
    return {"action": action, "parameters": parameters}


@dataclass
class Studio(Application):
    """Image workflows on a server, their folder of pictures, and the image server that they call."""

    folder: Path
    outside: ServiceProcess

    @property
    def three_steps(self) -> list[Step]:
        return [step("puppeteer", url=self.outside.url), step("rotate", angle=90), step("blur", blur=5)]

    def post(self, path: str, body: object = None) -> httpx.Response:
        return web.post(f"{self.server.ingress_url}/{path}", json=body)

    def run(self, key: str, *steps: Step, **data: object) -> httpx.Response:
        """Run a workflow to its end."""
        return self.post(f"{NAME}.workflow/{key}/run", {"steps": [*steps], **data})

    def begin(self, key: str, *steps: Step, **data: object) -> None:
        self.post(f"{NAME}.workflow/{key}/run/send", {"steps": [*steps], **data}).raise_for_status()

    def attach(self, key: str) -> httpx.Response:
        """Wait for the end of a workflow that was begun."""
        return web.get(f"{self.server.ingress_url}/restate/workflow/{NAME}.workflow/{key}/attach")

    def status(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = self.post(f"{NAME}.workflow/{key}/getStatus").json()
        return found

    def wait_output(self, key: str, steps: int) -> dict[str, Any]:
        """The status, once so many steps are done."""
        wait_until(lambda: len(self.status(key)["output"]) >= steps, PATIENCE, f"{steps} steps of {key} to be done")
        return self.status(key)

    def machine_of_step(self, key: str) -> dict[str, Any]:
        """The machine that does the current step."""

        def begun() -> dict[str, Any]:
            [child] = self.server.call(NAME, key, "snapshot")["machines"]
            answer = self.post(f"{child['chart']}/{child['key'].replace('/', '%2F')}/snapshot")
            found: dict[str, Any] = answer.json()
            return found if answer.status_code == 200 else {}

        wait_until(lambda: self.post(f"{NAME}/{key}/snapshot").status_code == 200, PATIENCE, f"{key} to begin")
        return wait_until(begun, PATIENCE, f"a step of {key} to begin")

    def picture(self, status: dict[str, Any], place: int) -> Image.Image:
        with Image.open(self.folder / f"{status['imgName']}-{place}.png") as picture:
            picture.load()
            return picture.convert("RGB")

    def put(self, name: str, picture: Image.Image) -> str:
        self.folder.mkdir(exist_ok=True)
        picture.save(self.folder / name)
        return name

    def asked(self, path: str) -> list[dict[str, Any]]:
        """The requests to the image server at this path."""
        ledger: list[dict[str, Any]] = web.get(f"{self.outside.url}/ledger").json()
        return [one for one in ledger if one["path"] == path]

    def photographed(self) -> int:
        return sum("HeadlessChrome" in one["by"] for one in self.asked("/"))

    def tell(self, what: str, **body: object) -> None:
        web.post(f"{self.outside.url}/{what}", json=body).raise_for_status()

    def invocations(self, key: str, handler: str = "run") -> list[dict[str, Any]]:
        return self.server.query(
            "SELECT status, completion_result, completion_failure, retry_count FROM sys_invocation"
            f" WHERE target_service_name = '{NAME}.workflow' AND target_service_key = '{key}'"
            f" AND target_handler_name = '{handler}'"
        )


@contextmanager
def opened(server: RestateServer, place: Path) -> Iterator[Studio]:
    folder = place / "pictures"
    with world("images", place, "image_server", options=("--ingress", server.ingress_url)) as outside:
        env = {"IMAGES_DIR": str(folder), "IMAGE_SERVER_URL": outside.url}
        with serve("images", server, place, env) as served:
            yield Studio("images", served, server, folder, outside)


studio_awake, studio_replaying, studio = hosted("studio", opened)
browser = pytest.mark.skipif(chromium_program() is None, reason=NO_CHROMIUM)


def gradient_energy(picture: Image.Image) -> float:
    """How much neighbouring pixels differ: blurring lowers it."""
    grey = picture.convert("L")
    right, below = ImageChops.offset(grey, 1, 0), ImageChops.offset(grey, 0, 1)
    return sum(ImageStat.Stat(ImageChops.difference(grey, moved)).sum2[0] for moved in (right, below))


# ── three steps ───────────────────────────────────────────────────────────────────────────────────────────────────────


@browser
def test_a_page_is_photographed_rotated_and_blurred(studio: Studio) -> None:
    answer = studio.run("three", *studio.three_steps)

    assert answer.status_code == 200
    status = answer.json()
    assert status == studio.status("three")
    assert status["status"] == "Finished"
    assert status["output"] == [
        f"[Took screenshot of website with url: {studio.outside.url}/]",
        "[Rotated image with angle: 90]",
        "[Blurred image with strength: 5]",
    ]
    first, second, third = (studio.picture(status, place) for place in (1, 2, 3))
    assert (first.size, second.size, third.size) == ((1388, 800), (800, 1388), (800, 1388))
    assert second.tobytes() == first.transpose(Image.Transpose.ROTATE_90).tobytes()
    assert gradient_energy(third) < gradient_energy(second) / 2
    assert sorted(path.name for path in studio.folder.glob(f"*{status['imgName']}*")) == [
        f"{status['imgName']}-{place}.png" for place in (1, 2, 3)
    ]


@browser
def test_a_service_that_is_killed_during_the_second_step_repeats_nothing_of_the_first(studio_awake: Studio) -> None:
    """Its picture cannot be written, because a folder is there: the second step alone is tried again."""
    studio, image, before = studio_awake, uuid4(), studio_awake.photographed()
    blocked = studio.folder / f"{image}-2.png"
    blocked.mkdir(parents=True)
    studio.begin("killed", *studio.three_steps, image=str(image))
    studio.wait_output("killed", 1)
    [rotation] = wait_until(lambda: studio.machine_of_step("killed")["activities"], PATIENCE, "the rotation")
    wait_until(lambda: studio.machine_of_step("killed")["activities"][0].get("failing"), PATIENCE, "it to fail")
    first = (studio.folder / f"{image}-1.png").stat()

    studio.restart()
    blocked.rmdir()
    status = studio.attach("killed").json()

    assert rotation["id"] == "rotating"
    assert (status["status"], len(status["output"])) == ("Finished", 3)
    assert studio.photographed() == before + 1
    assert (studio.folder / f"{image}-1.png").stat().st_ino == first.st_ino, "the first picture was written once"
    assert studio.picture(status, 2).size == (800, 1388)


def test_four_right_angles_leave_the_picture_as_it_was(studio: Studio) -> None:
    original = draw("hills at dawn", (120, 80), None)
    begin = {**step("rotate", angle=90), "imgInputPath": studio.put("original.png", original)}

    status = studio.run("round", begin, *[step("rotate", angle=90)] * 3).json()

    assert [studio.picture(status, place).size for place in (1, 2, 3, 4)] == [(80, 120), (120, 80)] * 2
    assert studio.picture(status, 4).tobytes() == original.tobytes()


# ── the image server ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_picture_that_is_drawn_while_the_service_is_down_arrives(studio_awake: Studio) -> None:
    studio, prompt, before = studio_awake, "a lake in the mountains", len(studio_awake.asked("/jobs"))

    def drawn() -> bool:
        return any(one["body"]["prompt"] == prompt for one in studio.asked("/sdapi/v1/txt2img"))

    studio.tell("hold")
    studio.begin(
        "drawn", step("stable-diffusion-generator", prompt=prompt, width=96, height=64), step("rotate", angle=90)
    )
    machine = studio.machine_of_step("drawn")
    wait_until(lambda: len(studio.asked("/jobs")) > before, PATIENCE, "the order")
    [waiting] = studio.machine_of_step("drawn")["activities"]

    studio.served.kill()
    assert not studio.served.process.alive
    studio.tell("release")
    wait_until(drawn, PATIENCE, "the picture to be drawn")
    studio.served.restart()
    status = studio.attach("drawn").json()

    assert (machine["chart"], machine["configuration"]) == ("stable-diffusion", ["awaiting_picture"])
    assert status["output"] == [f"[Generated stable diffusion image: {prompt}]", "[Rotated image with angle: 90]"]
    assert studio.picture(status, 1).tobytes() == draw(prompt, (96, 64), None).tobytes()
    assert [callback["name"] for callback in waiting["callbacks"]] == ["picture"]
    assert len(studio.asked("/jobs")) == before + 1, "the order was made once"


def test_a_picture_is_drawn_from_the_one_before(studio: Studio) -> None:
    steps = (
        step("stable-diffusion-generator", prompt="dunes"),
        step("stable-diffusion-transformer", prompt="as a print"),
    )

    status = studio.run("redrawn", *steps).json()

    expected = draw("as a print", (512, 512), draw("dunes", (512, 512), None))
    assert studio.picture(status, 2).tobytes() == expected.tobytes()
    assert status["output"][1] == "[Transformed stable diffusion image: as a print]"


def test_a_callback_that_brings_an_error_ends_the_workflow(studio: Studio) -> None:
    studio.tell("trouble", reason="out of memory")

    answer = studio.run("troubled", step("stable-diffusion-generator", prompt="a sea"), step("blur", blur=1))

    assert (answer.status_code, "out of memory" in answer.json()["message"]) == (500, True)
    status = studio.status("troubled")
    assert (status["status"], status["output"]) == (
        "Failed",
        ["[Failed: callback 'picture' was rejected: out of memory]"],
    )
    assert [row["completion_result"] for row in studio.invocations("troubled")] == ["failure"]
    assert not list(studio.folder.glob(f"*{status['imgName']}*"))


# ── lists that are refused ────────────────────────────────────────────────────────────────────────────────────────────

SOURCE, TRANSFORMER = step("stable-diffusion-generator", prompt="a sea"), step("rotate", angle=90)
INVALID: dict[str, tuple[list[Step], str]] = {
    "empty": ([], "at least 1 item"),
    "unknown action": ([SOURCE, step("sepia", strength=1)], "'sepia' found using 'action'"),
    "transformer first": ([TRANSFORMER], "step 1 ('rotate') needs a picture"),
    "source later": ([SOURCE, TRANSFORMER, SOURCE], "step 3 ('stable-diffusion-generator') would discard the picture"),
    "no parameters": ([{"action": "stable-diffusion-generator"}], "field required at $.steps[0]"),
}


@pytest.mark.parametrize(("steps", "reason"), INVALID.values(), ids=list(INVALID))
def test_an_invalid_list_is_refused_once(
    studio: Studio, steps: list[Step], reason: str, request: pytest.FixtureRequest
) -> None:
    key = f"invalid-{request.node.callspec.id.split('-')[-1].replace(' ', '-')}"

    answer = studio.run(key, *steps)

    assert (answer.status_code, reason in answer.json()["message"]) == (422, True)
    [row] = studio.invocations(key)
    assert (row["status"], row["completion_result"]) == ("completed", "failure")
    assert reason in row["completion_failure"]
    assert not row.get("retry_count"), "it was not tried again"
    assert studio.server.state(NAME, key) == {}
    assert studio.status(key)["status"] == "Not started"


# ── the status ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_status_tells_how_far_a_workflow_is(studio: Studio) -> None:
    begin = {**TRANSFORMER, "imgInputPath": studio.put("status.png", draw("a sea", (64, 32), None))}
    before = studio.status("status")
    studio.tell("hold")

    studio.begin("status", begin, step("stable-diffusion-transformer", prompt="at night"))
    midway = studio.wait_output("status", 1)
    studio.tell("release")
    after = studio.attach("status").json()

    assert before == {"status": "Not started", "imgName": None, "output": []}
    assert (midway["status"], midway["output"]) == ("Processing", ["[Rotated image with angle: 90]"])
    assert (after["status"], len(after["output"]), after["imgName"]) == ("Finished", 2, midway["imgName"])


def test_a_picture_outside_the_folder_is_not_read(studio: Studio) -> None:
    answer = studio.run("thief", {**TRANSFORMER, "imgInputPath": "../log"})

    assert (answer.status_code, "not in the folder of pictures" in answer.json()["message"]) == (403, True)


# ── the pages ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def site(studio_awake: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    studio = studio_awake
    env = {
        "IMAGES_DIR": str(studio.folder),
        "IMAGE_SERVER_URL": studio.outside.url,
        "RESTATE_INGRESS_URL": studio.server.ingress_url,
    }
    log = tmp_path_factory.mktemp("site") / "log"
    with ServiceProcess.serving(
        "machines.images.page:app", log=log, app_dir=ROOT, env=env, fork=True, by="uvicorn"
    ) as served:
        yield served.url


@browser
def test_a_person_composes_three_steps_and_sees_each_picture(studio_awake: Studio, site: str, page: Page) -> None:
    studio_awake.tell("hold")
    page.goto(site)
    page.get_by_role("link", name="Landscape").click()
    for place, action, value in (
        (1, "Draw", "hills at dawn"),
        (2, "Rotate by degrees", "90"),
        (3, "Blur by radius", "5"),
    ):
        row = page.get_by_role("group", name=f"Step {place}")
        row.get_by_label("What").select_option(action)
        row.get_by_label("Address, prompt, degrees or radius").fill(value)
    page.get_by_role("button", name="Draw the chart").click()
    for state in STATES:
        page.locator(f'[data-state="processing.{state}"]').first.wait_for()
    assert looked_at(page, "images-compose") == []

    page.get_by_role("button", name="Run it").click()
    page.locator('.is-active[data-state="processing.drawing_1"]').wait_for()
    page.locator('.is-active[data-state="awaiting_picture"]').wait_for()
    assert page.locator("img[alt^='The picture']").count() == 0
    assert faults(page) == []
    studio_awake.tell("release")
    page.locator(".is-active[data-state=finished]").wait_for()

    pictures = page.locator("img[alt^='The picture']")
    page.wait_for_function("[...document.images].every(one => one.complete && one.naturalWidth)")
    sizes = pictures.evaluate_all("all => all.map(one => [one.naturalWidth, one.naturalHeight])")
    assert sizes == [[512, 512]] * 3
    assert page.get_by_role("status").inner_text().endswith("Finished")
    assert looked_at(page, "images-finished") == []


STATES = ["drawing_1", "rotating_2", "blurring_3"]


@browser
def test_a_list_that_cannot_be_is_explained_on_the_page(studio_awake: Studio, site: str, page: Page) -> None:
    page.goto(site)
    page.get_by_role("link", name="A list that is refused").click()

    assert "Step 1 ('rotate') needs a picture" in page.get_by_role("alert").inner_text()
    assert faults(page) == []
    refused = web.post(site, data={"action": "sepia", "value": "1"})
    assert (refused.status_code, "Choose a first step." in refused.text) == (422, True)


@browser
def test_a_failure_is_shown_on_the_page_of_its_workflow(studio_awake: Studio, site: str, page: Page) -> None:
    studio_awake.tell("trouble", reason="out of memory")
    studio_awake.run("shown", SOURCE, TRANSFORMER)

    page.goto(f"{site}/workflows/shown")

    assert "out of memory" in page.locator(".notice.bad").inner_text()
    assert page.locator(".is-active[data-state=failed]").count() == 1
    assert faults(page) == []


# ── as for every application ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_chart_of_a_list_has_a_state_for_each_step() -> None:
    data = ImageData.model_validate({"steps": [SOURCE, TRANSFORMER, step("blur", blur=2)]})

    assert edges(image_workflow(data.steps)) == [
        ("processing", "error.execution", ("failed",)),
        ("processing.drawing_1", "done.invoke.drawing_1", ("processing.rotating_2",)),
        ("processing.rotating_2", "done.invoke.rotating_2", ("processing.blurring_3",)),
        ("processing.blurring_3", "done.invoke.blurring_3", ("finished",)),
    ]
    assert {name: child.name for name, child in children(image_workflow(data.steps))} == {
        "drawing_1": "stable-diffusion",
        "rotating_2": "transformer",
        "blurring_3": "transformer",
    }
    assert set(edges(Transformer)) >= {
        ("rotating", "done.invoke.rotating", ("written",)),
        ("blurring", "done.invoke.blurring", ("written",)),
    }
    assert set(edges(StableDiffusion)) == {
        ("awaiting_picture", "done.invoke.awaiting_picture", ("written",)),
        ("awaiting_picture", "error.invoke.awaiting_picture", ("failed",)),
    }


def children(definition: Any) -> list[tuple[str, Any]]:
    return [(child.id, child) for state in chart_from(definition).states.values() for child in state.machines]


def test_the_server_does_what_the_rehearsal_does(studio: Studio) -> None:
    begin = {**TRANSFORMER, "imgInputPath": studio.put("told.png", draw("a sea", (64, 32), None))}
    steps = [begin, step("blur", blur=1)]
    rehearsal = Rehearsal(image_workflow, key="told")
    rehearsal.create({"steps": steps})
    rehearsal.machines["rotating_1"].finish("rotating", "rotated")
    rehearsal.machines["blurring_2"].finish("blurring", "blurred")

    studio.run("told", *steps)

    assert studio.recorded(NAME, "told") == rehearsed(rehearsal)


def test_restate_has_completed_the_requests_of_each_service(studio: Studio) -> None:
    begin = {**TRANSFORMER, "imgInputPath": studio.put("asked.png", draw("a sea", (64, 32), None))}
    studio.run("asked", begin, step("stable-diffusion-transformer", prompt="at night"))

    completed = studio.server.query(
        "SELECT target_service_name AS service, count(*) AS n FROM sys_invocation WHERE status = 'completed'"
        " AND completion_result = 'success' AND (target_service_key LIKE 'asked/%' OR target_service_key = 'asked')"
        " GROUP BY target_service_name"
    )

    assert {row["service"] for row in completed} >= {NAME, f"{NAME}.workflow", "transformer", "stable-diffusion"}


@browser
def test_the_commands_of_the_readme_do_what_it_says(studio_awake: Studio) -> None:
    others = {f"/p-{n}/": f"/page-{n}/" for n in range(1, 4)}
    answers = studio_awake.run_readme({**others, "http://localhost:5050": studio_awake.outside.url})

    finished, status, sent, attached, refused = answers
    assert finished == status
    assert (sent["status"], attached["status"]) == ("Accepted", "Finished")
    assert "step 1 ('rotate') needs a picture" in refused["message"]
