"""From definitions to something a server can serve."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import restate
from restate.aws_lambda import is_running_on_lambda

from durable_fsm.core.chart import Activity, Chart
from durable_fsm.core.limits import Limit
from durable_fsm.core.service_names import is_handler_name
from durable_fsm.errors import NotDurable, Problem
from durable_fsm.frontends import chart_from
from durable_fsm.frontends.checks.limits import differing
from durable_fsm.frontends.contents import HOSTED, charts_of
from durable_fsm.frontends.services import with_services
from durable_fsm.restate.activities.detached import add_detached
from durable_fsm.restate.activities.external_answers import companion
from durable_fsm.restate.activities.limits import Limits
from durable_fsm.restate.activities.service import ActivityService
from durable_fsm.restate.activities.threads import WorkerThreads
from durable_fsm.restate.field_index import FieldIndex
from durable_fsm.restate.flows import flow
from durable_fsm.restate.history import HistoryPages
from durable_fsm.restate.machine.object import handlers_of, virtual_object
from durable_fsm.restate.messages.envelope import relays
from durable_fsm.restate.names import BUILT_IN, NAMED_LIMITS, activities_name, limits_name, sink_of
from durable_fsm.restate.observability.logging import log
from durable_fsm.restate.registration import Service
from durable_fsm.restate.settings import HostedChart, Settings
from durable_fsm.restate.short_way import shortened
from durable_fsm.restate.signals import SignalsPassedOn
from durable_fsm.restate.sources.dead_letters import rejected_object
from durable_fsm.restate.sources.kafka import Topics
from durable_fsm.restate.sources.webhooks import Webhooks
from durable_fsm.restate.workflows import workflow

Protocol = Literal["bidi", "request_response"]
Part = Literal["all", "machines", "runners"]
KEYS = "durable_fsm_identity_keys"
SETTINGS = "durable_fsm_settings"
SERVICES = "durable_fsm_services"
ELSEWHERE = "durable_fsm_elsewhere"
"""Attributes of an application, beside `HOSTED`: the public keys of the servers that may call it, its settings, what its
activities work with, and the definitions that another application serves."""

IDENTITY_KEYS = "DURABLE_FSM_IDENTITY_KEYS"
"""Environment variable with public keys, separated by commas or spaces, for an application that names none itself."""


def services(
    *definitions: object,
    settings: Settings | None = None,
    given: Mapping[str, object] | None = None,
    elsewhere: Iterable[object] = (),
) -> list[Service]:
    """The Restate services of some charts, and of those that they run as children; `names` lists them for one chart.

    Args:
        settings: those of the environment, if not given.
        given: what activities ask for by name, see `app`.
        elsewhere: children that another application serves.

    Raises:
        DefinitionError: a definition has problems.
        ValueError: two charts have the same name, or one has that of a companion of another.
    """
    charts = with_children(chart_from(definition) for definition in definitions)
    refuse_differing_limits(charts)
    peers = {chart.name: chart for chart in charts}
    charts = without(charts, elsewhere)
    settings = settings or Settings.from_environment()
    threads = WorkerThreads(settings.threads)
    found: list[Service] = []
    for chart in charts:
        handled = chart.hosting.handlers.values()
        for event in chart.public_events:
            if event not in handled and (event in BUILT_IN or not is_handler_name(event)):
                log.warning("%s: event '%s' cannot have a handler; use 'send'", chart.name, event)
        found += virtual_object(HostedChart(chart, peers, settings)), relays(chart)
        if chart.hosting.history is not None:
            found.append(HistoryPages(chart, chart.hosting.history).service())
        for one in chart.served:
            if one.activities:
                service = ActivityService(with_services(one, given or {}), threads).service()
                if one.work:
                    add_detached(service, one)
                found.append(service)
        activities = _activities(chart)
        if activities:
            found.append(companion(chart))
        if any(isinstance(activity.limit, int) for activity in activities):
            found.append(Limits(limits_name(chart), [chart]).virtual_object())
        if chart.hosting.index:
            found.append(FieldIndex(chart).service())
        found += sources_of(chart)
        if chart.hosting.workflow:
            found.append(workflow(chart, handlers_of(chart)))
        if chart.hosting.flow:
            found.append(flow(chart))
    sharing = [chart for chart in charts if any(isinstance(one.limit, Limit) for one in _activities(chart))]
    if sharing:
        found.append(Limits(NAMED_LIMITS, sharing).virtual_object())
    for name, count in Counter(service.name for service in found).items():
        if count > 1:
            raise ValueError(
                f"'{name}' is the name of a chart and of what another one needs beside it; rename the chart"
            )
    return found


def _activities(chart: Chart) -> list[Activity]:
    return [activity for one in chart.served for activity in one.activities.values()]


def refuse_differing_limits(charts: Iterable[Chart]) -> None:
    """Refuse limits that have the same name and not the same number of slots.

    Raises:
        ValueError: there are such.
    """
    for one, other in differing(activity for chart in charts for activity in _activities(chart)):
        raise ValueError(
            f"limit '{one.name}' has {one.slots} slots in one chart and {other.slots} in another;"
            " declare it once, and name it in both"
        )


_services = services  # `app` has an argument of this name


def sources_of(chart: Chart) -> list[restate.Service | restate.VirtualObject]:
    """The services of a chart's topics and webhooks."""
    found: list[restate.Service | restate.VirtualObject] = []
    if any(sink_of(chart, source)[0] != chart.name for source in chart.hosting.sources):
        found.append(Topics(chart).forwarder())
    if chart.hosting.webhooks:
        found.append(Webhooks(chart).service())
    if chart.hosting.sources or chart.hosting.webhooks:
        found.append(rejected_object(chart))
    return found


def with_children(charts: Iterable[Chart]) -> list[Chart]:
    """The charts, each once, with those that they run as children, and so on.

    Raises:
        NotDurable: which machine a state begins is only decided when it does.
        ValueError: two different charts have the same name.
    """
    found: dict[str, Chart] = {}
    pending = list(charts)[::-1]
    while pending:
        chart = pending.pop()
        known = found.setdefault(chart.name, chart)
        if known is not chart:
            raise ValueError(f"two charts are called '{chart.name}'; give one of them @durable(name=...)")
        pending += [child for child in _children(chart) if found.get(child.name) is not child][::-1]
    return list(found.values())


def without(charts: Iterable[Chart], elsewhere: Iterable[object]) -> list[Chart]:
    """The charts without those that another application serves.

    Raises:
        ValueError: one of these is not among the charts.
    """
    served = {chart.name: chart for chart in charts}
    for other in map(chart_from, elsewhere):
        if served.pop(other.name, None) is None:
            raise ValueError(f"elsewhere= names '{other.name}', which no chart of this application runs")
    return [*served.values()]


def _children(chart: Chart) -> list[Chart]:
    states = [state for one in chart.served for state in one.states.values()]
    declared = [(state, child) for state in states for child in state.machines]
    problems = [
        Problem(
            f"state '{state.id}' runs machine '{child.name}', whose chart is known only when it begins.",
            "Name a chart that is there beforehand.",
            str(child.location or state.location or ""),
        )
        for state, child in declared
        if child.chart is None
    ]
    if problems:
        raise NotDurable(chart=chart.name, problems=tuple(problems))
    compiled: list[Chart] = [] if chart.compiler is None else [*chart.compiler.machines]
    return compiled + [child.chart for _, child in declared if child.chart is not None]


# Any: an ASGI application, or on AWS Lambda a handler function; Restate's SDK decides and does not type it
def app(
    *definitions: object,
    protocol: Protocol | None = None,
    identity_keys: Sequence[str] | None = None,
    settings: Settings | None = None,
    services: Mapping[str, object] | None = None,
    elsewhere: Sequence[object] = (),
) -> Any:
    """An ASGI application that hosts these charts; on AWS Lambda, a Lambda handler.

    Args:
        definitions: whatever `chart_from` reads.
        protocol: how Restate talks to it; None lets discovery decide by the HTTP version.
        identity_keys: public keys of the Restate servers that may call it, `publickeyv1_…`; those of the environment
            variable `DURABLE_FSM_IDENTITY_KEYS`, if not given. Without any key, every caller is accepted.
        settings: how it hosts machines; those of the environment, if not given.
        services: clients, sessions and other objects of this process, by name. An activity gets those that it declares as
            arguments given by name only: `async def charge(ctx, data, *, gateway)`. They are never stored.
        elsewhere: children of these charts that another application serves. Register that one first.

    Raises:
        DefinitionError: a definition has problems, or an activity asks for a service that is not given.
        ValueError: two charts have the same name, a key is not a public key, or no chart runs what is `elsewhere`.
    """
    keys = keys_of_servers(identity_keys) or None
    settings = settings or Settings.from_environment()
    made = _services(*definitions, settings=settings, given=services, elsewhere=elsewhere)
    hosted = _served(made, settings, keys, protocol)
    charts = with_children(chart_from(definition) for definition in definitions)
    with suppress(AttributeError):  # what the SDK makes for Lambda need not take attributes
        setattr(hosted, HOSTED, tuple(without(charts, elsewhere)))
        setattr(hosted, ELSEWHERE, tuple(elsewhere))
        setattr(hosted, KEYS, keys)
        setattr(hosted, SETTINGS, settings)
        setattr(hosted, SERVICES, services)
    return hosted


def keys_of_servers(given: Sequence[str] | None) -> list[str]:
    """The public keys that are *given*; those of the environment, if that is None. No keys accept every caller.

    Raises:
        ValueError: one of them is not a public key, or the environment variable is set but empty.
    """
    if given is not None:
        keys, source = [given] if isinstance(given, str) else list(given), "identity_keys"
    elif IDENTITY_KEYS in os.environ:
        keys, source = os.environ[IDENTITY_KEYS].replace(",", " ").split(), IDENTITY_KEYS
        if not keys:
            raise ValueError(f"{IDENTITY_KEYS} is set and names no key. Name one; without it every caller is accepted.")
    else:
        return []
    for number, key in enumerate(keys, 1):
        try:
            restate.app([], identity_keys=[key])
        except Exception as error:  # the SDK does not export the class
            # The key is not quoted: it may be a private one, pasted by mistake.
            raise ValueError(
                f"{source}: key {number}: {error}. A Restate server logs its public key, publickeyv1_…, when it loads the"
                " private one."
            ) from error
    return keys


# Any: what `app` returns
def part_of(hosted: Any, part: Part, *, protocol: Protocol | None = None) -> Any:
    """An application that hosts a part of what another one does: its machines, the work of their activities, or all.

    Each part is registered where it is served, and may be served in a way of its own.

    Raises:
        ValueError: it hosts no charts of ours, or has no such part.
    """
    charts = charts_of(hosted)
    if not charts:
        raise ValueError("it was not made by durable_fsm.app. Name the application that was, if another one mounts it.")
    runners = {activities_name(one) for chart in charts for one in chart.served}
    settings: Settings = getattr(hosted, SETTINGS)
    wanted = [
        one
        for one in services(
            *charts, settings=settings, given=getattr(hosted, SERVICES), elsewhere=getattr(hosted, ELSEWHERE)
        )
        if part == "all" or (one.name in runners) == (part == "runners")
    ]
    if not wanted:
        raise ValueError("its charts have no activities: there is nothing to be served apart.")
    return _served(wanted, settings, getattr(hosted, KEYS), protocol)


# Any: as `app`
def _served(services: list[Service], settings: Settings, keys: list[str] | None, protocol: Protocol | None) -> Any:
    made = restate.app(services, protocol=protocol, identity_keys=keys, journal_value_codec=settings.journal_codec)
    if not is_running_on_lambda():
        made = SignalsPassedOn(made)
    if not settings.short_way:
        return made
    return shortened(made, services, keys or (), compares=settings.compare_payloads)
