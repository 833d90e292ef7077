"""How every handler of every service is registered: bytes in and out, watched, and with one boundary for errors."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias

import msgspec
import restate
from restate import TerminalError as RestateTerminalError
from restate.exceptions import RetryableError
from restate.handler import TypeHint
from restate.serde import BytesSerde

from durable_fsm.core.address import LONGEST_KEY, fault_in_key
from durable_fsm.core.chart import Chart
from durable_fsm.core.operators import HEADERS
from durable_fsm.core.values import Json
from durable_fsm.errors import DurableFSMError, MalformedInput
from durable_fsm.restate.crashes import REST, recorded, recorder
from durable_fsm.restate.http.errors import ENDS_ATTEMPT, PLATFORM_ERRORS, located, terminal
from durable_fsm.restate.observability import redaction, report
from durable_fsm.restate.observability.logging import log
from durable_fsm.restate.operators import SignatureGuard

BYTES = BytesSerde()

SUSPENDED_AFTER = timedelta(milliseconds=100)
"""How long Restate keeps an attempt open over HTTP/2 whose handler only waits. It has a limit of attempts that are open at
once, 1,000 by default, and all events of all machines need one."""

Service: TypeAlias = restate.Service | restate.VirtualObject | restate.Workflow
Handle: TypeAlias = Callable[[Any, bytes], Awaitable[bytes]]  # Any: the kind of context differs by service and handler


async def _handler(ctx: Any, body: bytes) -> bytes: ...  # type: ignore[empty-body]  # Any: the context of any kind


SIGNATURE = inspect.signature(_handler, eval_str=True)
"""That of every handler. The SDK would read the annotations of each again, which is a fifth of the start of a service."""


def register(
    service: Service,
    name: str,
    handle: Handle,
    *,
    chart: Chart,
    where: str | None = None,
    key: str | None = None,
    takes: str | None = None,
    retried: bool = False,
    main: bool = False,
    private: bool = False,
    guard: SignatureGuard | None = None,
    schema: Callable[[], dict[str, Json] | None] | None = None,
    doc: str | None = None,
    **options: Any,
) -> None:
    """Add a handler to a service.

    The ingress checks nothing, not even a content type, so every handler takes bytes and reads them itself. An error of
    ours is translated here, once; what Restate raises passes.

    Args:
        where: the name at the beginning of messages, if it is not the chart's.
        key: the key behind it, if it is not the object's.
        takes: the event that the handler takes, for the log of a refusal.
        retried: whether Restate runs the handler again after an unexpected exception. Otherwise that is an answer, 500.
        main: whether it is the main handler of a workflow.
        private: whether the ingress refuses callers.
        guard: judges what a request says in headers of ours.
        schema: makes that of the request when it is discovered, if it has one; any JSON is allowed otherwise.
        doc: for discovery; the handler's own docstring, if there is none.
        options: of Restate's own decorator.
    """
    place, redacts = where or chart.name, bool(chart.hosting.redact)

    async def handler(ctx: Any, body: bytes) -> bytes:
        request = ctx.request()
        invocation = report.Invocation(chart, ctx.key(), request.id, name, takes)
        outer = report.current.get()
        report.current.set(invocation)
        outer_redaction = redaction.begin(chart) if redacts else None
        crashes = recorder()
        try:
            if crashes is not None and (refusal := crashes.refusal(invocation.id)) is not None:
                log.error("%s/%s: %s", place, ctx.key(), refusal)
                raise RetryableError(f"{place}/{ctx.key()}: {refusal}", retry_after=REST)
            if not private and len(ctx.key()) > LONGEST_KEY // 4:  # no shorter text has too many bytes
                _refuse_long_key(place, name, ctx.key())
            if guard is not None:
                headers = request.headers
                if guard.demands or not HEADERS.isdisjoint(headers):
                    await guard.judge(ctx, invocation, headers, body)
            if crashes is None:
                return await handle(ctx, body)
            return await recorded(handle(ctx, body), crashes, invocation.id)
        except PLATFORM_ERRORS as error:
            if isinstance(error, RestateTerminalError):
                report.refused(invocation, error)
            raise
        except (*ENDS_ATTEMPT, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            if isinstance(error, DurableFSMError):
                pass
            elif retried and not isinstance(error, Exception):
                raise RuntimeError(f"unexpected {type(error).__name__}") from error
            elif retried or (private and isinstance(error, msgspec.DecodeError)):
                # A private handler accepts records of our own. One that it cannot read was written by another build:
                # Restate retries until a deployment can read it.
                raise
            report.raised(error)
            told = terminal(located(error, place, ctx.key() if key is None else key))
            report.refused(invocation, told)
            raise told from error
        finally:
            if redacts:
                redaction.end(outer_redaction)
            report.current.set(outer)  # not by a token: the platform may close an unfinished handler in another context

    handler.__doc__ = doc or handle.__doc__
    handler.__signature__ = SIGNATURE  # type: ignore[attr-defined]
    untyped: Any = service  # Any: the three kinds of service have no common type
    decorator = untyped.main if main else untyped.handler
    decorator(name, accept="*/*", input_serde=BYTES, output_serde=BYTES, ingress_private=private or None, **options)(
        handler
    )
    if schema is not None:

        def made() -> Any:  # Any: of JSON schema, `true` too
            return True if (found := schema()) is None else found

        hint = TypeHint[Any](annotation=object, generate_json_schema=made)
        untyped.handlers[name].handler_io.input_type = hint


def _refuse_long_key(chart: str, handler: str, key: str) -> None:
    """Refuse a key that no machine may have.

    Raises:
        MalformedInput: it is too long.
    """
    if (fault := fault_in_key(key)) is not None:
        raise MalformedInput(chart=chart, key=f"{key[:20]}…", handler=handler, problem=fault)
