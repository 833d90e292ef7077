"""Check `sources=` and `webhooks=` at import, and find every problem."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from durable_fsm.core.chart import EventType, Transition
from durable_fsm.core.events import PLATFORM_NAMES
from durable_fsm.core.index import matches
from durable_fsm.core.sources import Kafka, Webhook
from durable_fsm.core.values import Location
from durable_fsm.errors import quoted
from durable_fsm.frontends.arguments import FoundProblem, written
from durable_fsm.frontends.checks.purity import REMEDIES, faults

TOPIC = re.compile(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}")
"""The names that Kafka allows for a topic."""

CLUSTER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
HANDLER = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
OWN_OPTIONS = {"auto.offset.reset": "start", "group.id": "group", "bootstrap.servers": "cluster"}
"""Settings of the consumer for which `Kafka` has an argument."""


@dataclass(frozen=True)
class DeclaredEvents:
    """The events that a chart accepts: by name, and by descriptor."""

    events: Mapping[str, EventType]
    descriptors: frozenset[str]

    @classmethod
    def of(cls, events: Mapping[str, EventType], transitions: Iterable[Transition]) -> DeclaredEvents:
        return cls(events, frozenset(descriptor for edge in transitions for descriptor in edge.events))

    def problem(self, name: object) -> tuple[str, str] | None:
        """Why a source cannot send this event, and a remedy; None if it can."""
        if not isinstance(name, str):
            return f"names {name!r} among its events, which is not a string.", "Name events by their ids."
        declared = self.events.get(name)
        if declared is None:
            if any(matches(descriptor, name) for descriptor in self.descriptors):
                return None
            known = quoted(sorted(event for event, found in self.events.items() if found.public))
            return f"names event '{name}', and there is none.", f"There is {known}." if known else "Declare the event."
        if name.startswith(PLATFORM_NAMES):
            return f"names event '{name}', which only the machine itself sends.", "Name an event of senders outside."
        return None


def problems_in(sources: Iterable[Kafka], webhooks: Iterable[Webhook], names: DeclaredEvents) -> Iterator[FoundProblem]:
    """Every problem of these declarations."""
    yield from _kafka_problems(sources, names)
    yield from _webhook_problems(webhooks, names)


def _kafka_problems(sources: Iterable[Kafka], names: DeclaredEvents) -> Iterator[FoundProblem]:
    seen: set[str] = set()
    for source in sources:
        place = written(source.decode)
        called = f"the source of topic '{source.topic}'"
        if not _is(TOPIC, source.topic):
            what = f"{source.topic!r} is not a valid name of a Kafka topic."
            yield what, "Use up to 249 letters, digits, dots, dashes and underscores.", place
        elif source.topic in seen:
            yield f"topic '{source.topic}' is declared twice.", "Let one decoder read all its records.", place
        else:
            seen.add(source.topic)
        if not _is(CLUSTER, source.cluster):
            what = f"{called} names cluster {source.cluster!r}, which Restate does not accept."
            yield what, "Use letters, digits, dots, dashes and underscores.", place
        if source.start not in ("earliest", "latest"):
            yield f"{called} has start={source.start!r}.", "Write 'earliest' or 'latest'.", place
        for option in sorted(OWN_OPTIONS.keys() & source.options.keys()):
            yield f"{called} sets '{option}' among its options.", f"Use {OWN_OPTIONS[option]}= instead.", place
        yield from _function_problems(source.decode, f"the decoder of topic '{source.topic}'")
        if source.key is not None:
            yield from _function_problems(source.key, f"the key of topic '{source.topic}'")
        yield from _event_problems(source.events, called, names, place)


def _webhook_problems(webhooks: Iterable[Webhook], names: DeclaredEvents) -> Iterator[FoundProblem]:
    seen: set[str] = set()
    for webhook in webhooks:
        place = written(webhook.decode)
        called = f"webhook '{webhook.name}'"
        if not _is(HANDLER, webhook.name):
            what = f"{webhook.name!r} is not a valid name of a webhook."
            yield what, "Begin with a letter; use letters, digits and underscores.", place
        elif webhook.name in seen:
            yield f"{called} is declared twice.", "Give one another name.", place
        else:
            seen.add(webhook.name)
        yield from _function_problems(webhook.decode, f"the decoder of {called}")
        yield from _signature_problems(webhook, called, place)
        yield from _event_problems(webhook.events, called, names, place)


def _signature_problems(webhook: Webhook, called: str, place: Location | None) -> Iterator[FoundProblem]:
    signature: Any = webhook.signature  # Any: whatever the author wrote
    if signature is None:
        return
    if isinstance(signature, type):
        yield f"the signature of {called} is a class.", f"Make one: {signature.__name__}(...).", place
    elif hasattr(signature, "signed_at"):
        if not _is(VARIABLE, getattr(signature, "secret", None)):
            what = f"the signature of {called} names no environment variable."
            remedy = "Write secret='NAME', in upper case: the name of the variable, never the secret itself."
            yield what, remedy, place
        if getattr(signature, "encoding", "hex") not in ("hex", "base64"):
            yield f"the signature of {called} has an unknown encoding.", "Write 'hex' or 'base64'.", place
    else:
        yield from _function_problems(signature, f"the signature of {called}", pure=False)


def _event_problems(
    events: object, called: str, names: DeclaredEvents, place: Location | None
) -> Iterator[FoundProblem]:
    if isinstance(events, str):
        yield f"{called} has a text for its events.", f"Write events=({events!r},).", place
        return
    for name in cast("Iterable[object]", events):
        if (found := names.problem(name)) is not None:
            yield f"{called} {found[0]}", found[1], place


def _function_problems(function: object, called: str, *, pure: bool = True) -> Iterator[FoundProblem]:
    """Problems of a decoder, which must be a plain and pure function of one argument."""
    place = written(function)
    if not callable(function):
        yield f"{called} is {function!r}, which cannot be called.", "Give it a function of one argument.", place
        return
    if any(map(_is_asynchronous, (function, getattr(function, "__call__", None)))):  # noqa: B004 - an object's own one
        what = f"{called} is a coroutine or a generator; it decides at once and does no outside work."
        yield what, "Make it a plain function; look things up in an activity.", place
        return
    if pure:
        for fault, call in faults(function):
            yield f"{called} {fault}: {call}.", REMEDIES[fault], place
    try:
        inspect.signature(function).bind(object())
    except TypeError:
        yield f"{called} does not accept one argument.", "Write def decode(record): ...", place
    except ValueError:  # a built-in function without a signature
        return


def _is_asynchronous(function: object) -> bool:
    return (
        inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
        or inspect.isgeneratorfunction(function)
    )


def _is(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None
