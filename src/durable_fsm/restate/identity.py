"""Who may call the process: the Restate servers whose requests are signed with a known key.

A server signs when it has a private key; what is not signed with one of ours is answered 401, and nothing of it runs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

VARIABLE = "DURABLE_FSM_IDENTITY_KEYS"
"""Public keys, parted by commas or spaces, for an application that names none itself."""

PREFIX = "publickeyv1_"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
LENGTH = 32
"""Bytes of an Ed25519 public key."""


def identity_keys(given: Sequence[str] | None) -> list[str]:
    """The keys that are *given*; those of the environment, if that is None. Empty lets everyone in.

    Raises:
        ValueError: one of them is no public key, or the environment names none where it should.
    """
    if given is not None:
        keys, source = [given] if isinstance(given, str) else list(given), "identity_keys"
    elif VARIABLE in os.environ:
        keys, source = os.environ[VARIABLE].replace(",", " ").split(), VARIABLE
        if not keys:
            raise ValueError(f"{VARIABLE} is set and names no key. Remove it, or everybody could call: name one.")
    else:
        return []
    for number, key in enumerate(keys, 1):
        problem = _problem(key)
        if problem is not None:  # not quoted: somebody may have pasted the private one
            raise ValueError(
                f"{source}: key {number} {problem}. A Restate server logs its public key, {PREFIX}…, when it loads the"
                " private one."
            )
    return keys


def _problem(key: str) -> str | None:
    if not key.startswith(PREFIX):
        return f"does not begin with {PREFIX}"
    number = 0
    for letter in key.removeprefix(PREFIX):
        if letter not in BASE58:
            return "has a letter that base58 does not have"
        number = number * len(BASE58) + BASE58.index(letter)
    text = key.removeprefix(PREFIX)
    zeros = len(text) - len(text.lstrip(BASE58[0]))
    length = zeros + (number.bit_length() + 7) // 8
    return None if length == LENGTH else f"has {length} bytes; a public key has {LENGTH}"
