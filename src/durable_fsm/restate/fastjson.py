"""JSON as it is stored and sent: the texts of `canonical`, several times as fast, and the base of our wire records.

Numbers keep their digits in both directions, whatever their size. Only exponents may be spelled differently (`1e16`,
`1e+16`), so digests and comparisons between builds use `canonical`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Self

import msgspec

from durable_fsm.core.codec import as_builtin
from durable_fsm.core.values import Json


class WireRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of what our services store or send to each other: one JSON object, without members that have their default.

    Decoding ignores unknown members, so that an older build can read what a newer one wrote.
    Subclasses repeat `frozen=True` for the type checkers.
    """

    def encode(self) -> bytes:
        return dumps(self)

    @classmethod
    def decode(cls, text: bytes) -> Self:
        record: Self = _decoder(cls).decode(text)
        return record


@cache
def _decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:  # Any: the record's own class
    return msgspec.json.Decoder(kind)


# Bound methods of msgspec, not functions of ours around them: every event comes through here several times.
dumps: Callable[[Json | msgspec.Struct], bytes] = msgspec.json.Encoder(order="sorted", enc_hook=as_builtin).encode
"""Write JSON, in UTF-8, with sorted members; a struct as its object.

Raises:
    ValueError: a text has an unpaired surrogate, or a number has more than 4,300 digits.
"""

loads: Callable[[bytes], Any] = msgspec.json.Decoder[Any]().decode  # Any: whatever JSON it holds
"""Read JSON.

Raises:
    ValueError: it is not valid JSON in UTF-8, or holds a number beyond any float or an unpaired surrogate.
    RecursionError: it is nested too deeply.
"""
