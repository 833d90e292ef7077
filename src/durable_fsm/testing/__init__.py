"""Tools to test machines: for this project's tests and for yours.

Names are imported when they are first used: the pytest plugin lives in this package, and pytest imports it in every
project where durable_fsm is installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durable_fsm.local.cluster import RestateCluster
    from durable_fsm.local.failures import AdminError, HarnessError, NativeServerError, NotObserved, ProcessFailed
    from durable_fsm.local.process import ServiceProcess, free_port, serve_command
    from durable_fsm.local.server import Deployment, RestateServer
    from durable_fsm.local.waiting import wait_until, wait_until_async
    from durable_fsm.testing.application import Served
    from durable_fsm.testing.diagrams import assert_diagram_fresh
    from durable_fsm.testing.effects import EffectLog, EffectRefused, Gate, RecordedEffect, effect
    from durable_fsm.testing.kafka import KafkaBroker
    from durable_fsm.testing.rehearsal import Rehearsal

__all__ = [
    "AdminError",
    "Deployment",
    "EffectLog",
    "EffectRefused",
    "Gate",
    "HarnessError",
    "KafkaBroker",
    "NativeServerError",
    "NotObserved",
    "ProcessFailed",
    "RecordedEffect",
    "Rehearsal",
    "RestateCluster",
    "RestateServer",
    "Served",
    "ServiceProcess",
    "assert_diagram_fresh",
    "effect",
    "free_port",
    "serve_command",
    "wait_until",
    "wait_until_async",
]

_MODULES = {
    "local.cluster": ("RestateCluster",),
    "local.failures": ("AdminError", "HarnessError", "NativeServerError", "NotObserved", "ProcessFailed"),
    "local.process": ("ServiceProcess", "free_port", "serve_command"),
    "local.server": ("Deployment", "RestateServer"),
    "local.waiting": ("wait_until", "wait_until_async"),
    "testing.diagrams": ("assert_diagram_fresh",),
    "testing.effects": ("EffectLog", "EffectRefused", "Gate", "RecordedEffect", "effect"),
    "testing.kafka": ("KafkaBroker",),
    "testing.rehearsal": ("Rehearsal",),
    "testing.application": ("Served",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"durable_fsm.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
