"""Statecharts that survive: declare a chart once, host it durably on Restate.

    from durable_fsm import activity, after, at, defer, durable, event, every, ignore, undo_all

Everything a definition needs is here; what is heavy is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durable_fsm.client import Client, SyncClient
    from durable_fsm.core.activity import ActivityContext
    from durable_fsm.core.chart import Chart, Retry
    from durable_fsm.core.events import Failure
    from durable_fsm.core.limits import Limit
    from durable_fsm.core.migration import OldMachine
    from durable_fsm.core.retention import History
    from durable_fsm.core.scope import Effects, Ids
    from durable_fsm.core.sources import Incoming, Kafka, Record, Request, Response, Webhook
    from durable_fsm.errors import DefinitionError, DurableFSMError, TerminalError
    from durable_fsm.frontends import chart_from
    from durable_fsm.frontends.calendars import cron
    from durable_fsm.frontends.checks.versions import migration
    from durable_fsm.frontends.compiled import compiled
    from durable_fsm.frontends.declare import (
        EventOf,
        activity,
        after,
        at,
        defer,
        durable,
        event,
        every,
        free,
        gone,
        ignore,
        keep,
        tag,
        undo_all,
    )
    from durable_fsm.frontends.machines import machine
    from durable_fsm.frontends.signatures import HmacSha256, SlackSignature, StripeSignature
    from durable_fsm.frontends.transitions import TransitionsConfig
    from durable_fsm.frontends.xstate import XStateConfig
    from durable_fsm.restate.app import app
    from durable_fsm.restate.observability.logging import JsonFormatter

__version__ = "0.1.0.dev0"

_HOMES = {
    "ActivityContext": "durable_fsm.core.activity",
    "Chart": "durable_fsm.core.chart",
    "Client": "durable_fsm.client",
    "DefinitionError": "durable_fsm.errors",
    "DurableFSMError": "durable_fsm.errors",
    "Effects": "durable_fsm.core.scope",
    "EventOf": "durable_fsm.frontends.declare",
    "Failure": "durable_fsm.core.events",
    "History": "durable_fsm.core.retention",
    "HmacSha256": "durable_fsm.frontends.signatures",
    "Ids": "durable_fsm.core.scope",
    "Incoming": "durable_fsm.core.sources",
    "JsonFormatter": "durable_fsm.restate.observability.logging",
    "Kafka": "durable_fsm.core.sources",
    "Limit": "durable_fsm.core.limits",
    "OldMachine": "durable_fsm.core.migration",
    "Record": "durable_fsm.core.sources",
    "Request": "durable_fsm.core.sources",
    "Response": "durable_fsm.core.sources",
    "Retry": "durable_fsm.core.chart",
    "SlackSignature": "durable_fsm.frontends.signatures",
    "StripeSignature": "durable_fsm.frontends.signatures",
    "SyncClient": "durable_fsm.client",
    "TerminalError": "durable_fsm.errors",
    "TransitionsConfig": "durable_fsm.frontends.transitions",
    "Webhook": "durable_fsm.core.sources",
    "XStateConfig": "durable_fsm.frontends.xstate",
    "activity": "durable_fsm.frontends.declare",
    "after": "durable_fsm.frontends.declare",
    "app": "durable_fsm.restate.app",
    "at": "durable_fsm.frontends.declare",
    "chart_from": "durable_fsm.frontends",
    "compiled": "durable_fsm.frontends.compiled",
    "cron": "durable_fsm.frontends.calendars",
    "defer": "durable_fsm.frontends.declare",
    "durable": "durable_fsm.frontends.declare",
    "event": "durable_fsm.frontends.declare",
    "every": "durable_fsm.frontends.declare",
    "free": "durable_fsm.frontends.declare",
    "gone": "durable_fsm.frontends.declare",
    "ignore": "durable_fsm.frontends.declare",
    "keep": "durable_fsm.frontends.declare",
    "machine": "durable_fsm.frontends.machines",
    "migration": "durable_fsm.frontends.checks.versions",
    "tag": "durable_fsm.frontends.declare",
    "undo_all": "durable_fsm.frontends.declare",
}

_EXTRAS = {"TransitionsConfig": "transitions"}
"""Names that need a library which is not installed by itself; the extra is called like it."""

__all__ = [
    "ActivityContext",
    "Chart",
    "Client",
    "DefinitionError",
    "DurableFSMError",
    "Effects",
    "EventOf",
    "Failure",
    "History",
    "HmacSha256",
    "Ids",
    "Incoming",
    "JsonFormatter",
    "Kafka",
    "Limit",
    "OldMachine",
    "Record",
    "Request",
    "Response",
    "Retry",
    "SlackSignature",
    "StripeSignature",
    "SyncClient",
    "TerminalError",
    "TransitionsConfig",
    "Webhook",
    "XStateConfig",
    "activity",
    "after",
    "app",
    "at",
    "chart_from",
    "compiled",
    "cron",
    "defer",
    "durable",
    "event",
    "every",
    "free",
    "gone",
    "ignore",
    "keep",
    "machine",
    "migration",
    "tag",
    "undo_all",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'durable_fsm' has no attribute '{name}'")
    try:
        value: object = getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        if error.name != _EXTRAS.get(name):
            raise
        raise ImportError(f"{name} needs {error.name}: pip install 'durable-fsm[{error.name}]'") from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
