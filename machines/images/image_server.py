"""An image server, in a separate process, that speaks AUTOMATIC1111's HTTP; and the bridge that calls back from it.

    POST /sdapi/v1/txt2img   {"prompt", "width", "height", …}: {"images": [a PNG in base64]}
    POST /sdapi/v1/img2img   the same, with {"init_images": [a PNG in base64]}
    POST /jobs               {"endpoint", "parameters", "callback"}: 202 at once. Later the bridge asks --webui for the picture,
                             and answers the callback with it, or with what went wrong
    GET  /                   a page to take pictures of
    GET  /ledger             everything that it was asked for, in order: [{"path", "body" or "by"}]
    POST /hold, /release     jobs wait from now on; they continue
    POST /trouble            {"reason"}: the next picture is not drawn

The pictures are not drawn by a diffusion model. The backend `procedural` paints hills from a hash of the prompt: the same
prompt makes the same picture. `--backend diffusers --model <name or folder>` uses the diffusers library, if it is installed;
`--webui http://localhost:7860` lets the bridge use a real AUTOMATIC1111 instead of this process.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from machines.images import procedural

Draw: TypeAlias = Callable[[str, tuple[int, int], Image.Image | None], Image.Image]
"""A backend: draws what a prompt says in this size, perhaps from another picture."""

LARGEST = 1_024


class ImageServer:
    """The server, its bridge, and what both were asked for.

    Args:
        webui: where the bridge has pictures drawn.
        ingress: Restate's, where callbacks are answered.
    """

    def __init__(self, draw: Draw, *, webui: str, ingress: str) -> None:
        self._draw = draw
        self._webui = webui
        self._ingress = ingress
        self._ledger: list[dict[str, Any]] = []
        self._callbacks: set[str] = set()
        self._troubles: list[str] = []
        self._open = asyncio.Event()
        self._open.set()
        self._jobs: set[asyncio.Task[None]] = set()

    def app(self) -> Starlette:
        posts = {
            "/sdapi/v1/{endpoint}": self.draw, "/jobs": self.take_job,
            "/hold": self.hold, "/release": self.release, "/trouble": self.trouble,
        }  # fmt: skip
        routes = [Route(path, handle, methods=["POST"]) for path, handle in posts.items()]
        return Starlette(routes=[*routes, Route("/", self.page), Route("/ledger", self.ledger)])

    # ── AUTOMATIC1111's part ─────────────────────────────────────────────────────────────────────────────────────────

    async def draw(self, request: Request) -> Response:
        body = await request.json()
        self._note(request, body={name: value for name, value in body.items() if name != "init_images"})
        if self._troubles:
            return JSONResponse({"error": "Trouble", "errors": self._troubles.pop(0)}, 500)
        endpoint, given = request.path_params["endpoint"], body.get("init_images")
        if endpoint not in ("txt2img", "img2img") or not body.get("prompt") or bool(given) is (endpoint == "txt2img"):
            return JSONResponse({"error": "ValidationError", "errors": f"{endpoint} does not take this"}, 422)
        width, height = (min(max(int(body.get(side, 512)), 64), LARGEST) for side in ("width", "height"))
        before = None if not given else Image.open(BytesIO(base64.b64decode(given[0]))).convert("RGB")
        picture = await asyncio.to_thread(self._draw, body["prompt"], (width, height), before)
        text = BytesIO()
        picture.save(text, "PNG", optimize=True)
        drawn = base64.b64encode(text.getvalue()).decode()
        return JSONResponse({"images": [drawn], "parameters": {"prompt": body["prompt"]}, "info": ""})

    # ── the bridge ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def take_job(self, request: Request) -> Response:
        """Take a job, once for each callback: a client that has not heard our answer orders again."""
        job = await request.json()
        if job["callback"] not in self._callbacks:
            self._callbacks.add(job["callback"])
            self._note(request, body={"endpoint": job["endpoint"], "callback": job["callback"]})
            task = asyncio.create_task(self._do(job))
            self._jobs.add(task)
            task.add_done_callback(self._jobs.discard)
        return JSONResponse({}, 202)

    async def _do(self, job: dict[str, Any]) -> None:
        await self._open.wait()
        callback = f"{self._ingress}/restate/awakeables/{job['callback']}"
        async with httpx.AsyncClient(trust_env=False, timeout=None) as client:
            try:
                drawn = await client.post(f"{self._webui}/sdapi/v1/{job['endpoint']}", json=job["parameters"])
                problem = "" if drawn.is_success else str(drawn.json().get("errors") or drawn.text)
            except httpx.HTTPError as error:
                problem = f"the image server cannot be reached: {error!r}"
            if problem:
                await client.post(f"{callback}/reject", content=problem, headers={"content-type": "text/plain"})
            else:
                await client.post(f"{callback}/resolve", json={"image": drawn.json()["images"][0]})

    # ── for people, and for tests ────────────────────────────────────────────────────────────────────────────────────

    async def page(self, request: Request) -> Response:
        self._note(request, by=request.headers.get("user-agent", ""))
        return FileResponse(Path(__file__).with_name("postcard.html"))

    async def ledger(self, request: Request) -> Response:
        return JSONResponse(self._ledger)

    async def hold(self, request: Request) -> Response:
        self._open.clear()
        return JSONResponse({})

    async def release(self, request: Request) -> Response:
        self._open.set()
        return JSONResponse({})

    async def trouble(self, request: Request) -> Response:
        self._troubles.append((await request.json())["reason"])
        return JSONResponse({})

    def _note(self, request: Request, **facts: object) -> None:
        self._ledger.append({"path": request.url.path, **facts})


def by_diffusers(model: str) -> Draw:
    """The backend of the diffusers library, with a model that is on this machine or that the library downloads."""
    import importlib

    diffusers: Any = importlib.import_module("diffusers")  # optional, and its types are its own
    pipelines: dict[bool, Any] = {}

    def draw(prompt: str, size: tuple[int, int], before: Image.Image | None) -> Image.Image:
        kind = "AutoPipelineForText2Image" if before is None else "AutoPipelineForImage2Image"
        if (before is None) not in pipelines:
            pipelines[before is None] = getattr(diffusers, kind).from_pretrained(model)
        given = {"width": size[0], "height": size[1]} if before is None else {"image": before}
        drawn: Image.Image = pipelines[before is None](prompt=prompt, **given).images[0]
        return drawn

    return draw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=5050, help="port on the loopback interface; 5050 by default")
    parser.add_argument("--ingress", default="http://localhost:8080", help="Restate's ingress")
    parser.add_argument("--webui", help="where the bridge has pictures drawn; this process by default")
    parser.add_argument("--backend", choices=["procedural", "diffusers"], default="procedural")
    parser.add_argument("--model", default="stabilityai/sd-turbo", help="of diffusers")
    given = parser.parse_args()
    draw = procedural.draw if given.backend == "procedural" else by_diffusers(given.model)
    own = f"http://127.0.0.1:{given.port}"

    async def serve() -> None:
        server = ImageServer(draw, webui=given.webui or own, ingress=given.ingress)
        await uvicorn.Server(uvicorn.Config(server.app(), port=given.port, log_level="warning")).serve()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
