"""Settings of an application, and a chart with all that its handlers need to know of that application."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Self

from restate.entry_codec import JournalValueCodec

from durable_fsm.core.chart import Chart
from durable_fsm.core.durations import Backoff
from durable_fsm.core.operators import secrets_in
from durable_fsm.restate.clock import now
from durable_fsm.restate.invocation_ids import InvocationIds

MOST_THREADS = 64

SECRETS = "DURABLE_FSM_OPERATOR_SECRETS"
"""Environment variable with the secrets of operators: two, while one takes the place of the other."""

LONGEST = timedelta(hours=1)
"""The longest wait between two tries, or two checks."""


@dataclass(frozen=True)
class Settings:
    """How an application hosts machines.

    Attributes:
        park_first: how long a delivery that no deployment can take is parked the first time.
        check_first: how long after its start a child is checked the first time.
        threads: how many plain functions of activities run at once in the process.
        compare_payloads: whether Restate compares what a replay writes with what was written before. All time stamps are
            0 then: a replay would stamp another time.
        short_way: whether handlers run without the tasks that Restate's SDK makes for each invocation, which is faster.
        record: whether every chart that keeps a history records, whatever it says itself; see `History`. `durable-fsm dev`
            turns it on.
        operator_secrets: with which operators sign; then handlers for operators only are open to what they sign.
    """

    park_first: timedelta = timedelta(seconds=30)
    check_first: timedelta = timedelta(minutes=1)
    threads: int = MOST_THREADS
    compare_payloads: bool = False
    short_way: bool = True
    record: bool = False
    operator_secrets: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the variables `DURABLE_FSM_PARK_FIRST_SECONDS`, `…_CHECK_FIRST_SECONDS`, `…_THREADS`, and so on."""

        def seconds(variable: str, default: timedelta) -> timedelta:
            return timedelta(seconds=float(os.environ.get(variable, default.total_seconds())))

        return cls(
            park_first=seconds("DURABLE_FSM_PARK_FIRST_SECONDS", cls.park_first),
            check_first=seconds("DURABLE_FSM_CHECK_FIRST_SECONDS", cls.check_first),
            threads=max(1, int(os.environ.get("DURABLE_FSM_THREADS", MOST_THREADS))),
            compare_payloads=bool(os.environ.get("DURABLE_FSM_PAYLOAD_CHECKS")),
            short_way=os.environ.get("DURABLE_FSM_SHORT_WAY") != "0",
            operator_secrets=secrets_in(os.environ[SECRETS], SECRETS) if SECRETS in os.environ else (),
            record=os.environ.get("DURABLE_FSM_RECORD", "0") != "0",
        )

    @cached_property
    def parking(self) -> Backoff:
        return Backoff(self.park_first, longest=LONGEST)

    @cached_property
    def invocation_ids(self) -> InvocationIds:
        """The ids that the invocations of this application have."""
        return InvocationIds()

    @cached_property
    def checking(self) -> Backoff:
        return Backoff(self.check_first, longest=LONGEST)

    def stamp(self) -> int:
        """Now, in milliseconds since 1970, for people: what is decided by it would differ on a replay."""
        return 0 if self.compare_payloads else now()

    @property
    def journal_codec(self) -> JournalValueCodec | None:
        """The codec for Restate's endpoint. With any codec, Restate does not compare payloads on replay."""
        return None if self.compare_payloads else _Unchanged()


class _Unchanged(JournalValueCodec):
    def encode(self, buf: bytes) -> bytes:
        return buf

    async def decode(self, buf: bytes) -> bytes:
        return buf


@dataclass(frozen=True)
class HostedChart:
    """A chart as an application hosts it, and the base of the classes that hold its handlers.

    Attributes:
        peers: the charts of the application, by name; so all children of each of them are there.
    """

    chart: Chart
    peers: Mapping[str, Chart] = field(default_factory=dict[str, Chart])
    settings: Settings = Settings()

    @classmethod
    def of(cls, hosted: HostedChart) -> Self:
        """The handlers of a hosted chart, where *cls* is a class of them."""
        return cls(hosted.chart, hosted.peers, hosted.settings)

    @property
    def name(self) -> str:
        return self.chart.name

    @cached_property
    def private_spellings(self) -> frozenset[str]:
        """Private events as their authors spell them: `done_invoke_charging`."""
        declared = [event for chart in self.chart.served for event in chart.events.values()]
        public = {event.name for event in declared if event.public}
        return frozenset(event.name.replace(".", "_") for event in declared if not event.public) - public

    def may_hold_its_key(self, chart: str) -> bool:
        """Whether a machine of a peer may hold its key for long, in an exclusive activity."""
        served = self.peers[chart].served
        return any(activity.exclusive for one in served for activity in one.activities.values())
