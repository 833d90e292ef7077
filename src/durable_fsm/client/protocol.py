"""One call as a generator: it yields requests and pauses and receives their answers. No network and no clock here."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias, TypeVar

from durable_fsm.client.failures import error_of
from durable_fsm.core.operators import SignedRequest
from durable_fsm.errors import NoAnswer, UnexpectedAnswer

T = TypeVar("T")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0

WARMING_UP = 5.0
"""Seconds for which a server that has just started may answer that it does not know the service."""

UNAVAILABLE = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to send.

    Attributes:
        repeatable: sending it twice has the same effect as sending it once.
        lasts: how long its answer may take beyond the client's timeout.
        reads: whether it changes nothing. It is then not sent again if no answer came in time.
        signs: what an operator signs: it is signed when it is sent.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    repeatable: bool = True
    lasts: timedelta = timedelta(0)
    reads: bool = False
    signs: SignedRequest | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer; `at` is the time of a monotonic clock, in seconds."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    at: float


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer came: the network's error, and the time of a monotonic clock, in seconds.

    It was not `sent` if no server was there; it was too `slow` if there was one.
    """

    problem: str
    at: float
    sent: bool = True
    slow: bool = False


Answer: TypeAlias = HttpResponse | Lost | None
Exchange: TypeAlias = Generator[HttpRequest | Pause, Answer, T]


@dataclass(frozen=True, slots=True)
class Ingress:
    """Restate's ingress, and how long calls are repeated while it does not answer; whether an operator calls, who signs."""

    url: str
    patience: timedelta
    signed: bool = False

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"'{self.url}' is not a URL of Restate's ingress; write it as http://localhost:8080")


def ask(ingress: Ingress, request: HttpRequest, *, chart: str, key: str | None) -> Exchange[HttpResponse]:
    """Send *request* until a machine has answered; returns its answer, if that is a success.

    An outage begins with the first failure. An attempt that took longer than the patience begins a new one.

    Raises:
        NoAnswer: no answer came in time, or the request is not repeatable.
        UnexpectedAnswer: the answer does not come from a machine of ours.
        DurableFSMError: the machine answered with this error.
    """
    patience = ingress.patience.total_seconds()
    pause, attempts, begun, before = FIRST_PAUSE, 0, None, None
    sent = False
    while True:
        answer = yield request
        assert answer is not None
        attempts += 1
        sent = sent or not isinstance(answer, Lost) or answer.sent
        problem, limit = _trouble(answer, patience)
        if problem is None:
            assert isinstance(answer, HttpResponse)
            if answer.status >= 400:
                raise error_of(answer.status, answer.body, chart=chart, key=key)
            return answer
        if begun is None or (before is not None and answer.at - before > patience):
            begun, pause = answer.at, FIRST_PAUSE
        before = answer.at
        is_over = not request.repeatable or (request.reads and isinstance(answer, Lost) and answer.slow)
        if is_over or answer.at - begun + pause > limit:
            if isinstance(answer, HttpResponse) and answer.status == 404:
                raise UnexpectedAnswer(chart=chart, key=key, status=404, text=problem, remedy=_REGISTER)
            waited = timedelta(seconds=round(answer.at - begun, 3))
            raise NoAnswer(
                chart=chart, key=key, url=ingress.url, attempts=attempts, waited=waited, problem=problem,
                reads=request.reads, sent=sent,
            )  # fmt: skip
        yield Pause(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


_REGISTER = "Check the chart's name; register the deployment that hosts it."


def _trouble(answer: HttpResponse | Lost, patience: float) -> tuple[str | None, float]:
    """The problem on the way to the machine, if any, and how many seconds it may last."""
    if isinstance(answer, Lost):
        return answer.problem, patience
    said = answer.headers.get("x-restate-error-source", "")
    if answer.status in UNAVAILABLE and said != "invocation":
        return f"status {answer.status}: {text_of(answer.body)}", patience
    if answer.status == 404 and said == "ingress" and b"invocation" not in answer.body:
        return text_of(answer.body), min(WARMING_UP, patience)
    return None, patience


def text_of(body: bytes) -> str:
    """The message of an error, or the beginning of the body if it has none."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, TypeError, KeyError):
        return body[:500].decode(errors="replace")
