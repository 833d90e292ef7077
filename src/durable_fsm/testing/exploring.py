"""The pytest fixture `explored`: a chart is explored, and what is found fails the test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from durable_fsm.explore.domains import BadProofs, Domain
from durable_fsm.explore.moves import ANY_ORDER, IN_ORDER
from durable_fsm.explore.proofs import Proofs, proofs_in
from durable_fsm.explore.properties import Property
from durable_fsm.explore.report import Report, explore
from durable_fsm.explore.search import Bounds
from durable_fsm.frontends import chart_from


def explore_or_fail(
    target: object,
    *,
    domains: Sequence[Domain] = (),
    properties: Sequence[Property] = (),
    view: Mapping[str, Callable[[Any], object]] | None = None,  # Any: a member of the data, as plain JSON
    k: int = 1,
    depth: int | None = None,
    seconds: float | None = None,
    in_order: bool = False,
    clock: Sequence[timedelta] = (),
    with_children: bool = False,
) -> Report:
    """Explore a chart; see `durable_fsm.testing.plugin.Explore`."""
    timers = IN_ORDER if in_order else ANY_ORDER
    bounds = Bounds(k=k, depth=depth, seconds=seconds, timers=timers, with_children=with_children)
    try:
        if isinstance(target, ModuleType):
            proofs = proofs_in(target, Path(target.__file__ or target.__name__))
        else:
            proofs = Proofs(chart_from(target), domains, properties, view or {}, clock=clock)
        report = explore(proofs, bounds)
    except BadProofs as error:
        pytest.fail(str(error), pytrace=False)
    if not report.holds:
        pytest.fail("\n".join(report.lines()), pytrace=False)
    return report
