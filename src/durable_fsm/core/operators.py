"""Signatures of operators: a request says who sends it, and that a machine must not have moved.

The signer knows a secret that the service knows, too. The signature covers the whole request: chart, handler, key, body,
the operator's name, the end of its validity, and the step at which the operator has seen the machine. So a signed request
cannot be sent to another machine or changed, and once it has moved the machine it cannot be sent again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from durable_fsm.errors import MalformedInput, NotOperator

OPERATOR = "x-durable-fsm-operator"
"""Header with the name, the end of validity in seconds since 1970, and the signature, separated by dots."""

IF_SEQ = "x-durable-fsm-if-seq"
"""Header with the `seq` at which the machine must still be; 0 if it must not exist yet."""

HEADERS = frozenset({OPERATOR, IF_SEQ})

FORMAT = "durable-fsm-operator-1"

LONGEST_NAME = 100
"""Characters of an operator's name: every entry of a history repeats it."""

SHORTEST_SECRET = 16

VALID_SECONDS = 300
"""How long a signature is valid, if its maker does not say."""

LONGEST_SECONDS = 3_600
"""Signatures that are valid for longer are refused: clocks may differ, and a signature may be copied."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """The parts of a request that a signature covers; `if_seq` is None if the header is missing."""

    chart: str
    handler: str
    key: str
    body: bytes
    if_seq: int | None = None

    def signed(self, name: str, secret: str, *, until: int) -> dict[str, str]:
        """The headers of the request of an operator, valid until an instant in seconds since 1970."""
        parts = f"{quote(name, safe='')}.{until}"
        headers = {OPERATOR: f"{parts}.{self._mac(parts, secret)}"}
        return headers if self.if_seq is None else {**headers, IF_SEQ: str(self.if_seq)}

    def operator(self, header: str, secrets: Iterable[str], *, now: float) -> str:
        """The name of the operator who has signed the request.

        Raises:
            NotOperator: it was not signed with one of the secrets, or too long ago.
        """
        parts, _, signature = header.rpartition(".")
        name, _, until = parts.rpartition(".")
        if not (name and until.isascii() and until.isdecimal()):
            raise self._refusal("its signature cannot be read.")
        known = [hmac.compare_digest(self._mac(parts, secret).encode(), signature.encode()) for secret in secrets]
        if not any(known):
            raise self._refusal("its signature is wrong, or was made with another secret or for another request.")
        if not now <= int(until) <= now + LONGEST_SECONDS:
            raise self._refusal("its signature is not valid any more, or for too long. Compare the clocks.")
        told = unquote(name)
        if len(told) > LONGEST_NAME:
            raise self._refusal(f"the operator's name has more than {LONGEST_NAME} characters.")
        return told

    def _mac(self, parts: str, secret: str) -> str:
        covered = (
            FORMAT,
            parts,
            quote(self.chart, safe=""),
            quote(self.handler, safe=""),
            quote(self.key, safe=""),
            "-" if self.if_seq is None else str(self.if_seq),
            hashlib.sha256(self.body).hexdigest(),
        )
        return hmac.new(secret.encode(), "\n".join(covered).encode(), hashlib.sha256).hexdigest()

    def _refusal(self, problem: str) -> NotOperator:
        return NotOperator(chart=self.chart, handler=self.handler, problem=problem)


def if_seq_in(headers: Mapping[str, str], chart: str, handler: str) -> int | None:
    """The step at which the machine must still be, if a request says so.

    Raises:
        MalformedInput: it is not a number.
    """
    text = headers.get(IF_SEQ)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise MalformedInput(chart=chart, handler=handler, problem=f"the header {IF_SEQ} must be a number.")
    return int(text)


def secrets_in(text: str, variable: str) -> tuple[str, ...]:
    """The secrets of an environment variable, separated by commas or spaces.

    Raises:
        ValueError: there is none, or one is too short.
    """
    found = tuple(text.replace(",", " ").split())
    if not found:
        raise ValueError(f"{variable} is set and has no secret. Unset it, or name one or two.")
    for number, secret in enumerate(found, 1):
        if len(secret) < SHORTEST_SECRET:  # it is not quoted
            raise ValueError(f"{variable}: secret {number} has fewer than {SHORTEST_SECRET} characters.")
    return found
