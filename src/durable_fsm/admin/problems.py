"""A finding of `durable-fsm doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One problem, and the command that solves it or shows more.

    Attributes:
        chart, key: the machine that it is about, or an example of several; empty if it is about none.
        since: when it began, in milliseconds since 1970; None if that is not known.
    """

    kind: str
    what: str
    remedy: str
    chart: str = ""
    key: str = ""
    since: int | None = None
