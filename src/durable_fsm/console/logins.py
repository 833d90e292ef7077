"""Find the operator who sends a request: by a session of our own, or by the header of a proxy that has checked the login."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from durable_fsm.console.operators import Operator, OperatorBook
from durable_fsm.console.request_guard import LOOPBACK, host_of
from durable_fsm.core.chart import Chart

SESSION_SECONDS = 8 * 3_600
MOST_SESSIONS = 10_000

COOKIE = "fsm-session"
"""Name of the cookie on this computer; elsewhere it begins with `__Host-`, so that no other host of the domain can set it."""

FAILURES, FAILURE_SECONDS = 5, 60.0
"""After so many wrong passwords for a name, it has to wait so long."""

MOST_NAMES = 10_000
"""Names for which wrong passwords are remembered: the latest."""

INVITED = "dev"
"""The name of the operator who comes by the link that `durable-fsm dev` prints."""


@dataclass(frozen=True)
class ActingOptions:
    """The people who may act through a console, and how they say who they are.

    Attributes:
        secret: with which requests are signed; the service knows it, too.
        book: the operators that may log in; with a proxy, those whom it may name.
        proxy_header: in which a proxy names the operator who has logged in there.
        invitation: a token that admits its first bearer to everything.
        charts: those of which the code is here, by name: what an event would do is computed by it.
        asks_why: whether an operator has to give a reason for an event, too.
    """

    secret: str = field(repr=False)
    book: OperatorBook | None = None
    proxy_header: str = ""
    invitation: str = field(default="", repr=False)
    charts: Mapping[str, Chart] = field(default_factory=dict[str, Chart])
    asks_why: bool = True


@dataclass(frozen=True, slots=True)
class OperatorSession:
    """An operator who has logged in; `until` is a time of the monotonic clock."""

    operator: Operator
    csrf: str
    until: float


class OperatorLogins:
    """Knows who has logged in; *clock* is monotonic, in seconds."""

    def __init__(self, options: ActingOptions | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.options = options
        self._clock = clock
        self._sessions: OrderedDict[str, OperatorSession] = OrderedDict()
        self._attempts: OrderedDict[str, list[float]] = OrderedDict()
        self._invitation = "" if options is None else options.invitation
        self._key = secrets.token_bytes(32)

    @property
    def has_login(self) -> bool:
        """Whether operators log in here."""
        return self.options is not None and self.options.book is not None and not self.options.proxy_header

    # ── whose request it is ───────────────────────────────────────────────────────────────────────────────────────

    def operator_of(self, request: Request) -> Operator | None:
        """The operator who has sent a request, if one is logged in."""
        if self.options is None:
            return None
        if self.options.proxy_header:
            names = request.headers.getlist(self.options.proxy_header)
            name = names[0].strip() if len(names) == 1 else ""  # of several, some are not the proxy's
            if not name:
                return None
            return Operator.of_everything(name) if self.options.book is None else self.options.book.named(name)
        session = self._session_of(request)
        return None if session is None else session.operator

    def csrf_of(self, request: Request) -> str:
        """The token that a form of this operator has to bring back; empty if none is logged in."""
        if self.options is not None and self.options.proxy_header:
            operator = self.operator_of(request)
            return "" if operator is None else hmac.new(self._key, operator.name.encode(), hashlib.sha256).hexdigest()
        session = self._session_of(request)
        return "" if session is None else session.csrf

    def _session_of(self, request: Request) -> OperatorSession | None:
        key = request.cookies.get(cookie_name(request), "")
        session = self._sessions.get(_digest(key)) if key else None
        if session is not None and session.until <= self._clock():
            self._sessions.pop(_digest(key), None)
            return None
        return session

    # ── coming and going ──────────────────────────────────────────────────────────────────────────────────────────

    def may_try(self, name: str) -> bool:
        """Count an attempt to log in as wrong until `succeeded`; False if there were too many of them lately.

        It counts before the password is looked at: otherwise all that arrive at the same time would be let through.
        """
        now = self._clock()
        recent = [at for at in self._attempts.pop(name, ()) if now - at < FAILURE_SECONDS]
        is_allowed = len(recent) < FAILURES
        self._attempts[name] = [*recent, now] if is_allowed else recent
        while len(self._attempts) > MOST_NAMES:
            self._attempts.popitem(last=False)
        return is_allowed

    def succeeded(self, name: str) -> None:
        """Forget the attempts of a name: one had the right password."""
        self._attempts.pop(name, None)

    def admitted(self, name: str, password: str) -> Operator | None:
        """The operator of this name and password; this takes a while."""
        book = None if self.options is None else self.options.book
        return None if book is None else book.admitted(name, password)

    def invited(self, token: str) -> Operator | None:
        """The operator who brings the invitation; it counts once."""
        if not self._invitation or not hmac.compare_digest(token.encode(), self._invitation.encode()):
            return None
        self._invitation = ""
        return Operator.of_everything(INVITED)

    def begin(self, request: Request, response: Response, operator: Operator) -> None:
        """Begin a session, always under a new key: one that was planted in the browser before is worth nothing."""
        self.end(request, response)
        key, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._sessions[_digest(key)] = OperatorSession(operator, csrf, self._clock() + SESSION_SECONDS)
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        response.set_cookie(
            cookie_name(request),
            key,
            max_age=SESSION_SECONDS,
            path="/",
            secure=not _is_local(request),
            httponly=True,
            samesite="strict",
        )

    def end(self, request: Request, response: Response) -> None:
        """End the session of a request, if it has one."""
        key = request.cookies.get(cookie_name(request), "")
        if key:
            self._sessions.pop(_digest(key), None)
            response.delete_cookie(
                cookie_name(request), path="/", secure=not _is_local(request), httponly=True, samesite="strict"
            )


def cookie_name(request: Request) -> str:
    """The name of the session's cookie where the browser is."""
    return COOKIE if _is_local(request) else f"__Host-{COOKIE}"


def _is_local(request: Request) -> bool:
    return host_of(request.headers.get("host", "")) in LOOPBACK


def _digest(key: str) -> str:
    """Sessions are found by the digest of their key: how long a search takes tells nothing about the key."""
    return hashlib.sha256(key.encode()).hexdigest()
