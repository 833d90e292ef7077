"""Random requests, by three HTTP servers at once: each is answered as declared, blocks no key, and ends."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from durable_fsm import errors
from durable_fsm.errors.statuses import STATUS
from durable_fsm.testing import wait_until
from tests.server.fuzz import KEYS, FuzzedAnswer, FuzzedRequest, Fuzzer, answers_to, request_to

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

REQUESTS = 900
"""For all three servers together."""

CONNECTIONS = 12

OURS = {kind.__name__: status for kind, status in STATUS.items()}

NEVER = {kind.__name__ for kind in (errors.VersionError, errors.MigrationError, errors.SnapshotUnreadable)}
"""No request makes a snapshot unreadable."""

OF_THE_INGRESS = {
    202: "a one-way send is accepted, whatever its body, and so is an answer to an awakeable",
    204: "a question by OPTIONS",
    400: "a path that is not UTF-8, a private handler, a bad delay or idempotency key",
    404: "no such service, handler or invocation",
    405: "a method other than GET and POST",
    413: "more than 32 MiB",
    414: "a path of more than 64 KiB",
    415: "a content type that is not one",
    470: "the output of an invocation that has not ended",
}
"""What Restate's ingress answers by itself, before a machine sees the request."""


def test_each_request_is_answered_as_declared_blocks_nothing_and_ends(
    hostile: Host, hostile_by_uvicorn: Host, hostile_by_granian: Host, scale: int, dice: random.Random
) -> None:
    hosts = [hostile, hostile_by_uvicorn, hostile_by_granian]
    keys = [*(hostile.key("fuzz") for _ in range(60)), *KEYS, "scribe"]
    fuzzers = [Fuzzer(random.Random(dice.randrange(2**32)), keys) for _ in hosts]
    pids = [host.served.process.pid for host in hosts]

    async def besiege() -> list[list[tuple[FuzzedRequest, FuzzedAnswer | str]]]:
        number = REQUESTS * scale // len(hosts) + 1
        sends = [
            answers_to(host.server.ingress_url, [*fuzzer.requests(number)], CONNECTIONS)
            for host, fuzzer in zip(hosts, fuzzers, strict=True)
        ]
        return await asyncio.gather(*sends)

    answered = [one for answers in asyncio.run(besiege()) for one in answers]

    counted = Counter(answer if isinstance(answer, str) else answer.status for _, answer in answered)
    print(f"{len(answered)} requests: {dict(counted)}")
    assert len(answered) >= REQUESTS * scale
    assert [f"{request.told}: {answer!r:.600}" for request, answer in answered if surprises(request, answer)] == []
    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(end_everything, hosts))
    assert [host.served.process.pid for host in hosts] == pids
    assert all(host.served.process.alive for host in hosts)


def surprises(request: FuzzedRequest, answer: FuzzedAnswer | str) -> bool:
    """Whether no page says that this may be the answer."""
    if isinstance(answer, str):
        return True
    if answer.from_ingress:
        return answer.status not in OF_THE_INGRESS
    if answer.status in (200, 202):
        return False
    if answer.type == "ActionError":  # only the callback that sends to a key that is too long fails
        return not (answer.status == 500 and b"Scribe" in request.path and b"a key has" in answer.content)
    return answer.type in NEVER or OURS.get(answer.type) != answer.status


def end_everything(host: Host) -> None:
    """Every machine can be deleted, which ends all that waits for it; then nothing is left, and every key is free."""
    ours = ", ".join(f"'{name}'" for name in host.served.deployment.services)
    machines: set[tuple[str, str]] = set()

    def nothing_is_left() -> bool:
        """Machines may still begin, and then have to be deleted, too."""
        stored = host.server.query(
            f"SELECT service_name, service_key FROM state WHERE key = 'snapshot' AND service_name IN ({ours})"
        )
        found = {(row["service_name"], row["service_key"]) for row in stored}
        machines.update(found)
        assert statuses(host, found, "delete", {"abandon": True}) <= {200, 404}
        left = host.server.query(
            f"SELECT id FROM sys_invocation WHERE target_service_name IN ({ours})"
            " AND status NOT IN ('completed', 'scheduled') LIMIT 1"
        )
        return not found and not left

    wait_until(nothing_is_left, timedelta(seconds=60), "all machines and invocations to end")
    host.settled()
    assert statuses(host, machines, "create", {}) <= {200, 404, 409}  # the key of a child is refused


def statuses(host: Host, machines: set[tuple[str, str]], handler: str, body: object) -> set[int | str]:
    requests = [request_to(chart, key, handler, body) for chart, key in sorted(machines)]
    answers = asyncio.run(answers_to(host.server.ingress_url, requests, CONNECTIONS))
    return {answer if isinstance(answer, str) else answer.status for _, answer in answers}
