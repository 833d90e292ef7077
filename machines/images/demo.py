"""Everything that image workflows need, started at once: `make images`.

    python -m machines.images.demo [--story]

A real Restate server, the services, the image server and the pages run as separate processes on free ports of the loopback
interface. It prints the address of the page, and ends with Ctrl-C. `--story` plays workflows instead, kills the service in the
middle of two of them, and ends with a table.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from rich.console import Console
from rich.table import Table

from durable_fsm import chart_from
from durable_fsm.testing import wait_until
from machines.images.machine import Work, image_workflow
from machines.images.screenshots import browser
from machines.stage import Stage, is_asked, keep, perform, tell

NAME = "image-processing-workflow"
PATIENCE = timedelta(seconds=60)
NO_BROWSER = "There is no Chromium here: install it (apt-get install chromium), or name one in CHROMIUM."


class Darkroom:
    """The processes, and the workflows of the story by name."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.folder = folder
        ingress = stage.server.ingress_url
        self.image_server = stage.outside("machines.images.image_server", "--ingress", ingress)
        env = {"IMAGES_DIR": str(folder), "IMAGE_SERVER_URL": self.image_server.url, "RESTATE_INGRESS_URL": ingress}
        self.served = stage.serve("machines.images.service:app", env)
        self.page = stage.page("machines.images.page:app", env)
        self.server = stage.server
        self.steps: dict[str, int] = {}
        self.http = httpx.Client(base_url=ingress, trust_env=False, timeout=PATIENCE.total_seconds())

    def begin(self, name: str, *steps: tuple[str, Mapping[str, object]]) -> None:
        self.steps[name] = len(steps)
        listed = [{"action": action, "parameters": parameters} for action, parameters in steps]
        self.http.post(f"/{NAME}.workflow/{name}/run/send", json={"steps": listed}).raise_for_status()

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.post(f"/{NAME}.workflow/{name}/getStatus").json()
        return found

    def wait(self, name: str, *, outputs: int = 0, status: str = "") -> None:
        def there() -> bool:
            found = self.status(name)
            return len(found["output"]) >= outputs and status in ("", found["status"])

        wait_until(there, PATIENCE, f"{name} to have {outputs} pictures {status}")

    def tell(self, what: str, **body: object) -> None:
        httpx.post(f"{self.image_server.url}/{what}", json=body, trust_env=False).raise_for_status()

    def asked(self, path: str) -> int:
        """How often the image server was asked for this, by machines."""
        ledger = httpx.get(f"{self.image_server.url}/ledger", trust_env=False).json()
        return sum(one["path"] == path and "Headless" in one.get("by", "Headless") for one in ledger)

    def chart(self, name: str) -> str:
        """The states that its list of steps became."""
        data = self.http.post(f"/{NAME}/{name}/snapshot").json()["data"]
        chart = chart_from(image_workflow(Work.model_validate(data).steps))
        return " → ".join(state.rpartition(".")[2] for state in chart.states["processing"].children)

    def picture(self, name: str) -> str:
        """The last picture of a workflow, in words."""
        image = self.status(name)["imgName"]
        paths = sorted(self.folder.glob(f"{image}-*.png"))
        if not paths:
            return "none"
        with Image.open(paths[-1]) as picture:
            return f"{picture.width}×{picture.height}, {paths[-1].stat().st_size // 1024} KB"


# ── the story, a function for each chapter ────────────────────────────────────────────────────────────────────────────


def a_page_is_photographed_rotated_and_blurred(room: Darkroom) -> None:
    room.begin(
        "postcard", ("puppeteer", {"url": room.image_server.url}), ("rotate", {"angle": 90}), ("blur", {"blur": 5})
    )
    room.wait("postcard", status="Finished")


def a_landscape_is_drawn_while_the_service_is_dead(room: Darkroom) -> None:
    room.tell("hold")
    room.begin("landscape", ("stable-diffusion-generator", {"prompt": "hills at dawn"}), ("rotate", {"angle": 8}))
    wait_until(lambda: room.asked("/jobs") == 1, PATIENCE, "the order")
    room.served.kill()
    room.tell("release")
    wait_until(lambda: room.asked("/sdapi/v1/txt2img") == 1, PATIENCE, "the picture to be drawn")
    room.served.restart()
    room.wait("landscape", status="Finished")


def the_service_dies_between_two_steps(room: Darkroom) -> None:
    prompts = ("a lake", "at night", "in winter", "as an old print")
    first, *others = [("stable-diffusion-transformer", {"prompt": prompt}) for prompt in prompts]
    room.begin("seasons", ("stable-diffusion-generator", first[1]), *others)
    room.wait("seasons", outputs=2)
    room.served.kill()
    room.served.restart()
    room.wait("seasons", status="Finished")


def the_image_server_fails_and_so_does_the_workflow(room: Darkroom) -> None:
    room.tell("trouble", reason="out of memory")
    room.begin("trouble", ("stable-diffusion-generator", {"prompt": "a sea"}), ("blur", {"blur": 2}))
    room.wait("trouble", status="Failed")


def a_list_that_cannot_be_is_refused_at_once(room: Darkroom) -> None:
    body = {"steps": [{"action": "rotate", "parameters": {"angle": 90}}]}
    answer = room.http.post(f"/{NAME}.workflow/refused/run", json=body)
    assert answer.status_code == 422, answer.text


STORY = (
    a_page_is_photographed_rotated_and_blurred,
    a_landscape_is_drawn_while_the_service_is_dead,
    the_service_dies_between_two_steps,
    the_image_server_fails_and_so_does_the_workflow,
    a_list_that_cannot_be_is_refused_at_once,
)


def summary(room: Darkroom) -> Table:
    table = Table("workflow", "its chart", "steps", "status", "last picture")
    for name, steps in room.steps.items():
        status = room.status(name)
        done = len(status["output"]) - (status["status"] == "Failed")
        table.add_row(name, room.chart(name), f"{done} of {steps}", status["status"], room.picture(name))
    return table


def main() -> int:
    story = is_asked("story", "plays the story", __doc__)
    if browser() is None:
        print(NO_BROWSER, file=sys.stderr)
        return 1

    def act(stage: Stage, console: Console) -> int:
        with tempfile.TemporaryDirectory() as folder:
            room = Darkroom(stage, Path(folder))
            with room.http:
                if story:
                    tell(STORY, room, console)
                    console.print(summary(room))
                    shot, orders = room.asked("/"), room.asked("/jobs")
                    console.print(f"{shot} photograph and {orders} orders: each was made once, whatever was killed.")
                    console.print("Nothing is left running. 'make images' without STORY starts it, with its pages.")
                    return 0
                return keep({"page": room.page.url, "Restate": f"{room.server.admin_url}/ui/"}, console)

    return perform(act)


if __name__ == "__main__":
    sys.exit(main())
