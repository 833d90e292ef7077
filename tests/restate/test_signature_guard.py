"""The judgement of a signature is in Restate's journal: another attempt of the same invocation decides alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from durable_fsm.core.operators import SignedRequest
from durable_fsm.errors import NotOperator
from durable_fsm.restate.observability.report import Invocation
from durable_fsm.restate.operators import INGRESS, SignatureGuard

SECRET, NEXT = "a secret of sixteen", "the secret that follows it"
REQUEST = SignedRequest("Order", "repair", "o-1", b"{}", 7)


class _Attempts:
    """The context of an invocation that runs several times."""

    def __init__(self) -> None:
        self.journal: list[Any] = []
        self.place = 0

    def key(self) -> str:
        return "o-1"

    async def run_typed(self, name: str, act: Callable[[], bytes], options: object) -> bytes:
        if self.place == len(self.journal):
            self.journal.append((name, act()))
        self.place += 1
        was, value = self.journal[self.place - 1]
        assert was == name
        return bytes(value)

    def judged(self, headers: dict[str, str], *secrets: str, demands: bool = True) -> Invocation:
        """The invocation after one more attempt, by a process with these secrets."""
        self.place = 0
        invocation = Invocation(None, "o-1", "inv_1", "repair")  # type: ignore[arg-type]
        guard = SignatureGuard("Order", "repair", secrets, demands=demands)
        asyncio.run(guard.judge(self, invocation, {**headers, INGRESS: "/"}, b"{}"))
        assert self.place == len(self.journal)
        return invocation


def test_what_was_accepted_is_accepted_again_when_it_is_over_and_the_secret_was_exchanged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_000.0)
    headers, attempts = REQUEST.signed("ann", SECRET, until=1_060), _Attempts()
    first = attempts.judged(headers, SECRET)

    monkeypatch.setattr("time.time", lambda: 9_000.0)
    again, without = attempts.judged(headers, NEXT), attempts.judged(headers)

    assert [(one.by, one.must_say_seq, one.if_seq) for one in (first, again, without)] == [
        ("operator:ann", True, 7)
    ] * 3
    with pytest.raises(NotOperator, match="not valid any more"):
        _Attempts().judged(headers, SECRET)


def test_what_was_refused_is_refused_again_though_the_secret_is_known_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_000.0)
    headers, attempts = REQUEST.signed("ann", SECRET, until=1_060), _Attempts()

    for secret in (NEXT, SECRET):
        with pytest.raises(NotOperator, match="its signature is wrong"):
            attempts.judged(headers, secret)


def test_without_secrets_a_signature_says_nothing_also_when_there_is_one_later() -> None:
    headers, attempts = REQUEST.signed("ann", SECRET, until=9_999_999_999), _Attempts()

    found = [attempts.judged(headers, demands=False), attempts.judged(headers, SECRET, demands=False)]

    assert [(one.by, one.must_say_seq) for one in found] == [("", False)] * 2
