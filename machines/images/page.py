"""The pages: compose a list of steps, see the chart that it becomes, and watch it run.

`uvicorn machines.images.page:app` serves them. RESTATE_INGRESS_URL is Restate's ingress; IMAGE_SERVER_URL, whose page is
proposed for photographs, is known from `stable_diffusion`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from durable_fsm import Chart, Client, TerminalError, chart_from
from durable_fsm.errors import NotStarted
from machines.images import files
from machines.images.machine import SERVICES, Work, image_workflow, picture_of
from machines.images.steps import Step
from machines.pages import Pages, changes

NAME = "image-processing-workflow"
ROWS = 5
CHOICES = {
    "puppeteer": ("Photograph a page", "url"),
    "stable-diffusion-generator": ("Draw", "prompt"),
    "stable-diffusion-transformer": ("Redraw", "prompt"),
    "rotate": ("Rotate by degrees", "angle"),
    "blur": ("Blur by radius", "blur"),
}
"""The actions: what a person reads, and the parameter that they give."""

STEPS = TypeAdapter(list[Step])
PAGE = os.environ.get("IMAGE_SERVER_URL", "http://localhost:5050")
RECIPES: dict[str, list[tuple[str, str]]] = {
    "Postcard": [("puppeteer", PAGE), ("rotate", "90"), ("blur", "5")],
    "Landscape": [
        ("stable-diffusion-generator", "hills at dawn"), ("stable-diffusion-transformer", "as an old print"),
        ("blur", "2"),
    ],
    "A list that is refused": [("rotate", "90"), ("puppeteer", PAGE)],
}  # fmt: skip


def title(step: Step) -> str:
    """A step as a person would say it."""
    match step.action:
        case "puppeteer":
            return f"Photograph {step.parameters.url}"
        case "stable-diffusion-generator":
            return f"Draw “{step.parameters.prompt}”"
        case "stable-diffusion-transformer":
            return f"Redraw: “{step.parameters.prompt}”"
        case "rotate":
            return f"Rotate by {step.parameters.angle:g}°"
        case "blur":
            return f"Blur by {step.parameters.blur:g}"


pages = Pages("Darkroom", folder=Path(__file__).parent / "templates", menu={"/": "Compose"})


@cache
def client() -> Client:
    return Client(os.environ.get("RESTATE_INGRESS_URL", "http://localhost:8080"))


# ── composing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Draft:
    """A list of steps as it was typed, the chart that it becomes, and the reasons if it becomes none."""

    def __init__(self, form: ImmutableMultiDict[str, Any]) -> None:
        rows = list(zip(map(str, form.getlist("action")), map(str, form.getlist("value")), strict=False))
        self.rows = [*rows, *[("", "")] * ROWS][: max(ROWS, len(rows))]
        self.chart: Chart | None = None
        self.steps: list[Step] = []
        self.problems: list[str] = []
        written = [
            {"action": action, "parameters": {CHOICES[action][1]: value}} for action, value in rows if action in CHOICES
        ]
        if written:
            try:
                self.steps = STEPS.validate_python(written)
                self.chart = chart_from(image_workflow(self.steps))
            except ValidationError as error:
                self.problems = [f"Step {int(one['loc'][0]) + 1}: {one['msg']}." for one in error.errors()]
            except ValueError as error:
                self.problems = [f"{str(error)[:1].upper()}{str(error)[1:]}."]

    @property
    def json(self) -> list[dict[str, Any]]:
        return [step.model_dump(mode="json", exclude_none=True) for step in self.steps]


async def compose(request: Request) -> Response:
    """The form; with the steps of the address, and their chart."""
    form = request.query_params if "action" in request.query_params else _query(RECIPES["Postcard"])
    return _form(Draft(form))


async def start(request: Request) -> Response:
    """Run the steps of the form; show it again if they cannot be."""
    async with request.form() as form:
        draft = Draft(ImmutableMultiDict([(name, str(value)) for name, value in form.multi_items()]))
    if draft.chart is None:
        draft.problems = draft.problems or ["Choose a first step."]
        return _form(draft, status=422)
    key = secrets.token_hex(4)
    await client().machine(NAME, key).submit({"steps": draft.json})
    return RedirectResponse(f"/workflows/{key}", 303)


def _form(draft: Draft, *, status: int = 200) -> Response:
    recipes = {name: f"/?{urlencode(_query(rows).multi_items())}" for name, rows in RECIPES.items()}
    return pages.show("compose.html", status=status, draft=draft, choices=CHOICES, recipes=recipes)


def _query(rows: list[tuple[str, str]]) -> ImmutableMultiDict[str, str]:
    return ImmutableMultiDict([pair for action, value in rows for pair in (("action", action), ("value", value))])


# ── watching ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def workflow(request: Request) -> Response:
    key = request.path_params["key"]
    return pages.show("workflow.html", key=key, **await _read(key))


async def live(request: Request) -> Response:
    key = request.path_params["key"]
    states = changes(lambda: _read(key), last=lambda state: state["progress"] in ("Finished", "Failed"))
    return pages.live("progress.html", states)


async def picture(request: Request) -> Response:
    """A picture that a step has made. It never changes."""
    try:
        path = files.place_of(request.path_params["name"])
    except TerminalError:
        path = Path()
    if path.suffix != ".png" or not path.is_file():
        return Response(status_code=404)
    return FileResponse(path, media_type="image/png", headers={"cache-control": "max-age=31536000, immutable"})


async def _read(key: str) -> Mapping[str, Any]:
    """Everything that the page shows of a workflow: its chart and where it is, its steps and their pictures."""
    try:
        view = await client().machine(NAME, key).snapshot()
    except NotStarted:
        return {"progress": "Not started", "chart": None, "states": (), "steps": [], "inside": None, "trying": ""}
    work = Work.model_validate(view.data)
    done = len(work.output) - (work.status == "Failed")
    steps = [
        {
            "title": title(step),
            "state": "done" if place <= done else work.status if place == done + 1 else "",
            "said": work.output[place - 1] if place <= len(work.output) else "",
            "picture": f"/pictures/{picture_of(work, place)}" if place <= done else "",
        }
        for place, step in enumerate(work.steps, 1)
    ]
    inside, trying = await _inside(view.record["machines"])
    return {
        "progress": work.status,
        "chart": _chart(STEPS.dump_json(work.steps)),
        "states": view.configuration,
        "steps": steps,
        "inside": inside,
        "trying": trying,
    }


async def _inside(machines: list[dict[str, Any]]) -> tuple[tuple[Chart, tuple[str, ...]] | None, str]:
    """The chart of the machine that does the current step, with its states; and why the step is tried again, if it is."""
    for child in machines:
        try:
            view = await client().machine(child["chart"], child["key"]).snapshot()
        except NotStarted:  # it is about to begin
            continue
        failing = [one for activity in view.activities for one in activity.get("failing", ())]
        trying = f"Attempt {failing[0]['attempt']} failed: {failing[0]['error']['message']}" if failing else ""
        return (_service(child["chart"]), view.configuration), trying
    return None, ""


@cache
def _service(name: str) -> Chart:
    return next(chart for chart in map(chart_from, SERVICES.values()) if chart.name == name)


_charts: dict[bytes, Chart] = {}


def _chart(steps: bytes) -> Chart:
    """The chart that is running: compiled by the same function from the same steps."""
    if steps not in _charts:
        if len(_charts) > 100:
            _charts.clear()
        _charts[steps] = chart_from(image_workflow(STEPS.validate_json(steps)))
    return _charts[steps]


app = pages.app(
    [
        Route("/", compose),
        Route("/", start, methods=["POST"]),
        Route("/workflows/{key}", workflow),
        Route("/workflows/{key}/live", live),
        Route("/pictures/{name}", picture),
    ]
)
