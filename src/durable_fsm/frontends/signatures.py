"""How providers sign their requests. A scheme has the name of an environment variable; the host reads the secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from typing import Literal

from durable_fsm.core.sources import Request


@dataclass(frozen=True, slots=True)
class HmacSha256:
    """The body's HMAC-SHA256 in a header, as GitHub signs (`X-Hub-Signature-256: sha256=<hex>`), Shopify and others.

    Args:
        secret: the environment variable that holds the secret.
        header: where the signature is.
        prefix: the text before it, such as `sha256=`.
        encoding: how its bytes are written.
    """

    _: KW_ONLY
    secret: str
    header: str
    prefix: str = ""
    encoding: Literal["hex", "base64"] = "hex"

    @property
    def tolerance(self) -> timedelta | None:
        """None: such a signature does not contain a time."""
        return None

    def signed_at(self, request: Request, secret: bytes) -> float | None:
        """See `Signature.signed_at`."""
        given = _header(request, self.header)
        if not given.startswith(self.prefix):
            raise ValueError(f"header '{self.header}' does not begin with '{self.prefix}'.")
        digest = hmac.digest(secret, request.body, hashlib.sha256)
        wanted = digest.hex().encode() if self.encoding == "hex" else base64.b64encode(digest)
        _compare(wanted, given.removeprefix(self.prefix), self.header)
        return None


@dataclass(frozen=True, slots=True)
class StripeSignature:
    """A time and the HMAC-SHA256 of time and body in a header, as Stripe signs: `t=1700000000,v1=<hex>`.

    While a secret is being replaced there are several `v1`; one that fits is enough.

    Args:
        secret: the environment variable that holds the secret.
        tolerance: how old a signature may be, and how far ahead the provider's clock may be.
        header: where the signature is.
    """

    _: KW_ONLY
    secret: str
    tolerance: timedelta = timedelta(minutes=5)
    header: str = "Stripe-Signature"

    def signed_at(self, request: Request, secret: bytes) -> float:
        """See `Signature.signed_at`."""
        parts = [part.strip().partition("=") for part in _header(request, self.header).split(",")]
        times = [value for name, _, value in parts if name == "t"]
        signatures = [value for name, _, value in parts if name == "v1"]
        if len(times) != 1 or not _is_time(times[0]) or not signatures:
            raise ValueError(f"header '{self.header}' is not 't=<seconds>,v1=<signature>'.")
        signed = times[0].encode() + b"." + request.body
        wanted = hmac.digest(secret, signed, hashlib.sha256).hex().encode()
        fits = [hmac.compare_digest(wanted, _bytes(given)) for given in signatures]
        if not any(fits):
            raise ValueError(f"the signature in header '{self.header}' is wrong.")
        return float(times[0])


@dataclass(frozen=True, slots=True)
class SlackSignature:
    """A time in one header and the HMAC-SHA256 of time and body in another, as Slack signs: `v0=<hex>`.

    Args:
        secret: the environment variable that holds the signing secret.
        tolerance: how old a signature may be, and how far ahead Slack's clock may be.
    """

    _: KW_ONLY
    secret: str
    tolerance: timedelta = timedelta(minutes=5)

    def signed_at(self, request: Request, secret: bytes) -> float:
        """See `Signature.signed_at`."""
        at, given = _header(request, "X-Slack-Request-Timestamp"), _header(request, "X-Slack-Signature")
        if not _is_time(at) or not given.startswith("v0="):
            raise ValueError(
                "the headers are not 'X-Slack-Request-Timestamp: <seconds>', 'X-Slack-Signature: v0=<hex>'."
            )
        wanted = hmac.digest(secret, f"v0:{at}:".encode() + request.body, hashlib.sha256).hex().encode()
        _compare(wanted, given.removeprefix("v0="), "X-Slack-Signature")
        return float(at)


def _is_time(text: str) -> bool:
    """Whether it is a number of seconds, as providers write it; Python's own numbers may look different."""
    return text.isascii() and text.isdigit() and len(text) < 16


def _header(request: Request, name: str) -> str:
    given = request.headers.get(name.lower())
    if given is None:
        raise ValueError(f"header '{name}' is missing.")
    return given


def _compare(wanted: bytes, given: str, header: str) -> None:
    if not hmac.compare_digest(wanted, _bytes(given)):
        raise ValueError(f"the signature in header '{header}' is wrong.")


def _bytes(text: str) -> bytes:
    """The bytes of a header's text, which can be compared in constant time."""
    return text.encode("utf-8", "replace")
