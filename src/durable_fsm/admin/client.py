"""A client of Restate's admin API, as far as this project needs it."""

from __future__ import annotations

import difflib
import socket
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self, cast

import httpx

from durable_fsm.admin.readings import TOO_MANY_REQUESTS, TRIES, Row, passes, rows_in, wait_before
from durable_fsm.core.values import Json
from durable_fsm.errors import quoted

PATIENCE_SECONDS = 30.0
NOT_FOUND = 404
JSON = {"accept": "application/json"}


class AdminRefused(RuntimeError):
    """Restate's admin API cannot be reached, or refuses a request. The message says what to do."""


class UnknownChart(LookupError):
    """A server has no chart of this name. The message says which it has, and the nearest."""

    def __init__(self, server: str, chart: str, known: Sequence[str]) -> None:
        has = f"It has {quoted(known)}." if known else "It has none: register a service first."
        close = difflib.get_close_matches(chart, known, n=1, cutoff=0.5)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        super().__init__(f"there is no chart '{chart}' at {server}. {has}{hint}")


class Admin:
    """Restate's admin API at *url*. Closes the *http* client that it is given.

    A request that the server refuses because it is busy is tried three times, after a wait by *pause*, which is given
    seconds; so is one that only reads, and fails because memory is short or a partition is moving.
    """

    def __init__(
        self, url: str, http: httpx.Client | None = None, pause: Callable[[float], object] = time.sleep
    ) -> None:
        self.url = url.rstrip("/")
        self._http = http or httpx.Client(timeout=PATIENCE_SECONDS)
        self._pause = pause

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def clusters(self) -> dict[str, dict[str, str]]:
        """Properties of each Kafka cluster, by name."""
        return {cluster["name"]: cluster["properties"] for cluster in self.ask("GET", "/kafka-clusters")["clusters"]}

    def subscriptions(self) -> list[Row]:
        """All subscriptions, in the order of their ids."""
        found: list[Row] = self.ask("GET", "/subscriptions")["subscriptions"]
        return sorted(found, key=lambda subscription: subscription["id"])

    def handlers(self, service: str) -> set[str]:
        """Names of a service's handlers; empty if the service is not registered."""
        answer = self._send("GET", f"/services/{service}", None)
        if answer.status_code == NOT_FOUND:
            return set()
        return {handler["name"] for handler in self._read(answer, f"GET /services/{service}")["handlers"]}

    def query(self, sql: str) -> list[Row]:
        """Query Restate's SQL tables; quote texts with `literal`."""
        rows: list[Row] = self.ask("POST", "/query", {"query": sql})["rows"]
        return rows

    def stream(self, sql: str) -> Iterator[Row]:
        """As `query`, row by row while the answer arrives: for answers that should not be held in memory at once.

        Raises:
            AdminRefused: as for `ask`; also when the server breaks off in the middle, after some rows.
        """
        for attempt in range(1, TRIES + 1):
            with self._opened("POST", "/query", {"query": sql}) as answer:
                if answer.is_success:
                    yield from self._rows(answer)
                    return
                self._read_rest(answer)
            if attempt == TRIES or not _is_passing(answer):
                self._read(answer, "POST /query")
            self._pause(wait_before(attempt, answer.headers.get("retry-after")))

    @contextmanager
    def _opened(self, method: str, path: str, body: Json) -> Generator[httpx.Response]:
        """Send a request; the answer is not read yet, only its head."""
        try:
            request = self._http.build_request(method, f"{self.url}{path}", json=body, headers=JSON)
            answer = self._http.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error
        try:
            _acknowledge(answer)
            yield answer
        finally:
            answer.close()

    def _rows(self, answer: httpx.Response) -> Iterator[Row]:
        many = 0
        try:
            for row in rows_in(answer.iter_bytes()):
                many += 1
                yield row
        except (httpx.HTTPError, ValueError) as error:
            problem = (
                f"The server at {self.url} broke off its answer after {many:,} rows: {error}. Run the command again."
            )
            raise AdminRefused(problem) from error

    def ask(self, method: str, path: str, body: Json = None) -> Any:  # Any: as for Row
        """Send a request and return the JSON of its answer.

        Raises:
            AdminRefused: the API cannot be reached, or the answer is an error.
        """
        return self._read(self._send(method, path, body), f"{method} {path}")

    def _send(self, method: str, path: str, body: Json) -> httpx.Response:
        attempt = 0
        while True:
            attempt += 1
            with self._opened(method, path, body) as answer:
                self._read_rest(answer)
            is_refused = answer.status_code == TOO_MANY_REQUESTS  # before it was done
            reads = method == "GET" or path == "/query"
            if attempt == TRIES or not (is_refused or (reads and _is_passing(answer))):
                return answer
            self._pause(wait_before(attempt, answer.headers.get("retry-after")))

    def _read_rest(self, answer: httpx.Response) -> None:
        try:
            answer.read()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> AdminRefused:
        why = str(error) or type(error).__name__
        where = f"Restate's admin API cannot be reached at {self.url}: {why}."
        return AdminRefused(f"{where} Is `durable-fsm dev` running? Name another with --admin.")

    def _read(self, answer: httpx.Response, asked: str) -> Any:  # Any: as for Row
        try:
            content: Any = answer.json() if answer.content else {}
        except ValueError as error:
            problem = f"The server at {self.url} is not Restate's admin API. Name it with --admin."
            raise AdminRefused(problem) from error
        if answer.is_error:
            message = cast("Row", content).get("message") if isinstance(content, dict) else None
            if str(message).startswith("bad path"):
                problem = f"The server at {self.url} is Restate's ingress, not its admin API. Name that with --admin."
                raise AdminRefused(problem)
            raise AdminRefused(f"Restate refuses {asked}: {message or answer.status_code}")
        return content


def _acknowledge(answer: httpx.Response) -> None:
    """Acknowledge the head of an answer at once, where the system can do that.

    Restate sends an answer in several small pieces, and each only when the one before is acknowledged; the system would
    wait 40 ms before that. A point read takes 1 ms instead of 45 (measured: Linux, server 1.7.12).
    """
    stream = answer.extensions.get("network_stream")
    connection = stream.get_extra_info("socket") if stream is not None else None
    if connection is not None and hasattr(socket, "TCP_QUICKACK"):
        with suppress(OSError):  # a socket of another kind
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _is_passing(answer: httpx.Response) -> bool:
    return answer.is_error and passes(answer.status_code, answer.text)


def literal(text: str) -> str:
    """*text* as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
