"""The short way of an invocation: Restate's SDK without the parts that a turn does not need.

A turn asks for one value, which Restate sends along with the request, and then only writes. The SDK is made for all that a
handler might do: it starts a task for each request and for each value, and answers in three messages. That costs more
than the turn.

The short way runs the same handler on the same state machine, `restate.vm`, in the SDK's own context. Only this differs:

- It reads the request until the state machine is ready, and runs the handler in the task of the request.
- A value that is there already is returned without a task for it.
- Nothing is sent before the invocation waits or ends. The commands of a turn leave in one piece, or not at all.

An invocation that waits goes on in the SDK's own code, with the same state machine: suspension, cancellation, steps, and
whatever arrives later, are never handled here, nor are errors. Both ways run the same handlers, so they write the same
commands in the same order, and either can replay what the other has begun.

All this relies on how the SDK works inside. With any version that is not `TESTED`, the SDK serves every request itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, cast

# The SDK leaves its native core untyped.
from restate._internal import (  # type: ignore[import-not-found]
    SDK_VERSION,  # pyright: ignore[reportUnknownVariableType]
    PyIdentityVerifier,  # pyright: ignore[reportUnknownVariableType]
)
from restate.aws_lambda import is_running_on_lambda
from restate.context import Request
from restate.exceptions import SdkInternalBaseException
from restate.server import X_RESTATE_SERVER
from restate.server_context import (
    DisconnectedException,
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
from durable_fsm.restate.registration import Service

TESTED = ("1.3.",)  # beginnings of versions


# Any: an ASGI application; on AWS Lambda a function
def shortened(app: Any, services: Iterable[Service], identity_keys: Iterable[str], *, compares: bool) -> Any:
    """Let an application of the SDK, which hosts *services*, take the short way if the version of the SDK is tested.

    *compares* says whether it compares payloads on replay.
    """
    version = cast("str", SDK_VERSION)
    if version.startswith(TESTED) and not is_running_on_lambda():
        return ShortWay(app, services, identity_keys, compares=compares)
    log.debug("the short way is off: it is not tested with restate-sdk %s, or not made for this platform", version)
    return app


class ShortWay:
    """An ASGI application that runs invocations in the short way, and leaves all other requests to the SDK's."""

    # Any: messages of ASGI, and what the SDK leaves untyped
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


class _Context(ServerInvocationContext):
    """The SDK's context of an invocation; what the SDK makes beforehand is made when it is needed."""

    def __init__(self, vm: VMWrapper, handler: Any, headers: list[tuple[str, str]], receive: Any, send: Any) -> None:
        self.vm = vm  # without super().__init__(), which makes everything at once
        self.handler = handler
        self.journal_codec = None  # ours changes nothing
        self.run_coros_to_execute = {}
        self.extension_data = {}
        self.headers, self.incoming, self._outgoing = headers, receive, send
        self._has_begun = self._is_read = self._has_waited = False

    def __getattr__(self, name: str) -> Any:
        """Make an attribute of the SDK's when it is first asked for."""
        if name not in _MADE_LATER:
            raise AttributeError(name)
        vars(self)[name] = made = _MADE_LATER[name](self)
        return made

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
            made: Any = vars(self)
            if "tasks" in made or "request_finished_event" in made:
                cast("Any", self).on_attempt_finished()
            if "receive" in made:
                await made["receive"].close()

    async def enter(self) -> None:
        vm, handle = cast("tuple[Any, Any]", (self.vm, self.handler.fn))
        update_restate_context_is_replaying(vm)
        token = _restate_context_var.set(self)
        try:
            answer: bytes = await handle(self, self.invocation.input_buffer)
            if self.extension_data:
                async with auto_close_extension_data(self.extension_data):
                    pass
            vm.sys_write_output_success(answer)
            vm.sys_end()
        except (Exception, asyncio.CancelledError, SdkInternalBaseException) as error:  # noqa: BLE001 - the SDK decides
            self.handler = replace(self.handler, fn=partial(_raise, error))
            await cast("Any", super()).enter()
        finally:
            restate_context_is_replaying.set(False)
            _restate_context_var.reset(token)

    async def leave(self) -> None:
        body = b"".join(iter(self.vm.take_output, b""))
        if not self._is_read:
            await self.send({"type": "http.response.body", "body": body, "more_body": True})
            await self.receive.block_until_http_input_closed()  # some servers remove a stream that we end first
            body = b""
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    async def send(self, message: Any) -> None:
        """Send a message, and the head of the answer before the first one."""
        if not self._has_begun:
            is_all = not message["more_body"]
            await self._send_head([(b"content-length", b"%d" % len(message["body"]))] if is_all else [])
        await self._outgoing(message)

    async def _send_head(self, more: list[tuple[bytes, bytes]]) -> None:
        self._has_begun = True
        status, head = self.vm.get_response_head()  # 200: a version that is not known was refused before
        headers = [*header_to_binary(head), *X_RESTATE_SERVER, *more]
        await self._outgoing({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})

    async def create_poll_or_cancel_coroutine(self, unresolved_future: Any) -> None:
        """Wait: from here on the SDK goes on."""
        self._has_waited = True
        if not self._has_begun and not self._is_read:
            await self._send_head([])  # Restate may wait for it
        await super().create_poll_or_cancel_coroutine(unresolved_future)

    def create_future(self, handle: int, serde: Any = None) -> _Future:
        return _Future(self, handle, self._create_fetch_result_coroutine(handle, serde))

    def request(self) -> Request:
        return cast("Request", _LazyRequest(self))


async def _raise(error: BaseException, *_: object) -> Any:
    raise error


class _Future(ServerDurableFuture[Any]):
    """A value that was asked for; it takes no task if it is there when it is awaited."""

    def __await__(self) -> Generator[Any, Any, Any]:
        lazy: Any = cast("Any", self.future)  # pyright: ignore[reportUnknownMemberType]
        if lazy.task is not None or not self.context.vm.is_completed(self.handle):
            return cast("Any", (yield from lazy.__await__()))
        done = asyncio.get_running_loop().create_future()
        try:
            done.set_result((yield from lazy.async_def().__await__()))
        except Exception as error:  # noqa: BLE001 - the next line raises it
            done.set_exception(error)
        lazy.task = done
        return done.result()


class _LazyRequest:
    """The SDK's request; all but its id is made when it is asked for."""

    def __init__(self, context: _Context) -> None:
        self.id = context.invocation.invocation_id
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(ServerInvocationContext.request(self._context), name)


_MADE_LATER: dict[str, Callable[[_Context], Any]] = {
    "attempt_headers": lambda context: dict(context.headers),
    "random_instance": lambda context: Random(context.invocation.random_seed),
    "receive": lambda context: ReceiveChannel(context.incoming),
    "request_finished_event": lambda _: asyncio.Event(),
    "tasks": lambda _: Tasks(),
}
