"""Webhooks: a public service per chart, to whose handlers providers post their events.

The signature is checked first, on the bytes as they came. What is accepted is on its way, once for each of the
provider's ids, when the provider is answered; the machine takes it afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any, cast

import restate

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import plain
from durable_fsm.core.sources import Check, Request, Signature, Webhook
from durable_fsm.core.step import may_come_from_outside
from durable_fsm.core.values import Misfit
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.http.requests import BYTES, FOR_EVER, MAX_INPUT, TerminalErrors, digest_of
from durable_fsm.restate.observability import report
from durable_fsm.restate.observability.logging import log
from durable_fsm.restate.observability.redaction import seen_text
from durable_fsm.restate.sources.ingestion import INCOMING, Arrival, Place

LONGEST_ID = 200


def webhooks_name(chart: Chart) -> str:
    """Name of the service: `Order.webhooks`."""
    return f"{chart.name}.webhooks"


class Webhooks:
    """The webhooks of one chart."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.name = webhooks_name(chart)

    def service(self) -> restate.Service:
        service = restate.Service(
            self.name,
            description=f"Where providers post events for {self.chart.name}.",
            invocation_retry_policy=FOR_EVER,
        )
        for webhook in self.chart.webhooks:
            register = service.handler(webhook.name, accept="*/*", input_serde=BYTES, output_serde=BYTES)
            register(self._handler(webhook))
            self._warn(webhook)
        return service

    def _warn(self, webhook: Webhook) -> None:
        """Tell the log at start what would otherwise be told to the first provider that calls."""
        if webhook.signature is None:
            log.warning("%s/%s: anybody may post here: it has no signature", self.name, webhook.name)
        elif (missing := _missing(webhook)) is not None:
            log.error("%s", self._secret_missing(webhook, missing))

    def _handler(self, webhook: Webhook) -> Callable[[restate.Context, bytes], Awaitable[bytes]]:
        async def handle(ctx: restate.Context, body: bytes) -> bytes:
            with report.Watching(self.chart, ctx, "", webhook.name):
                return await take(ctx, body)

        async def take(ctx: restate.Context, body: bytes) -> bytes:
            seen_text(body)
            headers = {name.lower(): value for name, value in ctx.request().headers.items()}
            request = Request(webhook.name, headers, body)
            with TerminalErrors(self.name, webhook.name):
                if len(body) > MAX_INPUT:
                    raise errors.TooLarge(chart=self.name, size=len(body), limit=MAX_INPUT)
                signed_at = self._verify(webhook, request)
            if signed_at is not None:
                now = await ctx.time()
                with TerminalErrors(self.name, webhook.name):
                    self._refuse_old(webhook, signed_at, now)
            with TerminalErrors(self.name, webhook.name):
                found = self._decoded(webhook, request)
            if found is None:
                return dumps({"outcome": "skipped"})
            arrival, key, id = found
            ctx.generic_send(self.chart.name, INCOMING, arrival.encode(), key=key, idempotency_key=id)
            return dumps({"outcome": "accepted", "machine": self.chart.name, "key": key, "event": arrival.event})

        handle.__doc__ = webhook.decode.__doc__ or f"Take an event of {webhook.name}."
        return handle

    # ── who has sent it ───────────────────────────────────────────────────────────────────────────────────────────────

    def _verify(self, webhook: Webhook, request: Request) -> float | None:
        """Check the signature; nothing of the request has been read yet.

        Raises:
            BadSignature: it is not the provider's.
            SecretMissing: nobody can tell.
        """
        signature = webhook.signature
        if signature is None:
            return None
        if (missing := _missing(webhook)) is not None:
            error = self._secret_missing(webhook, missing)
            log.error("%s", error)
            raise error
        if not isinstance(signature, Signature):
            self._ask(webhook, signature, request)
            return None
        try:
            signed_at = signature.signed_at(request, os.environ.get(signature.secret, "").encode())
        except ValueError as error:
            raise self._bad(webhook, str(error)) from None  # its cause may have seen the secret
        except Exception as error:  # noqa: BLE001 - a scheme of the author's; whatever it raises is no yes
            raise self._bad(webhook, f"its signature raised {type(error).__name__}.") from None
        return signed_at if signature.tolerance is not None else None

    def _ask(self, webhook: Webhook, check: Check, request: Request) -> None:
        """Ask the author's own check; what it says when it raises may hold a secret, and goes nowhere."""
        try:
            answer: Any = check(request)  # Any: the author's code
        except Exception as error:  # noqa: BLE001 - whatever it raises is no yes
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

    # ── what it says ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _decoded(self, webhook: Webhook, request: Request) -> tuple[Arrival, str, str | None] | None:
        """The event, the key of its machine, and what it is recognised by; None skips it."""
        place = Place(
            self.name, f"webhook:{webhook.name}", f"a request to webhook '{webhook.name}'", {"webhook": webhook.name}
        )
        made = place.asked(webhook.decode, request)
        if made is None:
            return None
        arrival, incoming = place.decoded(made, webhook.events)
        if not incoming.key:
            raise place.undecodable("its decoder does not say for which machine it is: return Incoming(..., key=...).")
        if (problem := self._problem(arrival)) is not None:
            raise place.undecodable(problem)
        if incoming.id is None:
            return arrival, incoming.key, None
        told = f"event '{incoming.id}' of webhook '{webhook.name}'"
        facts = {"webhook": webhook.name, "id": incoming.id}
        arrival = Arrival(arrival.event, arrival.payload, arrival.source, told, facts)
        return arrival, incoming.key, _recognised_by(webhook, incoming.id)

    def _problem(self, arrival: Arrival) -> str | None:
        """Why no machine of the chart would ever take it, as far as one can say without a machine."""
        chart, name = self.chart, arrival.event
        declared = chart.events.get(name)
        private = [event.name.replace(".", "_") for event in chart.events.values() if not event.public]
        if name in private or not may_come_from_outside(chart, name):
            return errors.Forbidden(chart=chart.name, event=name).what
        if not chart.index.knows(name):
            return errors.UnknownEvent(chart=chart.name, event=name, known=chart.public_events).what
        if declared is not None and declared.payload is not None:
            try:
                declared.payload.load(plain(arrival.payload))
            except Misfit as error:
                return f"payload of '{name}' does not fit {declared.payload.name}: {error.problem} at {error.path}."
        return None


def _missing(webhook: Webhook) -> str | None:
    """The environment variable that is not there, or empty."""
    variable = getattr(webhook.signature, "secret", "")
    return variable if variable and not os.environ.get(variable) else None


def _recognised_by(webhook: Webhook, id: str) -> str:
    """The idempotency key of an id; ids of two webhooks of one machine never meet."""
    plain_id = id.isascii() and id.isprintable() and len(id) <= LONGEST_ID
    return f"{webhook.name}/{id}" if plain_id else f"{webhook.name}/sha256/{digest_of(id)}"
