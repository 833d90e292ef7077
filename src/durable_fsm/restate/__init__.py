"""The host: charts as Restate virtual objects. The only package that imports `restate`."""

from __future__ import annotations

from durable_fsm.restate.app import app, services

__all__ = ["app", "services"]
