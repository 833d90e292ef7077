"""The short way of an invocation: Restate's SDK without the parts that a turn does not need.

A turn asks for one value, which Restate sends along with the request, and then only writes. The SDK is made for all that a
handler might do: it starts a task for each request and for each value, and answers in three messages. The short way runs
the same handler on the same state machine, `restate.vm`, in the SDK's own context, and makes that only if it is needed.
Nothing is sent before the invocation waits or ends: the commands of a turn leave in one piece, or not at all.

An invocation that waits continues in the SDK's own code, with the same state machine: suspension, cancellation, steps, and
whatever arrives later, are never handled here, nor are errors. Both ways run the same handlers, so they write the same
commands in the same order, and either can replay what the other has begun.
All this relies on how the SDK works inside. With any version that is not `TESTED`, the SDK serves every request itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property, partial
from random import Random
from typing import Any, cast

from restate._internal import (  # type: ignore[import-not-found]  # untyped
    SDK_VERSION,  # pyright: ignore[reportUnknownVariableType]
    PyIdentityVerifier,  # pyright: ignore[reportUnknownVariableType]
)
from restate.aws_lambda import is_running_on_lambda
from restate.context import Request, SendHandle
from restate.exceptions import SdkInternalBaseException
from restate.server import X_RESTATE_SERVER
from restate.server_context import (
    DisconnectedException,
    LazyFuture,
    ServerDurableFuture,
    ServerInvocationContext,
    Tasks,
    _restate_context_var,  # pyright: ignore[reportPrivateUsage]
    auto_close_extension_data,
    restate_context_is_replaying,
    update_restate_context_is_replaying,
)
from restate.server_types import ReceiveChannel, binary_to_header, header_to_binary
from restate.vm import VMWrapper

from durable_fsm.restate.observability import tracing
from durable_fsm.restate.observability.logging import log
from durable_fsm.restate.proposals import ProposingContext
from durable_fsm.restate.registration import Service

TESTED = ("1.3.",)  # beginnings of versions
_later = cast("Callable[[Callable[[Any], Any]], Any]", cached_property)


# Any: applications and messages of ASGI, a function on AWS Lambda, and what the SDK leaves untyped
def shortened(app: Any, services: Iterable[Service], identity_keys: Iterable[str], *, compares: bool) -> Any:
    """Let an application of the SDK take the short way, if its version is tested; *compares*: it compares payloads."""
    version = cast("str", SDK_VERSION)
    if version.startswith(TESTED) and not is_running_on_lambda():
        return ShortWay(app, services, identity_keys, compares=compares)
    log.debug("the short way is off: it is not tested with restate-sdk %s, or not made for this platform", version)
    return app


class ShortWay:
    """An ASGI application that runs invocations in the short way, and leaves all other requests to the SDK's."""

    def __init__(self, app: Any, services: Iterable[Any], identity_keys: Iterable[str], *, compares: bool) -> None:
        self._app = app
        self._verifier: Any = PyIdentityVerifier(list(identity_keys))
        self._compares = compares
        named = [(service.name, name, handler) for service in services for name, handler in service.handlers.items()]
        self._handlers = {f"/invoke/{service}/{name}": handler for service, name, handler in named}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        context = self._context_of(scope, receive, send) if scope["type"] == "http" else None
        if context is None:
            await self._app(scope, receive, send)
        elif await context.read():
            await context.serve()

    def _context_of(self, scope: Any, receive: Any, send: Any) -> _Context | None:
        """The context of an invocation, of which nothing is read yet; None for whatever the SDK has to answer."""
        path = str(scope["path"])
        handler = self._handlers.get(path[path.rfind("/invoke/") :])
        if handler is None:
            return None
        try:
            headers = binary_to_header(scope["headers"])
            self._verifier.verify(headers, path)
            vm = VMWrapper(headers, disable_payload_checks=not self._compares)
        except Exception:  # noqa: BLE001 - the SDK finds it again, and answers
            return None
        return _Context(vm, handler, headers, receive, send)


class _Context(ProposingContext):
    """The SDK's context of an invocation; what the SDK makes beforehand is made when it is needed."""

    attempt_headers: Any = _later(lambda self: dict(self.headers))
    random_instance: Any = _later(lambda self: Random(self.invocation.random_seed))
    receive: Any = _later(lambda self: ReceiveChannel(self.incoming))
    request_finished_event: Any = _later(lambda _: asyncio.Event())
    tasks: Any = _later(lambda _: Tasks())

    def __init__(self, vm: VMWrapper, handler: Any, headers: list[tuple[str, str]], receive: Any, send: Any) -> None:
        self.vm = vm  # without super().__init__(), which makes everything at once
        self.handler = handler
        self.journal_codec = None  # ours changes nothing
        self.run_coros_to_execute = {}
        self.extension_data = {}
        self.headers, self.incoming, self._outgoing = headers, receive, send
        self._has_begun = self._is_read = self._has_waited = False

    async def read(self) -> bool:
        """Read until the handler can run; False if Restate disconnects before that."""
        vm: Any = self.vm
        while not self._is_read:
            message = await self.incoming()
            if message["type"] == "http.disconnect":
                return False
            vm.notify_input(message.get("body", b""))
            if not message.get("more_body", False):
                self._is_read = True
                vm.notify_input_closed()
            elif vm.is_ready_to_execute():
                break
        self.invocation = vm.sys_input()
        return True

    async def serve(self) -> None:
        """Run the handler and answer, as `process_invocation_to_completion` of the SDK does."""
        try:
            try:
                await self.enter()
            except DisconnectedException:
                return
            except Exception:
                logging.getLogger("restate.server").exception("Exception in Restate handler")
            await self.leave()
            if tracing.is_on():
                way = "long" if self._has_waited else "short"
                tracing.count(tracing.INVOCATIONS, {"service": self.handler.service_tag.name, "way": way})
        finally:
            if "tasks" in vars(self) or "request_finished_event" in vars(self):
                cast("Any", self).on_attempt_finished()
            if "receive" in vars(self):
                await self.receive.close()

    async def enter(self) -> None:
        vm, handle = cast("tuple[Any, Any]", (self.vm, self.handler.fn))
        update_restate_context_is_replaying(vm)
        token = _restate_context_var.set(self)
        try:
            answer: bytes = await handle(self, self.invocation.input_buffer)
            vm.sys_write_output_success(answer)
            vm.sys_end()
        except SdkInternalBaseException:
            pass  # it is suspended, for example
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the SDK decides
            self.handler = replace(self.handler, fn=partial(_raise, error))
            await cast("Any", super()).enter()
        finally:
            restate_context_is_replaying.set(False)
            _restate_context_var.reset(token)
            if self.extension_data:
                async with auto_close_extension_data(self.extension_data):
                    pass

    async def leave(self) -> None:
        body = b"".join(iter(self.vm.take_output, b""))
        if not self._is_read:
            await self.send({"type": "http.response.body", "body": body, "more_body": True})
            await self.receive.block_until_http_input_closed()  # some servers remove a stream that we end first
            body = b""
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    async def send(self, message: Any) -> None:
        """Send a message, and before the first one the head of the answer; None sends only that."""
        if not self._has_begun:
            self._has_begun = True
            status, head = self.vm.get_response_head()  # 200: a version that is not known was refused before
            headers = [*header_to_binary(head), *X_RESTATE_SERVER]
            if message is not None and not message["more_body"]:
                headers.append((b"content-length", b"%d" % len(message["body"])))
            await self._outgoing({"type": "http.response.start", "status": status, "headers": headers})
        if message is not None:
            await self._outgoing(message)

    async def create_poll_or_cancel_coroutine(self, unresolved_future: Any) -> None:
        """Wait: from here on the SDK continues."""
        self._has_waited = True
        if not self._is_read:
            await self.send(None)  # Restate may wait for the head
        await super().create_poll_or_cancel_coroutine(unresolved_future)

    def is_settled(self, handle: int | None) -> bool:
        """Whether a value is there, or nothing can come any more, so that the invocation is suspended."""
        is_over = self._is_read and not self.run_coros_to_execute and "tasks" not in vars(self)
        return is_over or (handle is not None and self.vm.is_completed(handle))

    def create_future(self, handle: int, serde: Any = None) -> ServerDurableFuture[Any]:
        made: Any = super().create_future(handle, serde)
        made.future = _Lazy(self, handle, made.future.async_def)
        return cast("ServerDurableFuture[Any]", made)

    def generic_send(self, *args: Any, **options: Any) -> SendHandle:
        made: Any = super().generic_send(*args, **options)
        made.future = _Lazy(self, None, made.future.async_def)
        return cast("SendHandle", made)

    def request(self) -> Request:
        return cast("Request", _LazyRequest(self))


async def _raise(error: BaseException, *_: object) -> Any:
    raise error


class _Lazy(LazyFuture[Any]):
    """A value that was asked for; to await it takes no task, if that ends at once."""

    def __init__(self, context: _Context, handle: int | None, fetch: Any) -> None:
        super().__init__(fetch)
        self._context = context
        self._handle = handle

    async def get(self) -> Any:
        if self.task is not None or not self._context.is_settled(self._handle):
            return await super().get()
        done: Any = asyncio.get_running_loop().create_future()
        self.task = done
        try:
            done.set_result(await self.async_def())
        except Exception as error:  # noqa: BLE001 - the last line raises it
            done.set_exception(error)
        except BaseException:
            done.cancel()
            raise
        return done.result()


class _LazyRequest:
    """The SDK's request; all but its id and its headers is made when it is asked for."""

    def __init__(self, context: _Context) -> None:
        self.id = context.invocation.invocation_id
        self._context = context

    @property
    def headers(self) -> dict[str, str]:
        return dict(self._context.invocation.headers)

    def __getattr__(self, name: str) -> Any:
        return getattr(ServerInvocationContext.request(self._context), name)
