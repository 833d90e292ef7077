"""Read what the process of `watch_app.py` writes: logs, spans and counts. The fixture `watched` gives it to tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from durable_fsm.testing import EffectLog, RestateServer, free_port

if TYPE_CHECKING:
    from tests.server.conftest import Host

Row = dict[str, Any]


@dataclass
class Watched:
    """A host, and the files that its process writes."""

    host: Host
    directory: Path

    @classmethod
    @contextmanager
    def on(
        cls, hosting: type[Host], effects: EffectLog, directory: Path, *, always_replay: bool = False
    ) -> Iterator[Self]:
        """Serve the charts for a server that traces; its own traces may go to an address without a listener."""
        settings = {"RESTATE_TRACING_ENDPOINT": f"http://127.0.0.1:{free_port()}", "RESTATE_LOG_FILTER": "error"}
        files = {
            "WATCH_LOG": str(directory / "log"),
            "WATCH_SPANS": str(directory / "spans"),
            "WATCH_COUNTS": str(directory / "counts"),
        }
        with (
            RestateServer(always_replay=always_replay, env=settings) as server,
            hosting.on(
                server, effects, directory / "service.log", "watch_app:watch_app", to_the_end=True, **files
            ) as host,
        ):
            yield cls(host, directory)

    def logged(self, key: str, *kinds: str) -> list[Row]:
        """Log records of one machine, of these kinds, in order. Without kinds all but tracebacks, of which many are left out."""
        rows = self._rows("log")
        return [
            row
            for row in rows
            if row.get("key") == key and (row["kind"] in kinds if kinds else row["kind"] != "raised")
        ]

    def everything_logged(self) -> list[Row]:
        return self._rows("log")

    def spans(self, key: str) -> list[Row]:
        """Spans of one machine, in order of their ends."""
        return [row for row in self._rows("spans") if row["attributes"].get("durable_fsm.key") == key]

    def counts(self, name: str, **labels: str) -> int:
        """The value of a counter with these labels."""
        path = self.directory / "counts"
        points: list[Row] = json.loads(path.read_text()) if path.exists() else []
        wanted = {"name": name, **labels}
        return sum(point["count"] for point in points if wanted.items() <= point.items())

    def uncounted(self) -> None:
        """Begin to count anew, in a new process."""
        self.host.served.kill()
        (self.directory / "counts").unlink(missing_ok=True)
        self.host.served.restart()

    @contextmanager
    def of_another_version(self) -> Iterator[None]:
        """A deployment that does not know the snapshots of `Worker`, as long as the block lasts."""
        self.host.served.restart(env={"WATCH_VERSION": "2"})
        try:
            yield
        finally:
            self.host.served.restart(env={"WATCH_VERSION": "1"})

    def text(self) -> str:
        """Everything that was written, in all files."""
        return "".join(path.read_text() for path in sorted(self.directory.iterdir()) if path.is_file())

    def _rows(self, name: str) -> list[Row]:
        path = self.directory / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
