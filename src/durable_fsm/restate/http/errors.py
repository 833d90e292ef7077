"""Errors at the edge of the host: their HTTP status, and how they become Restate's.

Inside the host an error stays the exception that it is. The wrapper of every handler (`registration`) makes a
`TerminalError` of it, once, because to retry it would change nothing.
"""

from __future__ import annotations

from restate import TerminalError as RestateTerminalError

from durable_fsm import errors
from durable_fsm.core.codec import canonical, plain
from durable_fsm.restate.observability.logging import log
from durable_fsm.restate.observability.redaction import clean

MAX_MESSAGE = 10_000
"""Longest error message in characters, and longest text among its facts: authors' exceptions may quote anything."""

STATUS: dict[type[errors.DurableFSMError], int] = {
    errors.MalformedInput: 400,
    errors.Forbidden: 403,
    errors.UnknownEvent: 404,
    errors.NotStarted: 404,
    errors.AlreadyStarted: 409,
    errors.EventRejected: 409,
    errors.NotRepairable: 409,
    errors.NotUndone: 409,
    errors.WaitTimedOut: 408,
    errors.WaitInVain: 412,
    errors.NotRunning: 409,
    errors.Finished: 410,
    errors.Gone: 410,
    errors.FlowStuck: 500,
    errors.TooLarge: 413,
    errors.TooManyDeferred: 429,
    errors.TooManyWaiting: 429,
    errors.InvalidPayload: 422,
    errors.Undecodable: 422,
    errors.BadSignature: 401,
    errors.DefinitionError: 500,
    errors.NotDurable: 500,
    errors.VersionError: 500,
    errors.MigrationError: 500,
    errors.SnapshotUnreadable: 500,
    errors.SecretMissing: 500,
    errors.ActionError: 500,
    errors.UnknownWork: 500,
    errors.NoAnswer: 504,
    errors.UnexpectedAnswer: 502,
    errors.TerminalError: 500,
    errors.CallbackTimeout: 500,
    errors.CallbackRejected: 500,
    errors.CallbackUnreadable: 500,
}
"""HTTP status of every error; a test walks the tree."""


class TerminalErrors:
    """Turns every exception of a block into a terminal error with its status: retrying would change nothing.

    The block must not await: only what Restate raises at an await may be retried. An event passes through a dozen of
    these, so that this is no generator.
    """

    __slots__ = ("chart", "key")

    def __init__(self, chart: str, key: str) -> None:
        self.chart = chart
        self.key = key

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, RestateTerminalError):
            return
        if isinstance(error, errors.DurableFSMError):
            error.key = error.key or self.key
            raise terminal(error) from error
        name = type(error).__name__
        log.exception("%s/%s: unexpected %s", self.chart, self.key, name, exc_info=error)
        message = f"{self.chart}/{self.key}: an internal error ({name}). The machine has not moved; see the log."
        raise RestateTerminalError(message, 500, metadata={"type": "InternalError"}) from error


def terminal(error: errors.DurableFSMError) -> RestateTerminalError:
    """The error as Restate carries it: its message, its status, and its facts as metadata.

    Facts that are not strings are JSON texts.
    """
    facts = {name: value for name, value in vars(error).items() if value is not None and not name.startswith("_")}
    texts = {name: said(value) if isinstance(value, str) else canonical(plain(value)) for name, value in facts.items()}
    metadata = {"type": type(error).__name__, **{name: clean(writable(text)) for name, text in texts.items()}}
    return RestateTerminalError(said(str(error)), STATUS[type(error)], metadata=metadata)


def said(text: str) -> str:
    """*text* as it may be told: without what is redacted, and not endless."""
    text = clean(writable(text))
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]} …"


def writable(text: str) -> str:
    """*text* with a question mark for each lone surrogate: authors may write one, UTF-8 has none.

    Where one slipped through, the platform would try the invocation again for ever.
    """
    return text.encode("utf-8", "replace").decode()
