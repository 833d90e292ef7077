"""Every exception durable_fsm raises, sorted by who can act on it.

    DurableFSMError
    ├── DefinitionError        the author, at import: every problem of a definition, not the first
    │   └── NotDurable             valid in the library it was written for, impossible to host
    ├── EventError             the sender: the machine has not changed
    │   ├── MalformedInput         the handler cannot read the request
    │   ├── Forbidden              a private event, sent from outside
    │   ├── NotOperator            a handler for operators only, and no operator has signed the request
    │   ├── Moved                  the machine is not where the sender saw it any more
    │   ├── UnknownEvent           the chart declares no such event
    │   ├── NotIndexed             the search names a field that has no index
    │   ├── EventRejected          declared, but not accepted where the machine is now
    │   ├── DeferredTooLong        the event was deferred, and no state accepted it in time
    │   ├── TooManyDeferred        the event would be deferred, and too many are deferred already
    │   ├── TooManyWaiting         the limit of callers that wait for one machine is reached
    │   ├── TooLarge               longer than a machine accepts
    │   ├── InvalidPayload         the payload or the data does not fit its declared type
    │   ├── KeyReused              an idempotency key was used for another event before
    │   ├── Undecodable            a record or a webhook request cannot be turned into an event
    │   └── BadSignature           a webhook request does not prove who sent it
    ├── MachineError           the operator
    │   ├── NotStarted             no machine has this key
    │   ├── AlreadyStarted         a machine with other data has this key
    │   ├── Finished               the machine has reached its end
    │   ├── Gone                   the machine ended, and its snapshot is no longer kept
    │   ├── NotRepairable          the machine does not have what the repair asks for
    │   ├── Paused                 an operator has paused the machine
    │   ├── FlowStuck              a flow waits for an event from outside, which cannot reach it
    │   ├── NotUndone              deleting the machine would leave behind work that it has done
    │   ├── WaitTimedOut           the condition of a wait was not met in time
    │   ├── WaitInVain             the condition of a wait can no longer be met
    │   ├── NotRunning             the activity to cancel is not running
    │   ├── VersionError           the snapshot belongs to a chart this deployment does not serve
    │   ├── MigrationError         the snapshot cannot be migrated to this version
    │   ├── SnapshotUnreadable     the stored snapshot is not one of ours
    │   └── SecretMissing          a webhook cannot check its requests: the environment lacks its secret
    ├── ActionError            the author: a callback raised and nothing handled it; the machine has not changed
    ├── UnknownWork            the author: a callback starts work that the chart does not declare
    ├── CallError              the caller: no machine has answered the call
    │   ├── NoAnswer               no answer came before the client's patience ended
    │   └── UnexpectedAnswer       the answer does not come from a machine of ours
    └── TerminalError          raised by activities: another attempt would not help
        ├── CallbackTimeout        no answer from outside came in time
        ├── CallbackRejected       the callback was rejected from outside
        └── CallbackUnreadable     the answer is not JSON, or too long

`DefinitionWarning` is for the author, too: the definition can run, but probably does not do what its author wants.

`http_status(error)` is the HTTP status of each.

Exceptions are built from keyword facts, keep them as attributes and compose their own message. They can be copied and
pickled. `key` is not known where most of them are raised: the host adds it, the Rehearsal with `locate`.
"""

from __future__ import annotations

from durable_fsm.errors.activity import CallbackRejected, CallbackTimeout, CallbackUnreadable, TerminalError
from durable_fsm.errors.base import DurableFSMError, locate
from durable_fsm.errors.base import counted as counted  # not public, as `quoted`
from durable_fsm.errors.base import printable as printable  # not public, as `quoted`
from durable_fsm.errors.base import quoted as quoted  # not public: every message prints ids with it
from durable_fsm.errors.client import CallError, NoAnswer, UnexpectedAnswer
from durable_fsm.errors.definition import (
    ActionError,
    DefinitionError,
    DefinitionWarning,
    NotDurable,
    Problem,
    UnknownWork,
)
from durable_fsm.errors.operator import (
    AlreadyStarted,
    Finished,
    FlowStuck,
    Gone,
    MachineError,
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
    EventError,
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
from durable_fsm.errors.statuses import http_status

__all__ = [
    "ActionError",
    "AlreadyStarted",
    "BadSignature",
    "CallError",
    "CallbackRejected",
    "CallbackTimeout",
    "CallbackUnreadable",
    "DeferredTooLong",
    "DefinitionError",
    "DefinitionWarning",
    "DurableFSMError",
    "EventError",
    "EventRejected",
    "Finished",
    "FlowStuck",
    "Forbidden",
    "Gone",
    "InvalidPayload",
    "KeyReused",
    "MachineError",
    "MalformedInput",
    "MigrationError",
    "Moved",
    "NoAnswer",
    "NotDurable",
    "NotIndexed",
    "NotOperator",
    "NotRepairable",
    "NotRunning",
    "NotStarted",
    "NotUndone",
    "Paused",
    "Problem",
    "SecretMissing",
    "SnapshotUnreadable",
    "TerminalError",
    "TooLarge",
    "TooManyDeferred",
    "TooManyWaiting",
    "Undecodable",
    "UnexpectedAnswer",
    "UnknownEvent",
    "UnknownWork",
    "VersionError",
    "WaitInVain",
    "WaitTimedOut",
    "http_status",
    "locate",
]
