"""The screenshots: a machine for each web page that is to be photographed, by Chromium."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import httpx
from statemachine import State, StateChart

from durable_fsm import Failure, Retry, TerminalError, activity, durable, free
from machines.images import files
from machines.images.steps import Job, Page

WIDTH, HEIGHT = 1388, 800
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


async def photograph(job: Job) -> str:
    """Open the page in Chromium and take a picture of it."""
    url, program = str(Page.model_validate(job.parameters).url), browser()
    if program is None:
        raise TerminalError("There is no Chromium: install it, or name one in CHROMIUM.", code=501)
    await _reach(url)
    with tempfile.TemporaryDirectory() as place:
        picture = Path(place, "screenshot.png")
        await _run(program, *OPTIONS, f"--user-data-dir={place}", f"--screenshot={picture}", url)
        files.write_bytes(await asyncio.to_thread(picture.read_bytes), job.target)
    return f"[Took screenshot of website with url: {url}]"


async def _reach(url: str) -> None:
    """See that there is a page: the browser would photograph its own error page."""
    async with httpx.AsyncClient(trust_env=False, follow_redirects=True, timeout=20) as client:
        answer = await client.get(url)
    if 400 <= answer.status_code < 500:
        raise TerminalError(f"{url} answers {answer.status_code}.", code=answer.status_code)
    answer.raise_for_status()


OPTIONS = (
    "--headless", "--hide-scrollbars", "--disable-gpu", "--no-first-run", "--force-device-scale-factor=1",
    f"--window-size={WIDTH},{HEIGHT}", *(["--no-sandbox"] if os.geteuid() == 0 else []),
)  # fmt: skip


def browser() -> str | None:
    """The program of the browser, if there is one; CHROMIUM may name it."""
    named = os.environ.get("CHROMIUM")
    return next(filter(None, map(shutil.which, [named] if named else BROWSERS)), None)


async def _run(*command: str) -> None:
    child = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, said = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        raise RuntimeError(f"the browser failed: {said.decode(errors='replace').strip()[-200:]}")


@durable(name="puppeteer-service", version="1", after_end=free(timedelta(days=1)))
class Screenshots(StateChart[Job]):
    """Takes a picture of one web page."""

    photographing = State(
        initial=True, invoke=activity(photograph, timeout=timedelta(minutes=1), retry=Retry(attempts=5))
    )
    written = State(final=True)
    failed = State(final=True)

    done_invoke_photographing = photographing.to(written)
    error_invoke_photographing = photographing.to(failed)

    def on_enter_written(self, result: str) -> str:
        return result

    def on_enter_failed(self, error: Failure) -> Failure:
        return error
