"""The base of every exception: facts as attributes, a message composed from them, and copies with the same facts."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass


def printable(text: str, *, keep: str = "") -> str:
    """*text* with line breaks and terminal escapes spelled out, except those to *keep*.

    Keys and messages come from senders. They must not forge a line, or move the cursor.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else repr(one)[1:-1] for one in text)


def quoted(names: Iterable[str]) -> str:
    """`'cart', 'paid'`: ids as every message prints them."""
    return printable(", ".join(f"'{name}'" for name in names))


def counted(number: int, thing: str) -> str:
    """`1 machine`, `3 machines`, `2 activities`: a number with its noun, as every message prints them."""
    if number == 1:
        return f"1 {thing}"
    return f"{number} {thing.removesuffix('y')}ies" if thing.endswith("y") else f"{number} {thing}s"


@dataclass(kw_only=True, eq=False, repr=False)
class DurableFSMError(Exception):
    """Base of everything durable_fsm raises; `str()` is where, what and what now, in full sentences.

    Subclasses are dataclasses too: their fields are the facts, keyword-only, and `what` makes a message of them.
    """

    chart: str
    key: str | None = None

    @property
    def where(self) -> str:
        """`Order/o-17`, or `Order` as long as no key is known."""
        return self.chart if self.key is None else printable(f"{self.chart}/{self.key}")

    @property
    def what(self) -> str:
        """The message without its place."""
        raise NotImplementedError

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __reduce__(self) -> tuple[object, ...]:
        # An exception's own `__reduce__` calls the class with `args`, and keyword facts are not among them.
        return type(self).__new__, (type(self), *self.args), vars(self)


@contextmanager
def locate(key: str) -> Generator[None]:
    """Add the machine's key to any of our errors that passes through: the core does not know it."""
    try:
        yield
    except DurableFSMError as error:
        if error.key is None:
            error.key = key
        raise
