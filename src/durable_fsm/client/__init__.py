"""Talk to hosted machines over HTTP: `Client` with asyncio, `SyncClient` without, the same calls in both.

`calls` says what is sent and how answers are read, `protocol` how often a call is tried: neither touches the network.
"""

from __future__ import annotations

from durable_fsm.client.awaited import Client, Machine, NamedMachine, Sent, TypedMachine
from durable_fsm.client.blocking import SyncClient, SyncMachine, SyncNamedMachine, SyncSent, SyncTypedMachine
from durable_fsm.client.values import Accepts, Entry, View
from durable_fsm.core.receipt import Receipt

__all__ = [
    "Accepts",
    "Client",
    "Entry",
    "Machine",
    "NamedMachine",
    "Receipt",
    "Sent",
    "SyncClient",
    "SyncMachine",
    "SyncNamedMachine",
    "SyncSent",
    "SyncTypedMachine",
    "TypedMachine",
    "View",
]
