"""Start everything that an application needs, each part in a process of its own, on free ports of the loopback.

    class Shop:
        def __init__(self, stage: Stage) -> None:
            self.bank = stage.outside("machines.food.bank")
            self.served = stage.serve("machines.food.service:app", {"BANK_URL": self.bank.url})
            self.page = stage.page("machines.food.page:app", {"RESTATE_INGRESS_URL": stage.server.ingress_url})

    def act(stage: Stage, console: Console) -> int:
        shop = Shop(stage)
        tell(CHAPTERS, shop, console)
        return 0

    sys.exit(perform(act))

When it ends, by itself or by Ctrl-C, nothing is left running.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType
from typing import TypeVar

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from durable_fsm.local import native
from durable_fsm.local.closing import Starting
from durable_fsm.testing import (
    HarnessError,
    KafkaBroker,
    NotObserved,
    RestateServer,
    Served,
    ServiceProcess,
    free_port,
)

__all__ = ["Stage", "is_asked", "keep", "perform", "tell"]

ROOT = Path(__file__).parents[1]
T = TypeVar("T")


class Stage(Starting):
    """The processes of one application. Closing it ends all of them.

    Args:
        place: the folder of their logs.
    """

    def __init__(self, place: Path, console: Console) -> None:
        self._place = place
        self._stack = ExitStack()
        self.server = RestateServer(binary=native.obtain(console.print))

    def start(self) -> Stage:
        """Start the Restate server; the other parts start when they are asked for."""
        self.server.start()
        return self

    def close(self) -> None:
        self.server.close()  # first: what the others would remove from it is gone with it
        self._stack.close()

    def outside(self, module: str, *options: str, env: Mapping[str, str] | None = None) -> ServiceProcess:
        """Run a service outside: `python -m <module> --port <a free one> <options>`."""
        port = free_port()
        command = [sys.executable, "-m", module, "--port", str(port), *options]
        log = self._place / f"{module}.log"
        return self._stack.enter_context(
            ServiceProcess(command, port=port, log=log, env=env, cwd=ROOT, name=module.rpartition(".")[2])
        )

    def serve(self, app: str, env: Mapping[str, str] | None = None) -> Served:
        """Serve an application of machines, `"module:attribute"`, and register it with Restate."""
        log = self._place / f"{app}.log"
        return self._stack.enter_context(Served.begin(app, self.server, log=log, app_dir=ROOT, env=env))

    def page(self, app: str, env: Mapping[str, str] | None = None) -> ServiceProcess:
        """Serve the pages of an application, `"module:attribute"`."""
        log = self._place / f"{app}.log"
        served = ServiceProcess.serving(app, log=log, app_dir=ROOT, env=env, fork=True, by="uvicorn")
        return self._stack.enter_context(served)

    def console(self) -> str:
        """Serve pages about every machine of the server; return their address."""
        return self.page("machines.console:app", {"RESTATE_ADMIN_URL": self.server.admin_url}).url

    def broker(self) -> KafkaBroker:
        """Start a Kafka broker."""
        return self._stack.enter_context(KafkaBroker(log=self._place / "broker.log"))

    def subscribe(self, broker: KafkaBroker, *definitions: object) -> None:
        """Let Restate read the topics that charts declare. Their application is served already."""
        self._stack.enter_context(broker.subscribed(self.server, *definitions))


def is_asked(option: str, meaning: str, description: str | None) -> bool:
    """Read the command line, which has one option; as an environment variable, in capitals, it may be given too."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    variable = option.upper()
    is_set = os.environ.get(variable, "") not in ("", "0")
    parser.add_argument(f"--{option}", dest="asked", action="store_true", default=is_set)
    parser.epilog = f"--{option}, or {variable}=1, {meaning}."
    asked: bool = parser.parse_args().asked
    return asked


def perform(act: Callable[[Stage, Console], int]) -> int:
    """Run a program on a stage of its own; return its exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console()
    console.print("Starting …")
    with tempfile.TemporaryDirectory() as place:
        try:
            with Stage(Path(place), console) as stage:
                return act(stage, console)
        except KeyboardInterrupt:
            return 130
        except (HarnessError, NotObserved, httpx.HTTPError) as error:
            console.print(str(error), style="red", markup=False)
            return 1


def tell(chapters: Sequence[Callable[[T], None]], subject: T, console: Console) -> None:
    """Play a story; a chapter's name is its title. The bar shows the one that is being played."""
    columns = (
        BarColumn(20),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(chapters))
        for chapter in chapters:
            title = chapter.__name__.replace("_", " ")
            progress.update(task, description=title)
            chapter(subject)
            progress.console.print(f"  [green]✓[/green] {title}")
            progress.advance(task)


def keep(addresses: Mapping[str, str], console: Console) -> int:
    """Print where everything is, and leave it running until Ctrl-C or SIGTERM."""
    longest = max(map(len, addresses))
    console.print()
    for name, address in addresses.items():
        console.print(f"  {name:{longest}}  {address}", soft_wrap=True, highlight=False)
    console.print("\nCtrl-C ends it, and leaves nothing behind.")
    with suppress(KeyboardInterrupt):
        signal.pause()
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End on SIGTERM as on Ctrl-C: with everything closed."""
    raise KeyboardInterrupt
