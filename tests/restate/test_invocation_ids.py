"""An id is foretold only by a rule that Restate has shown, and the rule is compared again from time to time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from durable_fsm.restate import invocation_ids
from durable_fsm.restate.invocation_ids import InvocationIds, SentInvocation

OF_OBJECT = "inv_12kFvRG35bbk2wcWW3RmLSN27K6ODQxfda"
OF_SERVICE = "inv_1fYtMhdoACTP0PxlTJpWEisidVY21gHkQR"
OF_SERVICE_BEFORE_1_7 = "inv_19WlGvp4edEo0PxlTJpWEisidVY21gHkQR"


@dataclass
class Told:
    """The handle of an invocation whose id Restate tells."""

    id: str
    times: list[str] = field(default_factory=list[str])

    async def invocation_id(self) -> str:
        self.times.append(self.id)
        return self.id


def sent(told: Told, *, key: str | None = None) -> SentInvocation:
    return SentInvocation(told, "Order", "_deliver", "inv_1/token", key)  # type: ignore[arg-type]


def asked(ids: InvocationIds, told: Told, *, key: str | None = None, times: int = 3) -> list[str]:
    """The ids of the same invocation, found so often."""

    async def find() -> list[str]:
        return [await ids.of(sent(told, key=key)) for _ in range(times)]

    return asyncio.run(find())


@pytest.mark.parametrize(
    ("id", "key"),
    [
        pytest.param(OF_OBJECT, "o-17", id="object"),
        pytest.param(OF_SERVICE, None, id="service"),
        pytest.param(OF_SERVICE_BEFORE_1_7, None, id="service-before-1.7"),
    ],
)
def test_an_id_is_foretold_after_restate_has_told_one(id: str, key: str | None) -> None:
    told = Told(id)

    found = asked(InvocationIds(), told, key=key)

    assert (found, told.times) == ([id] * 3, [id])


def test_an_id_of_another_rule_is_awaited_each_time() -> None:
    told = Told("inv_1another")

    found = asked(InvocationIds(), told)

    assert found == told.times == ["inv_1another"] * 3


def test_the_rule_for_objects_says_nothing_about_services() -> None:
    ids, object, service = InvocationIds(), Told(OF_OBJECT), Told(OF_SERVICE)

    asked(ids, object, key="o-17")
    asked(ids, service)

    assert (object.times, service.times) == ([OF_OBJECT], [OF_SERVICE])


def test_the_rule_is_compared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocation_ids, "COMPARED_EVERY", 2)
    ids, told = InvocationIds(), Told(OF_OBJECT)

    asked(ids, told, key="o-17", times=4)
    told.id = "inv_1another"
    found = asked(ids, told, key="o-17", times=4)

    assert told.times == [OF_OBJECT, OF_OBJECT, "inv_1another", "inv_1another"]
    assert found == [OF_OBJECT, OF_OBJECT, "inv_1another", "inv_1another"]
