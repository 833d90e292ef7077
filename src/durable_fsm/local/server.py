"""A native Restate server of one's own: small, with its own ports and data, and easy to kill."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx

from durable_fsm.admin.client import literal
from durable_fsm.admin.readings import Row
from durable_fsm.local import native
from durable_fsm.local.closing import Starting
from durable_fsm.local.failures import AdminError
from durable_fsm.local.process import HOST, START_PATIENCE, STOP_PATIENCE, ServiceProcess, free_port
from durable_fsm.local.waiting import wait_until
from durable_fsm.serving.discovery import discovered

__all__ = ["Deployment", "RestateServer", "wait_until"]

_LEAN = {
    "RESTATE_DEFAULT_NUM_PARTITIONS": "1",
    "RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE": "32MB",
    "RESTATE_DISABLE_TELEMETRY": "true",
    # Silenced: octocrab, which looks for updates on the network, and failed queries, which raise in the caller. Heard: the
    # public key of a server that signs its requests.
    "RESTATE_LOG_FILTER": "warn,octocrab=off,restate_admin::query_utils=off,restate_service_client=info",
    "RESTATE_LOG_DISABLE_ANSI_CODES": "true",
    "RESTATE_SHUTDOWN_TIMEOUT": "5s",
    "RESTATE_NODE_NAME": "test",
    "RESTATE_LISTEN_MODE": "tcp",
    "RESTATE_BIND_IP": HOST,
    # A test ends its outage soon: with the default intervals the next attempt could be a minute away.
    "RESTATE_DEFAULT_RETRY_POLICY__INITIAL_INTERVAL": "50ms",
    "RESTATE_DEFAULT_RETRY_POLICY__MAX_INTERVAL": "1s",
    "RESTATE_WORKER__INVOKER__ABORT_TIMEOUT": "10m",
}
_KEEP_ATTEMPTS_OPEN = "10m"
_REPLAY_AT_EVERY_AWAIT = "0s"
_ASKED_AT_START = ("sys_invocation", "state", "sys_journal")
_NOT_FOUND = 404
_NEVER_INVOKED = "inv_17VXkgWZ2yrQ6m8TtHLFb1yBBx6IlBxkvN"
_REQUEST_PATIENCE = timedelta(seconds=60)
_CLEAR_PATIENCE = timedelta(minutes=3)
"""Invocations are purged one by one, and some tests leave thousands of them."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A registered service."""

    id: str
    uri: str
    services: tuple[str, ...]


class RestateServer(Starting):
    """One native Restate server with its own ports and its own data, which survive `kill` and `restart`.

        with RestateServer() as server:
            server.register(service.url)
            assert server.call("Counter", "one", "add", 2) == 2
            server.kill()
            server.start()

    Every method is synchronous and may be called from any thread. In an async test write
    `await asyncio.to_thread(server.register, url)`, or use an `httpx.AsyncClient` with `ingress_url` and `admin_url`.

    Args:
        always_replay: Let Restate suspend every invocation at each await and replay it from its journal. Code that is
            not deterministic then fails at once (error 570) instead of after the first crash.
        base_dir: The directory for data and log, which `close` keeps; by default a directory that `close` removes.
        env: Added to the environment, as Restate reads it.
        binary: The server to run; by default the result of `native.obtain()`.
        ingress_port, admin_port: Where it listens; by default on free ports.
    """

    def __init__(
        self,
        *,
        always_replay: bool = False,
        base_dir: Path | None = None,
        env: Mapping[str, str] | None = None,
        binary: Path | None = None,
        ingress_port: int | None = None,
        admin_port: int | None = None,
    ) -> None:
        self._temporary = base_dir is None
        self.base_dir = Path(tempfile.mkdtemp(prefix="restate-")) if base_dir is None else base_dir
        self.always_replay = always_replay
        self.ingress_port = ingress_port or free_port()
        self.admin_port = admin_port or free_port()
        self.ingress_url = f"http://{HOST}:{self.ingress_port}"
        self.admin_url = f"http://{HOST}:{self.admin_port}"
        self.process = ServiceProcess(
            [str(binary or native.obtain())],
            port=self.ingress_port,
            log=self.base_dir / "restate-server.log",
            health=f"{self.ingress_url}/restate/health",
            env={
                **_LEAN,
                "RESTATE_WORKER__INVOKER__INACTIVITY_TIMEOUT": _REPLAY_AT_EVERY_AWAIT
                if always_replay
                else _KEEP_ATTEMPTS_OPEN,
                "RESTATE_BASE_DIR": str(self.base_dir),
                "RESTATE_BIND_PORT": str(free_port()),
                "RESTATE_INGRESS__BIND_PORT": str(self.ingress_port),
                "RESTATE_ADMIN__BIND_PORT": str(self.admin_port),
                **(env or {}),
            },
            cwd=self.base_dir,
            name="restate-server",
        )
        self._http = httpx.Client(
            timeout=_REQUEST_PATIENCE.total_seconds(),
            trust_env=False,
            verify=False,  # without TLS nothing is to be verified, and to load the certificates takes 15 ms
            # It may be killed between any two requests. Said to the server, because a pool that keeps no connection gives
            # one that it is about to close to another thread.
            headers={"connection": "close"},
            limits=httpx.Limits(max_connections=None),
        )

    # ── start and end ──────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, timeout: timedelta = START_PATIENCE) -> Self:
        """Start it, or start it again on the same data and ports; return when it accepts requests."""
        self.process.start()
        self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout: timedelta = START_PATIENCE) -> None:
        """Return when it accepts requests and answers queries."""
        self.process.wait_ready(f"{self.admin_url}/health", timeout)
        self.process.wait_ready(timeout=timeout)
        # Both are healthy a moment before the partition has a leader; until then queries fail, or find nothing.
        wait_until(self._leads, timeout, f"{self.process.name} to lead its partition")
        wait_until(self._answers_queries, timeout, f"{self.process.name} to answer queries")

    def kill(self) -> None:
        """SIGKILL it; return when its process is gone and its ingress refuses connections."""
        self.process.kill()

    def stop(self, grace: timedelta = STOP_PATIENCE) -> int | None:
        """SIGTERM it, and SIGKILL it after *grace*; return its exit code."""
        return self.process.stop(grace)

    def restart(self, *, graceful: bool = False, timeout: timedelta = START_PATIENCE) -> Self:
        """Kill it, or stop it if *graceful*, and start it again on the same data and ports."""
        if self.process.alive:
            if graceful:
                self.stop()
            else:
                self.kill()
        return self.start(timeout)

    def close(self) -> None:
        """Kill it and remove its data, unless *base_dir* was given."""
        self.process.close()
        self._http.close()
        if self._temporary:
            shutil.rmtree(self.base_dir, ignore_errors=True)

    # ── deployments ───────────────────────────────────────────────────────────────────────────────────────────────

    def register(self, uri: str, *, force: bool = False, http1: bool = False) -> Deployment:
        """Register the services at *uri*.

        Args:
            force: Register again a *uri* that is registered already; without it nothing happens then.
            http1: Use HTTP/1.1, as request and response, even if the service can speak HTTP/2.
        """
        answer = self._discover("POST", "/deployments", {"uri": uri, "force": force}, http1=http1)
        return Deployment(answer["id"], uri, tuple(service["name"] for service in answer["services"]))

    def readdress(self, deployment: Deployment | str, uri: str) -> None:
        """Move a deployment to *uri*. Invocations that are pinned to it continue there."""
        self._discover("PATCH", f"/deployments/{_id(deployment)}", {"uri": uri})

    def _discover(self, method: str, path: str, wanted: Mapping[str, object], *, http1: bool = False) -> Any:
        def ask(over_http1: bool) -> Any:  # noqa: FBT001 - Any: as `_admin`
            return self._admin(method, path, {**wanted, "use_http_11": over_http1})

        return discovered(ask, AdminError, http1=http1)

    def deregister(self, deployment: Deployment | str) -> None:
        """Remove a deployment. An invocation that is pinned to it can then never finish."""
        self._admin("DELETE", f"/deployments/{_id(deployment)}?force=true")

    def clear(self, deployment: Deployment) -> None:
        """Remove all invocations, running or completed, and all state of the services of a deployment."""
        names = _sql_list(deployment.services)

        def left() -> list[Row]:
            rows = self.query(f"SELECT id, status FROM sys_invocation WHERE target_service_name IN ({names})")
            for row in rows:
                verb = "purge" if row["status"] == "completed" else "kill"
                self._change(row["id"], verb, tolerate_missing=True)
            return rows

        wait_until(
            lambda: not left(), _CLEAR_PATIENCE, what=f"the end of all invocations of {', '.join(deployment.services)}"
        )
        stored = self.query(
            "SELECT DISTINCT service_name, service_key FROM state JOIN sys_service ON name = service_name"
            f" WHERE service_name IN ({names}) AND ty = 'virtual_object'"  # the state of a workflow is removed with its invocation
        )
        for row in stored:
            emptied: Row = {"object_key": row["service_key"], "new_state": {}}
            self._admin("POST", f"/services/{row['service_name']}/state", emptied)

    # ── invocations ───────────────────────────────────────────────────────────────────────────────────────────────

    def call(
        self,
        service: str,
        key: str | None,
        handler: str,
        body: object = None,
        *,
        idempotency_key: str | None = None,
    ) -> Any:  # JSON of a shape that the caller knows
        """Call a handler through the ingress and return its answer; `None` for an empty answer.

        Args:
            key: Key of the object; None for a service without keys.
            body: Sent as JSON; None sends no body.

        Raises:
            httpx.HTTPStatusError: The answer is 4xx or 5xx; `.response` has the body.
        """
        answer = self._post(_path(service, key, handler), body, idempotency_key)
        return answer.json() if answer.content else None

    def send(
        self,
        service: str,
        key: str | None,
        handler: str,
        body: object = None,
        *,
        after: timedelta = timedelta(0),
        idempotency_key: str | None = None,
    ) -> str:
        """Send a call, now or later, without waiting for its answer; return the invocation's id."""
        delay = f"?delay={after // timedelta(milliseconds=1)}ms" if after else ""
        answer: Row = self._post(f"{_path(service, key, handler)}/send{delay}", body, idempotency_key).json()
        return str(answer["invocationId"])

    def output(self, invocation_id: str) -> Any:  # as for call
        """Wait for the end of an invocation and return its answer.

        Raises:
            httpx.HTTPStatusError: It failed, or is unknown (404).
        """
        answer = self._http.get(f"{self.ingress_url}/restate/invocation/{invocation_id}/attach")
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def cancel(self, invocation_id: str) -> None:
        """Cancel an invocation: its code gets a terminal error at its next await."""
        self._change(invocation_id, "cancel")

    def kill_invocation(self, invocation_id: str) -> None:
        """Kill an invocation: its code is not told, its caller gets 409."""
        self._change(invocation_id, "kill")

    def pause(self, invocation_id: str) -> None:
        """Pause an invocation until `resume`: at once if it is backing off, else at the end of its attempt.

        A suspended invocation ignores this, and continues when its result is there.
        """
        self._change(invocation_id, "pause")

    def resume(self, invocation_id: str, *, deployment: str | None = None) -> None:
        """Continue a paused or backing-off invocation now, optionally on another deployment, or on `"latest"`."""
        self._change(invocation_id, "resume", f"?deployment={deployment}" if deployment else "")

    # ── queries ────────────────────────────────────────────────────────────────────────────────────────────

    def query(self, sql: str) -> list[Row]:
        """Query Restate's SQL tables: `state`, `sys_invocation`, `sys_journal`, `sys_deployment`, …

        A column that is NULL is missing from its row.
        """
        answer: dict[str, list[Row]] = self._admin("POST", "/query", {"query": sql})
        return answer["rows"]

    def invocations(self, service: str, key: str | None = None) -> list[Row]:
        """The rows of `sys_invocation` for a service, or for one key, oldest first."""
        only = "" if key is None else f" AND target_service_key = {literal(key)}"
        return self.query(
            "SELECT id, status, target_service_key, target_handler_name, retry_count, pinned_deployment_id,"
            " completion_result, completion_failure, last_failure FROM sys_invocation"
            f" WHERE target_service_name = {literal(service)}{only} ORDER BY created_at"
        )

    def status(self, invocation_id: str) -> str:
        """`pending`, `scheduled`, `ready`, `running`, `suspended`, `backing-off`, `paused`, `completed`, or `unknown`."""
        rows = self.query(f"SELECT status FROM sys_invocation WHERE id = {literal(invocation_id)}")
        return rows[0]["status"] if rows else "unknown"

    def state(self, service: str, key: str) -> dict[str, str]:
        """The state of one key of an object: values as text, by name."""
        rows = self.query(
            f"SELECT key, value_utf8 FROM state WHERE service_name = {literal(service)} AND service_key = {literal(key)}"
        )
        return {row["key"]: row["value_utf8"] for row in rows}

    def _leads(self) -> bool:
        try:  # only the leader knows that there was never such an invocation
            answer = self._http.get(f"{self.ingress_url}/restate/invocation/{_NEVER_INVOKED}/output")
        except httpx.TransportError:
            return False
        return answer.status_code == _NOT_FOUND

    def _answers_queries(self) -> bool:
        try:
            for table in _ASKED_AT_START * 2:  # one answer may be followed by a refusal while leadership settles
                self.query(f"SELECT * FROM {table} LIMIT 1")
        except AdminError as error:
            if error.status < 500:
                raise
            return False
        return True

    # ── HTTP ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _post(self, path: str, body: object, idempotency_key: str | None) -> httpx.Response:
        headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
        url = f"{self.ingress_url}{path}"
        if body is None:
            answer = self._http.post(url, headers=headers)
        else:
            answer = self._http.post(url, json=body, headers=headers)
        answer.raise_for_status()
        return answer

    def _admin(self, method: str, path: str, body: object = None) -> Any:  # JSON, of a shape the caller knows
        answer = self._http.request(
            method, f"{self.admin_url}{path}", json=body, headers={"accept": "application/json"}
        )
        if answer.is_error:
            raise AdminError(request=f"{method} {path}", status=answer.status_code, body=answer.text)
        return answer.json() if answer.content else None

    def _change(self, invocation_id: str, verb: str, query: str = "", *, tolerate_missing: bool = False) -> None:
        try:
            self._admin("PATCH", f"/invocations/{invocation_id}/{verb}{query}")
        except AdminError as error:
            if not (tolerate_missing and error.status in (404, 409)):
                raise


def _path(service: str, key: str | None, handler: str) -> str:
    return "/" + "/".join(quote(part, safe="") for part in (service, key, handler) if part is not None)


def _id(deployment: Deployment | str) -> str:
    return deployment.id if isinstance(deployment, Deployment) else deployment


def _sql_list(texts: tuple[str, ...]) -> str:
    return ", ".join(literal(text) for text in texts)
