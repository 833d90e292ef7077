"""Signals that end a command, raised as an exception at a moment that suits it."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked the command to end; `number` says which."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Interrupts:
    """Raises `Interrupted` for the first signal, but never between the start of a process and its record."""

    def __init__(self) -> None:
        self._held = 0
        self._pending: int | None = None
        self._over = False

    @contextmanager
    def heard(self) -> Generator[None]:
        """Listen to the signals. One that was ignored before, as by nohup, is still ignored."""
        before = {number: signal.getsignal(number) for number in STOPPING}
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._receive)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Generator[None]:
        """Delay a signal until the block is done."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if self._pending is not None and not self._held and not self._over:
            self._over = True
            raise Interrupted(self._pending)

    def over(self) -> None:
        """Ignore signals from now on: the command is ending already."""
        self._over = True

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._over:
            return
        if self._held:
            self._pending = number
            return
        self._over = True
        raise Interrupted(number)
