"""Ids of invocations that have an idempotency key, without waiting until Restate tells them.

To keep how something can be cancelled, a handler must know the id of the invocation that it sends. Restate tells it, but not
before the handler waits for it; over HTTP/1.1 that is a second request. Restate makes the id of an invocation with an
idempotency key from that key and from its target, so it can be foretold:

    inv_1<partition key, 11 digits><hash of target and idempotency key, 22 digits>

Source: Restate 1.7, `crates/types/src/identifiers.rs`. Restate does not promise it. So a rule counts from the moment at
which Restate tells an id that it has foretold, separately for objects and for services; and it is compared again from time
to time. With a server that has other rules, every id is awaited. If a rule changes between two comparisons, what is to be
cancelled runs to its end, and the machine drops by its token what arrives then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import restate
import xxhash
from restate import ObjectContext

COMPARED_EVERY = 1_000
"""After how many ids that were foretold one is awaited, and compared."""

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class SentInvocation(NamedTuple):
    """An invocation that this one has sent or called, with an idempotency key of its own.

    Attributes:
        handle: tells the id, and the answer of a call.
        key: of the object; None for a service.
    """

    handle: restate.SendHandle | restate.RestateDurableCallFuture[bytes]
    service: str
    handler: str
    idempotency_key: str
    key: str | None = None

    @classmethod
    def sent(
        cls,
        ctx: ObjectContext,
        token: str,
        service: str,
        handler: str,
        body: bytes,
        *,
        key: str | None = None,
        delay: timedelta | None = None,
    ) -> SentInvocation:
        """Send to an object with this *key*, or to a service; *token* is not sent twice by one invocation."""
        unique = _unique(ctx, token)
        handle = ctx.generic_send(service, handler, body, key=key, send_delay=delay, idempotency_key=unique)
        return cls(handle, service, handler, unique, key)

    @classmethod
    def called(
        cls, ctx: ObjectContext, token: str, service: str, handler: str, body: bytes
    ) -> tuple[SentInvocation, restate.RestateDurableCallFuture[bytes]]:
        """Call a service; return its answer, too."""
        unique = _unique(ctx, token)
        answer = ctx.generic_call(service, handler, body, idempotency_key=unique)
        return cls(answer, service, handler, unique), answer


class InvocationIds:
    """The ids of what an application sends."""

    def __init__(self) -> None:
        self._of_objects = _Rules(_by_key)
        self._of_services = _Rules(_by_bucket, _by_idempotency_key)

    async def of(self, sent: SentInvocation) -> str:
        """The id of an invocation: as foretold, or else as Restate tells it."""
        rules = self._of_services if sent.key is None else self._of_objects
        foretold = rules.foretell(sent)
        if foretold is not None:
            return foretold
        told = await sent.handle.invocation_id()
        rules.compare(sent, told)
        return told


Partition = Callable[[SentInvocation], int]


class _Rules:
    """Ways to find the partition key of an invocation, and the one that the server has shown to be its own."""

    def __init__(self, *known: Partition) -> None:
        self._known = known
        self._shown: Partition | None = None
        self._left = 0

    def foretell(self, sent: SentInvocation) -> str | None:
        """The id, if the rule is known and need not be compared now."""
        if self._shown is None or self._left == 0:
            return None
        self._left -= 1
        return invocation_id(sent, self._shown)

    def compare(self, sent: SentInvocation, told: str) -> None:
        self._shown = next((rule for rule in self._known if invocation_id(sent, rule) == told), None)
        self._left = COMPARED_EVERY


def invocation_id(sent: SentInvocation, partition: Partition) -> str:
    """The id that Restate gives an invocation, if *partition* is how it finds the partition key."""
    target = [sent.service, sent.handler] if sent.key is None else [sent.service, sent.key, sent.handler]
    digest = hashlib.sha256(",".join(["ik", *target, sent.idempotency_key]).encode()).digest()
    return f"inv_1{_base62(partition(sent).to_bytes(8, 'big'), 11)}{_base62(digest[:16], 22)}"


def _by_key(sent: SentInvocation) -> int:
    assert sent.key is not None
    return _hashed(sent.key)


def _by_idempotency_key(sent: SentInvocation) -> int:
    """That of a service until Restate 1.6."""
    return _hashed(sent.idempotency_key)


def _by_bucket(sent: SentInvocation) -> int:
    """That of a service since Restate 1.7, which has 512 partition keys for each."""
    return _hashed(sent.service, "unscoped/service", _hashed(sent.idempotency_key) % 512)


def _hashed(*parts: str | int) -> int:
    """XXH3 of these values as Rust hashes a tuple: texts end with 0xff, numbers have 64 bits."""
    encoded = [part.encode() + b"\xff" if isinstance(part, str) else part.to_bytes(8, "little") for part in parts]
    return xxhash.xxh3_64_intdigest(b"".join(encoded))


def _base62(raw: bytes, width: int) -> str:
    number = int.from_bytes(raw, "little")
    digits: list[str] = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(DIGITS[digit])
    return "".join(reversed(digits))


def _unique(ctx: ObjectContext, token: str) -> str:
    """An idempotency key that no other invocation uses: a timer that repeats has the same token each time."""
    return f"{ctx.request().id}/{token}"
