"""What every exception of durable_fsm has: a place, a message, and how ids are printed in it."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager


def quoted(names: Iterable[str]) -> str:
    """`'cart', 'paid'`: ids as every message prints them."""
    return ", ".join(f"'{name}'" for name in names)


class DurableFSMError(Exception):
    """Base of everything durable_fsm raises; `str()` is where, what and what now, in full sentences."""

    def __init__(self, *, chart: str, key: str | None = None) -> None:
        super().__init__()
        self.chart = chart
        self.key = key

    @property
    def where(self) -> str:
        """`Order/o-17`, or `Order` as long as no key is known."""
        return self.chart if self.key is None else f"{self.chart}/{self.key}"

    @property
    def what(self) -> str:
        """The message without its place."""
        raise NotImplementedError

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


@contextmanager
def locate(key: str) -> Generator[None]:
    """Add the machine's key to any of our errors that passes through."""
    try:
        yield
    except DurableFSMError as error:
        if error.key is None:
            error.key = key
        raise
