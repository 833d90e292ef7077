"""Instants of a calendar, as a front-end computes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Calendar:
    """Instants of a calendar, such as every working day at nine. `next` gives the first one after an aware datetime."""

    made_by: ClassVar = "cron(…)"

    schedule: str
    zone: str
    next: Callable[[datetime], datetime] = field(compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.schedule} {self.zone}"
