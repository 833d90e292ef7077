"""Every exception durable_fsm raises, sorted by who can act on it.

    DurableFSMError
    ├── DefinitionError        the author, at import: every problem of a definition, not the first
    │   └── NotDurable             valid in the library it was written for, impossible to host
    ├── EventError             the sender: the machine has not moved
    │   ├── MalformedInput         the request is not what this handler reads
    │   ├── Forbidden              a private event, sent from outside
    │   ├── UnknownEvent           the chart declares no such event
    │   ├── EventRejected          declared, but not accepted where the machine is now
    │   ├── TooManyDeferred        declared to wait, and too many wait already
    │   ├── TooManyWaiting         as many wait for the machine as may
    │   ├── TooLarge               longer than the machine takes
    │   ├── InvalidPayload         the payload or the data does not fit its declared type
    │   ├── Undecodable            a record or a request of which no event can be made
    │   └── BadSignature           a request that does not prove who has sent it
    ├── MachineError           the operator
    │   ├── NotStarted             no machine has this key
    │   ├── AlreadyStarted         a machine with other data has this key
    │   ├── Finished               the machine has reached its end
    │   ├── Gone                   it has, long ago: nothing of it is left
    │   ├── NotRepairable          the machine has nothing of the kind to be repaired
    │   ├── FlowStuck              a flow has nothing to wait for, and has not ended
    │   ├── NotUndone              the machine has done something that deleting it would leave behind
    │   ├── WaitTimedOut           the machine has not come where somebody waited for it
    │   ├── WaitInVain             it has ended, failed or been deleted elsewhere
    │   ├── NotRunning             there is no activity to cancel
    │   ├── VersionError           the snapshot belongs to a chart this deployment does not serve
    │   ├── MigrationError         the way from the snapshot's version to this one cannot be gone
    │   ├── SnapshotUnreadable     the stored snapshot is not one of ours
    │   └── SecretMissing          requests of a webhook cannot be checked: its secret is not in the environment
    ├── ActionError            the author: a callback raised and nothing handled it; the machine has not moved
    ├── UnknownWork            the author: a callback starts work that the chart does not declare
    ├── CallError              a client: its call has not been answered by a machine
    │   ├── NoAnswer               nobody has answered for as long as the client was patient
    │   └── UnexpectedAnswer       somebody has, with what is no machine's answer
    └── TerminalError          raised by activities: trying again would not help
        ├── CallbackTimeout        nobody has answered in time
        ├── CallbackRejected       somebody outside has said no
        └── CallbackUnreadable     the answer is no JSON, or too long

`DefinitionWarning` is for the author, too: a definition that can run, and hardly does what is wanted.

Exceptions are built from keyword facts, keep them as attributes and compose their own message. `key` is unknown where
most of them are raised: the host adds it as they rise, with `locate`.
"""

from __future__ import annotations

from durable_fsm.errors.activity import CallbackRejected, CallbackTimeout, CallbackUnreadable, TerminalError
from durable_fsm.errors.base import DurableFSMError, locate
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
    SecretMissing,
    SnapshotUnreadable,
    VersionError,
    WaitInVain,
    WaitTimedOut,
)
from durable_fsm.errors.sender import (
    BadSignature,
    EventError,
    EventRejected,
    Forbidden,
    InvalidPayload,
    MalformedInput,
    TooLarge,
    TooManyDeferred,
    TooManyWaiting,
    Undecodable,
    UnknownEvent,
)

__all__ = [
    "ActionError",
    "AlreadyStarted",
    "BadSignature",
    "CallError",
    "CallbackRejected",
    "CallbackTimeout",
    "CallbackUnreadable",
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
    "MachineError",
    "MalformedInput",
    "MigrationError",
    "NoAnswer",
    "NotDurable",
    "NotRepairable",
    "NotRunning",
    "NotStarted",
    "NotUndone",
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
    "locate",
]
