"""Guard against other sites and other hosts: checks before every request, and headers on every answer."""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none';"
    " require-trusted-types-for 'script'; trusted-types fsm"
)
"""No script and no style but our own files; and a script can make markup only by the policy `fsm`, of our own fragments."""

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",  # the address of a page has keys of machines
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

SAFE = ("GET", "HEAD")

_HOST = re.compile(r"^\[?([^\]]*?)\]?(?::\d+)?$")


class RequestGuard:
    """Refuse requests that name another host, and changes that another site asks for; add the headers.

    A page of another site can send its visitors' browsers to a name that it resolves to 127.0.0.1: the browser then believes
    that the answer belongs to that site. The header `Host` says which name it was.

    Args:
        hosts: the names under which the console may be reached; `*` allows every name.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            await send(message)

        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if not self._is_ours(headers.get(b"host", "")):
            answer = PlainTextResponse(
                "This console does not answer to this host name. Name it with --allow-host.\n", 403
            )
            return await answer(scope, receive, with_headers)
        if scope["method"] not in SAFE and not _same_site(headers):
            answer = PlainTextResponse("Requests of other sites are refused.\n", 403)
            return await answer(scope, receive, with_headers)
        await self._app(scope, receive, with_headers)

    def _is_ours(self, host: str) -> bool:
        return "*" in self._hosts or host_of(host) in self._hosts


def host_of(header: str) -> str:
    """The name in a header `Host`, without its port; empty if there is none."""
    found = _HOST.match(header.strip().lower())
    return "" if found is None else found[1]


def _same_site(headers: dict[bytes, str]) -> bool:
    """Whether a change is asked for by our own pages: by `Sec-Fetch-Site`, or `Origin` from a browser without it."""
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get(b"origin", "")
    return origin.partition("://")[2] == headers.get(b"host", "") != ""
