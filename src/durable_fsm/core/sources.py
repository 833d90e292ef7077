"""Sources of events beside senders: Kafka topics and webhooks, as an author declares them.

Values only. A decoder is a plain function from a record or a request to an event: it runs again after a crash and must
then decide the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from typing import Literal, Protocol, TypeAlias, runtime_checkable


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a Kafka topic.

    `key` is None where the record has none. `timestamp` is in milliseconds since 1970, as its producer or its broker
    set it. A tombstone's `value` is empty. Headers of records are not here: Restate does not hand them on.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: str | None
    value: bytes = field(repr=False)

    @property
    def place(self) -> str:
        """Where it can be found again: `orders[3]@1042`."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a webhook: its name, the headers (names in lower case), and the body as it was sent."""

    webhook: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Incoming:
    """The event that a decoder makes of a record or a request.

    Attributes:
        event: name of a public event.
        payload: plain JSON, or what `plain` makes so.
        key: of the machine; None leaves it to the source. A webhook has nothing else to tell the key.
        id: what the producer calls this event; a second one of the same id, machine and topic or webhook is not processed.
            Without it each request is an event, and each record, which is processed once in any case.
    """

    event: str
    payload: object = None
    key: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a request that carries no event: status 200, and this JSON. `Response({"challenge": "3eZbrw1a"})`.

    Attributes:
        body: plain JSON, or what `plain` makes so.
    """

    body: object


RecordDecoder: TypeAlias = Callable[[Record], Incoming | None]
RequestDecoder: TypeAlias = Callable[[Request], Incoming | Response | None]


@dataclass(frozen=True, slots=True)
class Kafka:
    """A topic whose records are events of the machine.

    Args:
        topic: its name.
        decode: makes an event of a record; None skips the record, an exception rejects it.
        key: finds the machine's key, where that is not the record's.
        events: what `decode` may return; empty means any public event. A private event named here comes from here only.
        cluster: the name under which Restate knows the brokers.
        start: where the first subscription begins: `earliest` takes what is there already, `latest` what comes.
        group: Kafka's consumer group; Restate makes one up for each subscription if there is none.
        options: other settings of the consumer, by Kafka's names.
    """

    topic: str
    decode: RecordDecoder
    _: KW_ONLY
    key: Callable[[Record], str] | None = None
    events: tuple[str, ...] = ()
    cluster: str = "default"
    start: Literal["earliest", "latest"] = "earliest"
    group: str | None = None
    options: Mapping[str, str] = field(default_factory=dict[str, str])


@runtime_checkable
class Signature(Protocol):
    """A way to sign requests. It holds the name of a secret, never the secret.

    Attributes:
        secret: the environment variable that holds the secret; empty if there is none.
        tolerance: how old a signature may be; None where it does not say when it was made.
    """

    @property
    def secret(self) -> str: ...

    @property
    def tolerance(self) -> timedelta | None: ...

    def signed_at(self, request: Request, secret: bytes) -> float | None:
        """Check the signature; return when it was made, in seconds since 1970, if it says so.

        Raises:
            ValueError: the signature is missing, malformed or wrong. The message says which, and no more.
        """
        ...


Check: TypeAlias = Callable[[Request], bool]
"""A signature check of the author's own; only True lets a request in."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A provider that posts its events to `/<chart>.webhooks/<name>`.

    Args:
        name: last part of the path.
        decode: makes an event of a request. A `Response` answers the provider and does nothing else; None answers 200
            and does nothing; an exception refuses with 422.
        signature: proves who has sent it; None lets everybody in.
        events: what `decode` may return; empty means any public event. A private event named here comes from here only.
    """

    name: str
    decode: RequestDecoder
    _: KW_ONLY
    signature: Signature | Check | None
    events: tuple[str, ...] = ()
