"""An application that a test serves in a real process, registered with a real Restate server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from durable_fsm.local.closing import Closing
from durable_fsm.local.process import ServiceProcess
from durable_fsm.local.server import Deployment, RestateServer
from durable_fsm.serving import ServerName

__all__ = ["Served"]


@dataclass(slots=True)
class Served(Closing):
    """A served application, as the fixture `serve` returns it. Port and deployment stay through `kill` and `restart`."""

    process: ServiceProcess
    server: RestateServer
    deployment: Deployment

    @classmethod
    def begin(
        cls,
        app: str,
        server: RestateServer,
        *,
        log: Path,
        app_dir: Path | None = None,
        env: Mapping[str, str] | None = None,
        http1: bool = False,
        path: str = "",
        by: ServerName = "hypercorn",
    ) -> Self:
        """Start a process that serves *app* (`"module:attribute"`) *by* this server, and register it with *server*.

        Args:
            path: Where *app* mounts the application of `durable_fsm.app`: `"/machines"`.
        """
        process = ServiceProcess.serving(app, log=log, env=env, app_dir=app_dir, fork=True, by=by)
        try:
            process.start().wait_ready()
            return cls(process, server, server.register(f"{process.url}{path}", http1=http1))
        except BaseException:
            process.close()
            raise

    @property
    def url(self) -> str:
        """The address at which Restate reaches the application. Clients use `ingress_url`."""
        return self.process.url

    @property
    def ingress_url(self) -> str:
        """The address at which clients reach the machines: `SyncClient(served.ingress_url)`."""
        return self.server.ingress_url

    def kill(self) -> None:
        """SIGKILL the whole process tree; return when it is gone and its port refuses connections."""
        self.process.kill()

    def restart(self, *, graceful: bool = False, env: Mapping[str, str] | None = None) -> Self:
        """Kill it, start it again on the same port with another PYTHONHASHSEED, and wait until it serves.

        Args:
            graceful: Stop it by SIGTERM instead of SIGKILL.
            env: Added to its environment, from now on.
        """
        self.process.restart(graceful=graceful, env=env).wait_ready()
        return self

    def close(self) -> None:
        """Kill it, and remove its invocations, its state and its deployment from the server."""
        try:
            if self.server.process.alive:
                self.server.clear(self.deployment)
                self.server.deregister(self.deployment)
        finally:
            self.process.close()
