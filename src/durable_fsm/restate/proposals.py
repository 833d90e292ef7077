"""The result of a step before Restate has stored it.

A step runs in a handler. Its result is proposed to Restate, which stores it and confirms that. The SDK waits for the
confirmation, so that nothing is done with a result that a later attempt may not find. Over HTTP/1.1 that is another request.

Where all that follows a step is sent to Restate too, the confirmation need not be awaited. Restate stores what an attempt
sends in the order in which it was sent: whenever it has a command that follows the step, it has the result of the step
before it. So a replay finds the same result, or runs the step again and has sent nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from restate.server_context import ServerInvocationContext


class ProposingContext(ServerInvocationContext):
    """A context of the SDK that can continue with a result that is only proposed."""

    _awaited: int | None = None
    _proposed: bytes | None = None
    _enough: Callable[[bytes], bool]

    async def first_of(self, step: int, waiting: Awaitable[bytes], enough: Callable[[bytes], bool]) -> bytes:
        """See `proposed`; *step* is its number."""
        self._awaited, self._proposed, self._enough = step, None, enough
        try:
            return await waiting
        except _Proposed as proposal:
            return proposal.result
        finally:
            self._awaited = None

    # Any: what the SDK leaves untyped
    async def create_run_coroutine(self, handle: int, action: Any, *args: Any, **kwargs: Any) -> None:
        """Run a step, and propose its result; the SDK calls it when it first waits for the step."""
        results: list[bytes] = []

        async def noted() -> bytes:
            results.append(await action())
            return results[0]

        if handle != self._awaited:
            await super().create_run_coroutine(handle, action, *args, **kwargs)
            return
        await super().create_run_coroutine(handle, noted, *args, **kwargs)
        if results and self._enough(results[0]):
            self._proposed = results[0]

    async def take_and_send_output(self) -> None:
        """Send what was written; the SDK calls it each time before it waits."""
        if self._awaited is not None and self._proposed is not None:
            raise _Proposed(self._proposed)
        await cast("Any", super()).take_and_send_output()


class _Proposed(Exception):
    """Ends the wait for a step whose result is proposed."""

    def __init__(self, result: bytes) -> None:
        super().__init__()
        self.result = result


async def proposed(
    step: Any, waiting: Awaitable[bytes], *, enough: Callable[[bytes], bool]
) -> bytes:  # Any: a future of the SDK
    """Wait for the result of a step, only until it is proposed if possible. Nothing but commands to Restate may follow.

    Whether Restate stores a cancellation before the result or after it is not known then, so neither these commands nor
    *waiting* may depend on that: it has to wait on if the invocation is cancelled.

    Args:
        step: the future of the step.
        waiting: waits for it.
        enough: whether a result may be taken when it is proposed; otherwise it has to be stored.
    """
    context = getattr(step, "context", None)
    return await (context.first_of(step.handle, waiting, enough) if isinstance(context, ProposingContext) else waiting)
