"""Every name under which Restate knows us: services, handlers, and the keys of stored state. Nothing here may change.

For a chart `Order`:

    Order                   object    one machine per key: `machine/`, `messages/`
    Order.activities        service   runs the work of activities: `activities/`; version 2 has Order.activities.2
    Order.callbacks         object    what activities wait for from outside, and which of their steps fail, per machine
    Order.limits            object    how many runs of an activity are under way, per activity
    durable_fsm.limits      object    the same for limits that have a name, whatever charts share them
    Order.history           object    full pages of history, per machine and page
    Order.index             object    lists machines by fields of their data, per field and value
    Order.relay             object    messages to charts of other applications, per sender and receiver
    Order.kafka             object    brings a record to its machine, per key of the record
    Order.webhooks          service   takes what providers post
    Order.rejected          object    events that no machine took, per topic or webhook
    Order.workflow          workflow  creates a machine and waits for its end
    Order.flow              service   runs a machine without a key

Renaming one of them cuts off what was sent or stored under the old name.
"""

from __future__ import annotations

import hashlib
import re

from durable_fsm.core.chart import Chart
from durable_fsm.core.sources import Kafka

ENDED_ITS_PROCESS = "ended its process"
"""Words of the failure of an invocation that crashes; `doctor` knows it by them."""


class Handler:
    """Names of handlers. One that begins with an underscore is private."""

    # of a machine, public; its events have handlers of their own beside these
    CREATE = "create"
    SEND = "send"
    SNAPSHOT = "snapshot"
    DELETE = "delete"
    WAIT_FOR = "wait_for"
    HISTORY = "history"
    CANCEL = "cancel"
    REPAIR = "repair"

    # of a machine: what arrives by itself
    DELIVER = "_deliver"
    PARKED = "_parked"
    INCOMING = "_incoming"
    KAFKA_RECORD = "_kafka"
    CLAIM = "_claim"

    # of a machine: steps of a public handler
    WAIT = "_wait"
    UNWAIT = "_unwait"
    RUN_TO_END = "_run"
    CANCEL_LATER = "_cancel"

    # of a machine: what other machines send; a relay was its own handler in an earlier build
    MAIL = "_mail"
    RELAY = "_relay"
    BEGIN = "_begin"
    CHECK = "_check"
    END = "_end"
    HALT = "_halt"

    # of a workflow and of a flow
    RUN = "run"

    # of the service of activities, beside one for each activity
    STOP = "_stop"
    START = "_start"
    WATCH = "_watch"

    # of the object that brings a record to its machine
    FORWARD = "_forward"


PROBLEM = "durable_fsm.problem"
"""Name of the metadata of a handler by which a service tells operators that something is wrong with it."""


CHART = "durable_fsm.chart"
"""Name of the metadata of an object that keeps machines: its chart as JSON, see `core.interchange`."""


INDEXED = "durable_fsm.indexed"
"""Name of the metadata of an object that lists machines: the fields by which it does, separated by blanks."""


class StateKey:
    """Names under which objects store state."""

    # of a machine
    SNAPSHOT = "snapshot"
    HANDLES = "handles"
    WAITERS = "waiters"
    PARKED = "parked"
    LETTERS = "letters"

    # of the other objects
    ENTRIES = "entries"
    PENDING_ANSWERS = "pending"
    FAILING = "failing"
    GATE = "gate"
    TOTAL = "total"
    LISTED = "listed"


BUILT_IN = (
    Handler.CREATE,
    Handler.SEND,
    Handler.SNAPSHOT,
    Handler.DELETE,
    Handler.WAIT_FOR,
    Handler.HISTORY,
    Handler.CANCEL,
    Handler.REPAIR,
    Handler.DELIVER,
    Handler.PARKED,
    Handler.INCOMING,
    Handler.KAFKA_RECORD,
    Handler.CLAIM,
    Handler.WAIT,
    Handler.UNWAIT,
    Handler.RUN_TO_END,
    Handler.CANCEL_LATER,
    Handler.MAIL,
    Handler.RELAY,
    Handler.BEGIN,
    Handler.CHECK,
    Handler.END,
    Handler.HALT,
)
"""Handlers of every machine. An event of such a name has no handler of its own: callers use `send`."""


def reserved_in(chart: Chart) -> tuple[str, ...]:
    """The public events that have the name of a built-in handler and no handler of their own."""
    handled = chart.hosting.handlers.values()
    return tuple(event for event in chart.public_events if event in BUILT_IN and event not in handled)


# ── services ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def activities_name(chart: Chart) -> str:
    """`Order.activities`, and `Order.activities.2` for version 2.

    Each version has its own, so that what an earlier build starts goes to that build as long as it is deployed.
    """
    name = f"{chart.name}.activities"
    if chart.version == "1":
        return name
    suffix = re.sub(r"[^a-zA-Z0-9_-]", "_", chart.version)
    return f"{name}.{suffix}" if suffix == chart.version else f"{name}.{suffix}-{digest_of(chart.version)}"


def answers_name(chart: str) -> str:
    return f"{chart}.callbacks"


LIMITS = ".limits"
"""The end of the name of every service that keeps limits."""

NAMED_LIMITS = f"durable_fsm{LIMITS}"
"""The service of limits that have a name: no chart's own, because charts of several applications may share one."""


def limits_name(chart: Chart) -> str:
    return f"{chart.name}{LIMITS}"


def history_name(chart: str) -> str:
    return f"{chart}.history"


def page_key(key: str, life: str, number: int) -> str:
    """The key of the object that keeps a page of the history of a machine."""
    return f"{key}~{life}~{number}"


def index_name(chart: str) -> str:
    return f"{chart}.index"


def listed_name(key: str) -> str:
    """The name under which an index lists the machine of a key; no other state has such a name."""
    return f"{StateKey.LISTED} {key}"


def relay_name(chart: Chart) -> str:
    return f"{chart.name}.relay"


def forwarder_name(chart: Chart) -> str:
    return f"{chart.name}.kafka"


def may_defer(chart: Chart) -> bool:
    """Whether a machine may keep an event for later."""
    return any(state.defers for one in chart.served for state in one.states.values())


def sink_of(chart: Chart, source: Kafka) -> tuple[str, str]:
    """Service and handler at which the subscription of a topic ends."""
    if source.key is None and not may_defer(chart):
        return chart.name, Handler.KAFKA_RECORD
    return forwarder_name(chart), Handler.FORWARD


def webhooks_name(chart: Chart) -> str:
    return f"{chart.name}.webhooks"


def rejected_name(chart: Chart) -> str:
    return f"{chart.name}.rejected"


def workflow_name(chart: Chart) -> str:
    return f"{chart.name}.workflow"


def flow_name(chart: Chart) -> str:
    return f"{chart.name}.flow"


# ── handlers of activities and events ─────────────────────────────────────────────────────────────────────────────────


def handler_name(activity: str) -> str:
    """The handler that runs an activity: its id, in characters that Restate accepts."""
    name = re.sub(r"[^a-zA-Z0-9_]", "_", activity)
    return name if name[0].isalpha() else f"a_{name}"


def item_handler_name(activity: str) -> str:
    """The handler that runs one item of a fan-out. No activity's own handler begins with an underscore."""
    return f"_each_{handler_name(activity)}"


def undo_handler_name(activity: str) -> str:
    """The handler that undoes a run of an activity. No activity's own handler begins with an underscore."""
    return f"_undo_{handler_name(activity)}"


def digest_of(text: str) -> str:
    """Twelve hex digits that identify a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
