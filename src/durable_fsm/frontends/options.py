"""The options of a chart: how authors give them, to `durable` or to a configuration, and how the readers get them.

Type checkers know the arguments from `HostingOptions` and `ClassOptions`. Their values are in `ChartOptions`, which
extends `Hosting` of the core, so that each option has one default and one meaning for every front-end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Literal, TypedDict, cast, get_type_hints

from durable_fsm.core.chart import Hosting, Unexpected
from durable_fsm.core.migration import Migration
from durable_fsm.core.retention import AfterEnd, History
from durable_fsm.core.sources import Kafka, Webhook


class HostingOptions(TypedDict, total=False):
    """The options that every definition has."""

    version: str
    handlers: Mapping[str, str] | None
    create_first: bool
    cancel_timers_over: timedelta
    history: History | None
    after_end: AfterEnd | None
    work: Iterable[Any]  # Any: what `activity` makes is made for the library's untyped `invoke=`
    sources: Iterable[Kafka]
    webhooks: Iterable[Webhook]
    redact: Iterable[str]
    operators_only: Iterable[str]
    migrations: Iterable[Migration]
    index: Iterable[str]
    clock: bool
    defer_for: timedelta | None
    defer_while_paused: bool
    unexpected: Literal["reject", "ignore"] | None
    services: Iterable[str]
    versions: Iterable[object]
    workflow: bool | str
    flow: bool
    queries: Mapping[str, Callable[..., object]] | None


class ClassOptions(HostingOptions, total=False):
    """The options of `durable`. A configuration of transitions says its name, defers and ignores in other ways."""

    name: str | None
    defers: Iterable[str]
    ignores: Iterable[str]


OPTION_TYPES: Mapping[str, Any] = get_type_hints(ClassOptions)
"""The annotation of each option, for `core.calls`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ChartOptions(Hosting):
    """Everything that an author says of a chart beside its states and events.

    `unexpected` is how an event that no transition accepts is answered; None lets the library's own setting decide. `services`
    names attributes of plain instances that are not data.
    """

    version: str = "1"
    work: tuple[Any, ...] = ()
    versions: tuple[object, ...] = ()
    unexpected: Literal["reject", "ignore"] | None = None
    services: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Keep what an author wrote as a list: later changes to that list change nothing."""
        for name in (
            "work", "versions", "services", "sources", "webhooks", "redact", "operators_only", "migrations", "index",
        ):  # fmt: skip
            object.__setattr__(self, name, listed(getattr(self, name)))
        for name in ("handlers", "queries"):
            object.__setattr__(self, name, dict(cast("Mapping[str, Any] | None", getattr(self, name)) or {}))


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassChartOptions(ChartOptions):
    """The options that `durable` keeps on a class."""

    name: str | None = None
    defers: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("defers", "ignores"):
            object.__setattr__(self, name, listed(getattr(self, name)))


def unexpected_of(options: ChartOptions, *, ignores: bool) -> Unexpected:
    """How the chart answers an event that no transition accepts; *ignores* is the library's own setting."""
    if options.unexpected is not None:
        return Unexpected(options.unexpected)
    return Unexpected.IGNORE if ignores else Unexpected.REJECT


def hosting_of(options: ChartOptions) -> Hosting:
    """The part of the options that a chart's host reads."""
    return Hosting(**{spec.name: getattr(options, spec.name) for spec in fields(Hosting)})


def listed(items: Iterable[Any]) -> tuple[Any, ...]:
    """The items as a tuple. A single name is a list of one name, not of its letters."""
    return (items,) if isinstance(items, str) else tuple(items)
