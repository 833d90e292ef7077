"""A finding of `durable-fsm doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One problem, and the command that solves it or shows more."""

    kind: str
    what: str
    remedy: str
