"""The HTTP status of each error: the host answers with it, and an application that calls machines may pass it on."""

from __future__ import annotations

from durable_fsm.errors.activity import CallbackRejected, CallbackTimeout, CallbackUnreadable, TerminalError
from durable_fsm.errors.base import DurableFSMError
from durable_fsm.errors.client import NoAnswer, UnexpectedAnswer
from durable_fsm.errors.definition import ActionError, DefinitionError, NotDurable, UnknownWork
from durable_fsm.errors.operator import (
    AlreadyStarted,
    Finished,
    FlowStuck,
    Gone,
    MigrationError,
    NotRepairable,
    NotRunning,
    NotStarted,
    NotUndone,
    Paused,
    SecretMissing,
    SnapshotUnreadable,
    VersionError,
    WaitInVain,
    WaitTimedOut,
)
from durable_fsm.errors.sender import (
    BadSignature,
    DeferredTooLong,
    EventRejected,
    Forbidden,
    InvalidPayload,
    KeyReused,
    MalformedInput,
    Moved,
    NotIndexed,
    NotOperator,
    TooLarge,
    TooManyDeferred,
    TooManyWaiting,
    Undecodable,
    UnknownEvent,
)

STATUS: dict[type[DurableFSMError], int] = {
    MalformedInput: 400,
    Forbidden: 403,
    NotOperator: 403,
    Moved: 409,
    UnknownEvent: 404,
    NotIndexed: 404,
    NotStarted: 404,
    AlreadyStarted: 409,
    EventRejected: 409,
    NotRepairable: 409,
    NotUndone: 409,
    Paused: 503,
    DeferredTooLong: 408,
    WaitTimedOut: 408,
    WaitInVain: 412,
    NotRunning: 409,
    Finished: 410,
    Gone: 410,
    FlowStuck: 500,
    TooLarge: 413,
    TooManyDeferred: 429,
    TooManyWaiting: 429,
    InvalidPayload: 422,
    KeyReused: 409,
    Undecodable: 422,
    BadSignature: 400,
    DefinitionError: 500,
    NotDurable: 500,
    VersionError: 500,
    MigrationError: 500,
    SnapshotUnreadable: 500,
    SecretMissing: 500,
    ActionError: 500,
    UnknownWork: 500,
    NoAnswer: 504,
    UnexpectedAnswer: 502,
    TerminalError: 500,
    CallbackTimeout: 500,
    CallbackRejected: 500,
    CallbackUnreadable: 500,
}
"""HTTP status of every error. A test walks the tree of errors and finds each of them here."""


def http_status(error: DurableFSMError) -> int:
    """The HTTP status with which a machine answers this error.

    A service that calls machines for its own callers can answer them with the same one: 409 for `EventRejected`, 404 for
    `NotStarted`; 504 for `NoAnswer`, because there is no answer to pass on.
    """
    return STATUS.get(type(error), 500)  # the host has one that no other package knows: it is a mistake of ours
