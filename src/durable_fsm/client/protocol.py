"""One call as a generator: requests and pauses come out, what became of them goes in. No network and no clock here."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias, TypeVar

from durable_fsm.client.failures import error_of
from durable_fsm.errors import NoAnswer, UnexpectedAnswer

T = TypeVar("T")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0

WARMING_UP = 5.0
"""Seconds for which a server that begins may say that it knows no such service."""

UNAVAILABLE = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What to send. `repeatable` says that to send it twice does no more than to send it once.

    `lasts` is how long its answer may rightly take beyond the client's timeout.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    repeatable: bool = True
    lasts: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What came back, at which instant of a clock that only goes forward, in seconds."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    at: float


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer came: what the network said, and when."""

    problem: str
    at: float


Answer: TypeAlias = HttpResponse | Lost | None
Exchange: TypeAlias = Generator[HttpRequest | Pause, Answer, T]


@dataclass(frozen=True, slots=True)
class Ingress:
    """Where calls go, for messages, and how long one is patient with a server that does not answer."""

    url: str
    patience: timedelta

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"'{self.url}' is no URL of an ingress; write it as http://localhost:8080")


def ask(ingress: Ingress, request: HttpRequest, *, chart: str, key: str | None) -> Exchange[HttpResponse]:
    """Send *request* until a machine has answered; the answer is a success.

    An outage begins with the first failure; an attempt that was held for longer than the patience begins a new one.

    Raises:
        NoAnswer: nobody has answered in time, or to repeat the request would not be safe.
        UnexpectedAnswer: it was answered by what is no machine of ours.
        DurableFSMError: what the machine has answered.
    """
    patience = ingress.patience.total_seconds()
    pause, attempts, begun, before = FIRST_PAUSE, 0, None, None
    while True:
        answer = yield request
        assert answer is not None
        attempts += 1
        problem, limit = _trouble(answer, patience)
        if problem is None:
            assert isinstance(answer, HttpResponse)
            if answer.status >= 400:
                raise error_of(answer.status, answer.body, chart=chart, key=key)
            return answer
        if begun is None or (before is not None and answer.at - before > patience):
            begun, pause = answer.at, FIRST_PAUSE
        before = answer.at
        if not request.repeatable or answer.at - begun + pause > limit:
            if isinstance(answer, HttpResponse) and answer.status == 404:
                raise UnexpectedAnswer(chart=chart, key=key, status=404, text=problem, remedy=_REGISTER)
            waited = timedelta(seconds=round(answer.at - begun, 3))
            raise NoAnswer(chart=chart, key=key, url=ingress.url, attempts=attempts, waited=waited, problem=problem)
        yield Pause(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


_REGISTER = "Check the chart's name; register the deployment that hosts it."


def _trouble(answer: HttpResponse | Lost, patience: float) -> tuple[str | None, float]:
    """What is wrong with the way to the machine, and for how many seconds that may last."""
    if isinstance(answer, Lost):
        return answer.problem, patience
    said = answer.headers.get("x-restate-error-source", "")
    if answer.status in UNAVAILABLE and said != "invocation":
        return f"status {answer.status}: {text_of(answer.body)}", patience
    if answer.status == 404 and said == "ingress" and b"invocation" not in answer.body:
        return text_of(answer.body), min(WARMING_UP, patience)
    return None, patience


def text_of(body: bytes) -> str:
    """The message of an error, or the beginning of what came instead."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, TypeError, KeyError):
        return body[:500].decode(errors="replace")
