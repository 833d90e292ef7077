"""JSON texts that are stored and sent: the same as `canonical` writes, several times as fast.

Numbers keep their digits, whatever their size, in both directions. Only the exponents of floats may be spelled otherwise
(`1e16`, `1e+16`): what is digested and compared between builds is written by `canonical`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from durable_fsm.core.values import Json


def _simpler(value: object) -> object:
    """A text or a number of an author's own class, as what it is."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


_encode = msgspec.json.Encoder(order="sorted", enc_hook=_simpler).encode
_decode = msgspec.json.Decoder[Any]().decode


def dumps(value: Json) -> bytes:
    """The canonical JSON text of what `plain` or a chart's type has made of a value, in UTF-8.

    Raises:
        ValueError: there is half a character in it, or a number of more than 4,300 digits.
    """
    return _encode(value)


def loads(text: bytes) -> Any:  # Any: whatever it says
    """What a JSON text says.

    Raises:
        ValueError: it is none, in UTF-8; or says a number that no float can hold, or half a character.
        RecursionError: it is nested too deeply.
    """
    return _decode(text)
