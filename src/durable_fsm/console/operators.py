"""Operators: the people who may act through the console, by name. Without any, the console only shows."""

from __future__ import annotations

from typing import NamedTuple


class Operator(NamedTuple):
    """A person who is logged in.

    Attributes:
        roles: what they may do: `send`, `repair`, `bulk`, `delete`.
        charts: the charts on which they may do it; empty for all.
    """

    name: str
    roles: frozenset[str] = frozenset()
    charts: frozenset[str] = frozenset()

    def may(self, role: str, chart: str) -> bool:
        return role in self.roles and (not self.charts or chart in self.charts)
