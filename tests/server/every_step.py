"""Tell a story again and again, and kill the service or its server at a different durable step each time.

A `Killer` first tells the story without a death, while `dying.py` logs every durable step. Then it chooses steps to die
at, and tells the story once for each; the story asserts that it always ends in the same way.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle
from pathlib import Path

from durable_fsm.testing import EffectLog, RestateServer, Served, wait_until
from tests.server.clients import insisted
from tests.server.lost import lost_messages

HERE = Path(__file__).parent
MOMENTS = ("at", "after")
VICTIMS = ("service", "server")
SERVERS = ("restate_server", "replaying_server")


@dataclass(frozen=True)
class Story:
    """A story, and the application that it is told to.

    Attributes:
        tell: tells the story for machines whose keys begin with a name, and asserts how it ends.
        services: SQL condition for the names of its services.
        over: statuses of invocations that need not end before the next telling.
        needs: kinds of durable steps that the story must have.
        dies_at: kinds of steps to die at; all that occur, if empty.
        enough: share of the deaths that must happen. The number of steps differs a little between tellings, so not
            every telling reaches the step that was chosen.
    """

    app: str
    tell: Callable[[RestateServer, EffectLog, str], None]
    services: str
    needs: Collection[str]
    over: tuple[str, ...] = ("completed", "scheduled")
    dies_at: Collection[str] = ()
    enough: float = 0.9

    @property
    def pending(self) -> str:
        """SQL condition for invocations that have to end before the next telling."""
        return f"{self.services} AND status NOT IN ({', '.join(map(repr, self.over))})"


@contextmanager
def mortal(server: RestateServer, effects: EffectLog, folder: Path, app: str, **env: str) -> Iterator[Served]:
    """Serve the story's application. If it or its server dies, start that again.

    Each process of the application takes the other way than the one before, and has to go on with its journals.
    """
    log = folder / "steps"
    ways = cycle(({"DURABLE_FSM_SHORT_WAY": "0"}, {"DURABLE_FSM_SHORT_WAY": "1"}))
    over = threading.Event()
    with Served.begin(
        app,
        server,
        log=folder / "service.log",
        app_dir=HERE,
        env={**effects.env, "DURABLE_FSM_PAYLOAD_CHECKS": "1", "DYING_LOG": str(log), **env},
    ) as served:

        def watch() -> None:
            while not over.wait(0.02):
                if not server.process.alive:
                    server.start()
                if not served.process.alive:
                    served.restart(env=next(ways))

        def victim() -> int | None:
            return server.process.pid if "DYING_PID" in env else served.process.pid

        first = victim()
        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield served
            if log.with_suffix(".died").exists():
                # A moment after the last step may be while we tidy up.
                wait_until(lambda: victim() != first, what="the victim to be back")
        finally:
            over.set()
            watching.join()


@dataclass(frozen=True)
class Killer:
    """Kills at durable steps, on the server that the fixture `name` gives."""

    name: str
    server: RestateServer
    effects: EffectLog
    folder: Path
    scale: int
    dice: random.Random

    def die_at_every_step(self, story: Story, some: Callable[[Sequence[str]], Sequence[str]]) -> None:
        """Tell the story once without a death, then once for each death, and check that nearly all deaths happened.

        At SCALE=10 there is a death for each kind, step, moment and victim; otherwise *some* chooses among the kinds, and
        chance picks one death of each chosen kind.
        """
        steps = self._steps_of(story)
        kinds = sorted(story.dies_at or steps)
        wanted = kinds if self.scale >= 10 else some(kinds)
        deaths = [death for kind in wanted for death in self._deaths(kind, steps[kind])]
        died = sum(self._tell_with(story, number, *death) for number, death in enumerate(deaths))
        print(f"{died} of {len(deaths)} deaths among {sum(steps.values())} steps: {dict(sorted(steps.items()))}")
        assert died >= story.enough * len(deaths)

    def _steps_of(self, story: Story) -> Counter[str]:
        whole = self.folder / "whole"
        whole.mkdir()
        with mortal(self.server, self.effects, whole, story.app):
            story.tell(self.server, self.effects, self._name(story, "whole"))
        steps = Counter((whole / "steps").read_text().split())
        assert set(story.needs) <= steps.keys(), f"the story has no {set(story.needs) - steps.keys()}"
        return steps

    def _deaths(self, kind: str, steps: int) -> list[tuple[str, str]]:
        """Where to die, as `DYING_AT` says it, and who dies. The last steps are not reached in every telling."""
        reached = range(1, max(1, steps * 3 // 4) + 1)
        every = [(f"{kind}:{step}:{moment}", victim) for step in reached for moment in MOMENTS for victim in VICTIMS]
        return every if self.scale >= 10 else [self.dice.choice(every)]

    def _tell_with(self, story: Story, number: int, death: str, victim: str) -> bool:
        """Tell the story with a death; whether it happened. If Restate's server loses a message, tell it again."""
        print(f"the {victim} dies: {death}")  # shown with a failure
        for telling in (f"{number}", f"{number}-again", f"{number}-once-more"):
            folder = self.folder / telling
            folder.mkdir()
            env = {"DYING_PID": str(self.server.process.pid)} if victim == "server" else {}
            with mortal(self.server, self.effects, folder, story.app, DYING_AT=death, **env):
                try:
                    story.tell(self.server, self.effects, self._name(story, telling))
                    wait_until(lambda: self._is_settled(story), timedelta(seconds=60), "everything to end")
                except Exception as error:
                    lost = lost_messages(self.server, story.services)
                    if not lost:
                        error.add_note("\n".join(self._left(story)))
                        raise
                    print(f"Restate's server has lost a message: {lost}")
                    self._end_all(story)
                    continue
            return (folder / "steps.died").exists()
        raise AssertionError("Restate's server has lost messages three times")

    def _end_all(self, story: Story) -> None:
        """Kill the invocations of a telling that cannot end, so that the next one finds nothing of it."""
        for row in self.server.query(f"SELECT id FROM sys_invocation WHERE {story.pending}"):
            self.server.kill_invocation(row["id"])
        wait_until(lambda: self._is_settled(story), timedelta(seconds=60), "everything to be killed")

    def _is_settled(self, story: Story) -> bool:
        return not insisted(lambda: self.server.query(f"SELECT id FROM sys_invocation WHERE {story.pending}"))

    def _left(self, story: Story) -> list[str]:
        """The invocations that have not ended, each with its journal."""
        rows = self.server.query(f"SELECT id, target, status FROM sys_invocation WHERE {story.pending}")
        journal = "SELECT index, entry_type, name FROM sys_journal WHERE id = '{}' ORDER BY index"
        return [f"{row}: {self.server.query(journal.format(row['id']))}" for row in rows]

    def _name(self, story: Story, telling: object) -> str:
        """The prefix of keys and effects of a telling; no two tellings share one."""
        return f"{story.app.partition(':')[0]}-{self.name}-{telling}"
