"""Webhooks: a public service for each chart, with a handler for each provider that posts events.

A handler checks the signature before anything else, on the bytes as they arrived. It answers the provider when the event
is on its way; the machine processes the event afterwards. Restate drops a second event with the same id.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
import restate

from durable_fsm import errors
from durable_fsm.core.author_code import ANYTHING
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import plain
from durable_fsm.core.program import index_of
from durable_fsm.core.sources import Check, Request, Response, Signature, Webhook
from durable_fsm.core.step import forbidden, may_come_from_outside
from durable_fsm.core.values import Misfit, TypeRaised
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.http.requests import FOR_EVER, MAX_INPUT
from durable_fsm.restate.names import PROBLEM, Handler, webhooks_name
from durable_fsm.restate.observability.logging import log
from durable_fsm.restate.observability.redaction import seen_text
from durable_fsm.restate.registration import register
from durable_fsm.restate.sources.ingestion import IncomingEvent, SourcePosition, idempotency_key


class Webhooks:
    """The webhooks of one chart."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.name = webhooks_name(chart)

    def service(self) -> restate.Service:
        service = restate.Service(
            self.name,
            description=f"Receives events that providers post for {self.chart.name}.",
            invocation_retry_policy=FOR_EVER,
        )
        for webhook in self.chart.hosting.webhooks:
            handle, doc = self._handler(webhook), webhook.decode.__doc__
            problem = self._problem(webhook)
            metadata = None if problem is None else {PROBLEM: problem}
            register(
                service, webhook.name, handle, chart=self.chart, where=self.name, key=webhook.name, doc=doc,
                metadata=metadata,
            )  # fmt: skip
            self._warn(webhook)
        return service

    def _problem(self, webhook: Webhook) -> str | None:
        """Why the webhook accepts too much or nothing, for operators; None if it is in order."""
        if webhook.signature is None:
            return "every request is accepted: this webhook has no signature."
        missing = _missing(webhook)
        return None if missing is None else self._secret_missing(webhook, missing).what

    def _warn(self, webhook: Webhook) -> None:
        # The first provider that calls would learn the same, but operators should know when the service starts.
        if webhook.signature is None:
            log.warning("%s/%s: every request is accepted: this webhook has no signature", self.name, webhook.name)
        elif (missing := _missing(webhook)) is not None:
            log.error("%s", self._secret_missing(webhook, missing))

    def _handler(self, webhook: Webhook) -> Callable[[restate.Context, bytes], Awaitable[bytes]]:
        async def take(ctx: restate.Context, body: bytes) -> bytes:
            seen_text(body)
            headers = {name.lower(): value for name, value in ctx.request().headers.items()}
            request = Request(webhook.name, headers, body)
            if len(body) > MAX_INPUT:
                raise errors.TooLarge(chart=self.name, size=len(body), limit=MAX_INPUT)
            signed_at = self._verify(webhook, request)
            if signed_at is not None:
                self._refuse_old(webhook, signed_at, await ctx.time())
            position = self._position(webhook)
            decoded = position.call(webhook.decode, request)
            if decoded is None:
                return dumps({"outcome": "skipped"})
            if isinstance(decoded, Response):
                return position.written(decoded.body, "the response of its decoder")
            event, key, id = self._event_of(webhook, position, decoded)
            ctx.generic_send(self.chart.name, Handler.INCOMING, event.encode(), key=key, idempotency_key=id)
            return dumps({"outcome": "accepted", "chart": self.chart.name, "key": key, "event": event.event})

        take.__doc__ = f"Receive an event of {webhook.name}."
        return take

    # ── the signature ───────────────────────────────────────────────────────────────────────────────────────────────

    def _verify(self, webhook: Webhook, request: Request) -> float | None:
        """Check the signature; return when the request was signed, in seconds since 1970, if that must be recent.

        Raises:
            BadSignature: the signature is missing or wrong.
            SecretMissing: the secret is not in the environment.
        """
        signature = webhook.signature
        if signature is None:
            return None
        if (missing := _missing(webhook)) is not None:
            error = self._secret_missing(webhook, missing)
            log.error("%s", error)
            raise error
        if not isinstance(signature, Signature):
            self._check(webhook, signature, request)
            return None
        try:
            signed_at = signature.signed_at(request, os.environ.get(signature.secret, "").encode())
        except ValueError as error:
            raise self._bad(webhook, str(error)) from None  # its cause may quote the secret
        except ANYTHING as error:  # the author's own scheme; any exception refuses the request
            raise self._bad(webhook, f"its signature raised {type(error).__name__}.") from None
        return signed_at if signature.tolerance is not None else None

    def _check(self, webhook: Webhook, check: Check, request: Request) -> None:
        try:
            answer: Any = check(request)  # Any: the author's code
        except ANYTHING as error:  # any exception refuses the request
            # No cause and no message: both may quote a secret.
            raise self._bad(webhook, f"its check raised {type(error).__name__}.") from None
        if answer is not True:
            raise self._bad(webhook, "its check says no.")

    def _refuse_old(self, webhook: Webhook, signed_at: float, now: float) -> None:
        tolerance = cast("Signature", webhook.signature).tolerance
        assert tolerance is not None
        if abs(now - signed_at) > tolerance.total_seconds():
            when = "in the future" if signed_at > now else "too long ago"
            raise self._bad(webhook, f"it was signed {when}; the tolerance is {tolerance}.")

    def _bad(self, webhook: Webhook, problem: str) -> errors.BadSignature:
        error = errors.BadSignature(chart=self.name, webhook=webhook.name, problem=problem)
        log.warning("%s", error)
        return error

    def _secret_missing(self, webhook: Webhook, variable: str) -> errors.SecretMissing:
        return errors.SecretMissing(chart=self.name, webhook=webhook.name, variable=variable)

    # ── the event ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _position(self, webhook: Webhook) -> SourcePosition:
        place = f"a request to webhook '{webhook.name}'"
        return SourcePosition(self.name, f"webhook:{webhook.name}", place, {"webhook": webhook.name})

    def _event_of(
        self, webhook: Webhook, position: SourcePosition, decoded: object
    ) -> tuple[IncomingEvent, str, str | None]:
        """The event that the decoder returned, the key of its machine, and its idempotency key."""
        event, incoming = position.event_of(decoded, webhook.events)
        if not incoming.key:
            problem = "its decoder does not say for which machine it is: return Incoming(..., key=...)."
            raise position.undecodable(problem)
        position.refuse_long_key(incoming.key)
        if (refusal := self._refusal(event)) is not None:
            raise position.undecodable(refusal)
        if incoming.id is None:
            return event, incoming.key, None
        place = f"event '{incoming.id}' of webhook '{webhook.name}'"
        event = msgspec.structs.replace(event, place=place, facts={**position.facts, "id": incoming.id})
        return event, incoming.key, idempotency_key(webhook.name, incoming.id)

    def _refusal(self, event: IncomingEvent) -> str | None:
        """Why no machine of the chart could ever process the event, as far as the chart alone can tell."""
        chart, name = self.chart, event.event
        declared = chart.events.get(name)
        private = [one.name.replace(".", "_") for one in chart.events.values() if not one.public]
        spelled = name in private and not event.is_named
        if spelled or not may_come_from_outside(chart, name, event.origin):
            return forbidden(chart, name).what
        if not index_of(chart).admits(name):
            return errors.UnknownEvent(chart=chart.name, event=name, known=chart.public_events).what
        if declared is not None and declared.payload is not None:
            try:
                declared.payload.load(plain(event.payload))
            except TypeRaised:
                return None  # the event waits at its machine for a build whose type can say
            except Misfit as error:
                return f"payload of '{name}' does not fit {declared.payload.name}: {error.problem} at {error.path}."
        return None


def _missing(webhook: Webhook) -> str | None:
    """The environment variable of the secret, if it is not set or empty."""
    variable = getattr(webhook.signature, "secret", "")
    return variable if variable and not os.environ.get(variable) else None
