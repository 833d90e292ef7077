"""Envelopes as texts: on their way between machines, and those that wait for another deployment."""

from __future__ import annotations

import msgspec

from durable_fsm.core.messages import Envelope

_decode = msgspec.json.Decoder(Envelope).decode
_texts = msgspec.json.Decoder(list[str]).decode


def read(text: str | bytes) -> Envelope:
    """Read an envelope that a machine has sent."""
    envelope: Envelope = _decode(text)
    return envelope


def read_all(text: bytes) -> list[Envelope]:
    """Read the envelopes that a machine has kept."""
    return [read(kept) for kept in _texts(text)]
