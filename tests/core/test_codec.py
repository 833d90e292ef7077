"""Values and snapshots as JSON and back: one text, whatever the hash seed, and nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path, PurePosixPath
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_fsm.core.codec import (
    MAX_DEPTH,
    canonical,
    failure_from_json,
    failure_to_json,
    members_of,
    milliseconds,
    plain,
    snapshot_from_json,
    snapshot_from_text,
    snapshot_to_json,
)
from durable_fsm.core.events import Failure
from durable_fsm.core.snapshot import PendingSend, Running, Snapshot, Status
from durable_fsm.core.values import Json, changed
from durable_fsm.errors import SnapshotUnreadable
from tests.building import chart

ORDER = chart("cart")
REMEDY = "It has not changed. Deploy the build that wrote it, or free the key with 'delete' and {\"abandon\": true}."


class Colour(Enum):
    RED = "red"


class Size(IntEnum):
    BIG = 3


@dataclass
class Point:
    x: int
    tags: frozenset[str] = frozenset({"b", "a"})


class Model:
    def model_dump(self, *, by_alias: bool) -> dict[str, object]:
        return {"inner": Point(1), "by_alias": by_alias}


# ── values ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, None, id="none"),
        pytest.param(True, True, id="bool"),
        pytest.param(1.5, 1.5, id="float"),
        pytest.param(Colour.RED, "red", id="enum"),
        pytest.param(Size.BIG, 3, id="int enum"),
        pytest.param((1, [2]), [1, [2]], id="tuple"),
        pytest.param({3, 1, 2}, [1, 2, 3], id="set"),
        pytest.param({Colour.RED: {1: "a"}}, {"red": {"1": "a"}}, id="mapping"),
        pytest.param(OrderedDict(b=1), {"b": 1}, id="ordered mapping"),
        pytest.param({1.5: 1}, {"1.5": 1}, id="number as a name"),
        pytest.param(datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02T03:04:00+00:00", id="datetime"),
        pytest.param(date(2026, 1, 2), "2026-01-02", id="date"),
        pytest.param(time(3, 4), "03:04:00", id="time"),
        pytest.param(timedelta(milliseconds=1500), 1.5, id="duration"),
        pytest.param(UUID(int=1), "00000000-0000-0000-0000-000000000001", id="uuid"),
        pytest.param(Decimal("1.10"), "1.10", id="decimal"),
        pytest.param(PurePosixPath("a/b"), "a/b", id="path"),
        pytest.param(Point(1), {"x": 1, "tags": ["a", "b"]}, id="dataclass"),
        pytest.param(Model(), {"inner": {"x": 1, "tags": ["a", "b"]}, "by_alias": True}, id="model"),
    ],
)
def test_a_value_has_one_plain_form(value: object, expected: Json) -> None:
    assert plain(value) == expected


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (object(), "object has no form in JSON"),
        (Point, "type has no form in JSON"),
        (float("nan"), "nan has no form in JSON"),
        (float("-inf"), "-inf has no form in JSON"),
        ({None: 1}, "None cannot be the name of a JSON member"),
        ({True: 1}, "True cannot be the name of a JSON member"),
        ({(1, 2): 1}, "(1, 2) cannot be the name of a JSON member"),
        ({1: "a", "1": "b"}, "two members would have the name '1'"),
        ([{"deep": object()}], "object has no form in JSON at $[0].deep"),
        ({"a": [1.5, (float("inf"),)]}, "inf has no form in JSON at $.a[1][0]"),
        ({"a": {float("nan"), 1.0}}, "nan has no form in JSON at $.a"),
    ],
)
def test_what_has_no_plain_form_is_refused(value: object, problem: str) -> None:
    with pytest.raises(TypeError) as caught:
        plain(value)

    assert str(caught.value) == problem


class Ratio(float):
    pass


def nested(levels: int, inner: object = 1.5) -> object:
    return inner if levels == 0 else [nested(levels - 1, inner)] if levels % 2 else {"a": nested(levels - 1, inner)}


@pytest.mark.parametrize("inner", [1, 1.5, Ratio(2), Colour.RED, (), Point(1)], ids=lambda value: type(value).__name__)
def test_a_value_may_be_nested_so_deep_and_not_deeper(inner: object) -> None:
    own = 2 if isinstance(inner, Point) else 1 if inner == () else 0

    assert plain(nested(MAX_DEPTH - own, inner)) is not None
    with pytest.raises(TypeError, match=r"^it is nested more than 100 levels deep$"):
        plain(nested(MAX_DEPTH - own + 1, inner))


def test_a_value_that_contains_itself_is_nested_too_deep() -> None:
    value: list[object] = [1]
    value.append({"again": value})

    with pytest.raises(TypeError, match=r"^it is nested more than 100 levels deep$"):
        plain(value)


def test_the_text_is_sorted_short_and_readable() -> None:
    assert canonical({"b": [1, None, True], "a": "é"}) == '{"a":"é","b":[1,null,true]}'
    with pytest.raises(ValueError, match="Out of range float"):
        canonical(float("nan"))


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (timedelta(0), 0),
        (timedelta(microseconds=1), 1),
        (timedelta(milliseconds=1), 1),
        (timedelta(milliseconds=1, microseconds=1), 2),
        (timedelta(days=400), 34_560_000_000),
    ],
)
def test_durations_are_rounded_up_never_down(duration: timedelta, expected: int) -> None:
    assert milliseconds(duration) == expected


# A subprocess, because the hash seed of this one is settled. Everything in it whose order could depend on it.
PROGRAM = """
from durable_fsm.core.codec import canonical, plain, snapshot_to_json
from durable_fsm.core.step import start, step
from durable_fsm.core.events import Event
from tests.building import action, chart, edge
words = {f"word {n}" for n in range(50)}
keep = action(lambda s: s.data.update(words=words, by={w: {w, w + "!"} for w in words}), "keep")
regions = "p parallel" + "".join(f"\\n  r{n}\\n    a{n}\\n    b{n}\\n  h{n} history" for n in range(9)) + "\\nover"
made = chart(regions, edge("p", "go", "over", actions=[keep]), edge("over", "back", "p"))
machine = start(made, life="x").snapshot
for name in ("go", "back", "go"):
    result = step(made, machine, Event(name, seed="s"))
    machine = result.snapshot
print(made.digest, canonical(snapshot_to_json(machine)), [m.entered for m in result.trace], canonical(plain(words)))
"""


def test_the_same_machine_gives_the_same_text_under_any_hash_seed() -> None:
    root = Path(__file__).parents[2]

    def text(seed: int) -> str:
        env = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(root)}
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=env, check=True, cwd=root
        )
        return ran.stdout

    first, *others = (text(seed) for seed in (0, 1, 2, 77))

    assert len(first) > 1_000
    assert others == [first] * 3


# ── snapshots ─────────────────────────────────────────────────────────────────────────────────────────────────────────

names = st.text(max_size=5)
jsons: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
durations = st.integers(0, 10**12)
maybe = st.none() | names
failures = st.builds(Failure, names, names, st.none() | st.integers(), jsons, names)
statuses = st.one_of(
    st.tuples(st.sampled_from([Status.RUNNING, Status.DONE]), st.none()),
    st.tuples(st.sampled_from([Status.DONE, Status.FAILED]), failures),
)
leaves = st.lists(names, min_size=1, max_size=3).map(tuple)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    status, failure = draw(statuses)
    return Snapshot(
        chart="Order",
        version=draw(names),
        digest=draw(names),
        life=draw(names),
        configuration=draw(leaves),
        data=draw(jsons),
        history=draw(st.dictionaries(names, leaves, max_size=2)),
        timers=tuple(
            draw(st.lists(st.builds(PendingSend, names, names, durations, maybe, maybe, jsons, maybe), max_size=2))
        ),
        activities=tuple(
            draw(st.lists(st.builds(Running, names, names, names, st.integers(), st.booleans()), max_size=2))
        ),
        seq=draw(st.integers(0)),
        status=status,
        output=draw(jsons),
        failure=failure,
        created_from=draw(names),
    )


@given(snapshots())
def test_every_snapshot_comes_back_as_it_was(snapshot: Snapshot) -> None:
    text = canonical(snapshot_to_json(snapshot))

    assert snapshot_from_json(ORDER, json.loads(text)) == snapshot
    assert canonical(snapshot_to_json(snapshot_from_json(ORDER, json.loads(text)))) == text


@given(failures)
def test_every_failure_comes_back_as_it_was(failure: Failure) -> None:
    assert failure_from_json(json.loads(canonical(failure_to_json(failure)))) == failure


def test_what_is_empty_is_not_stored() -> None:
    assert snapshot_to_json(Snapshot("Order", "1", "d", ("cart",), None, 1, Status.RUNNING)) == {
        "format": 1,
        "chart": "Order",
        "version": "1",
        "digest": "d",
        "configuration": ["cart"],
        "data": None,
        "seq": 1,
        "status": "running",
    }


RECORD: dict[str, Json] = {
    "format": 1,
    "chart": "Order",
    "version": "1",
    "digest": "d",
    "configuration": ["cart"],
    "data": {},
    "seq": 1,
    "status": "running",
}
TIMER: dict[str, Json] = {"token": "t", "event": "e", "after_ms": 5}
ACTIVITY: dict[str, Json] = {"token": "t", "id": "a", "state": "cart", "entry": 1}
GONE = object()


def altered(record: Mapping[str, object], **changes: object) -> Json:
    merged = {**record, **changes}
    return {name: value for name, value in merged.items() if value is not GONE}  # type: ignore[misc]


def with_timer(**changes: object) -> Json:
    return altered(RECORD, timers=[altered(TIMER, **changes)])


def with_activity(**changes: object) -> Json:
    return altered(RECORD, activities=[altered(ACTIVITY, **changes)])


def test_the_records_below_are_readable_before_they_are_spoiled() -> None:
    assert snapshot_from_json(ORDER, with_timer()).timers == (PendingSend("t", "e", 5),)
    assert snapshot_from_json(ORDER, with_activity()).activities == (Running("t", "a", "cart", 1),)


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (None, "Expected `object`, got `null`."),
        ([], "Expected `object`, got `array`."),
        ("text", "Expected `object`, got `str`."),
        ({}, "Object missing required field `chart`."),
        (altered(RECORD, format="1"), "Expected `int`, got `str` - at `$.format`; this build reads format 1."),
        (altered(RECORD, format=True), "Expected `int`, got `bool` - at `$.format`; this build reads format 1."),
        (altered(RECORD, format=0), "Invalid value 0 - at `$.format`; this build reads format 1."),
        (altered(RECORD, format=2), "Invalid value 2 - at `$.format`; this build reads format 1."),
        (altered(RECORD, chart="Invoice"), "it belongs to chart 'Invoice'."),
        (altered(RECORD, chart=GONE), "Object missing required field `chart`."),
        (altered(RECORD, version=GONE), "Object missing required field `version`."),
        (altered(RECORD, version=1), "Expected `str`, got `int` - at `$.version`."),
        (altered(RECORD, digest=None), "Expected `str`, got `null` - at `$.digest`."),
        (altered(RECORD, life=7), "Expected `str`, got `int` - at `$.life`."),
        (altered(RECORD, configuration=GONE), "Object missing required field `configuration`."),
        (altered(RECORD, configuration="cart"), "Expected `array`, got `str` - at `$.configuration`."),
        (altered(RECORD, configuration=[1]), "Expected `str`, got `int` - at `$.configuration[0]`."),
        (altered(RECORD, history=[]), "Expected `object`, got `array` - at `$.history`."),
        (altered(RECORD, history={"last": "cart"}), "Expected `array`, got `str` - at `$.history[...]`."),
        (altered(RECORD, seq=GONE), "Object missing required field `seq`."),
        (altered(RECORD, status="asleep"), "Invalid enum value 'asleep' - at `$.status`."),
        (altered(RECORD, status="failed"), "its status is 'failed', which does not go with its failure."),
        (altered(RECORD, failure={}), "Object missing required field `type` - at `$.failure`."),
        (altered(RECORD, status="failed", failure=[]), "Expected `object | null`, got `array` - at `$.failure`."),
        (
            altered(RECORD, status="failed", failure={"type": "X"}),
            "Object missing required field `message` - at `$.failure`.",
        ),
        (altered(RECORD, timers={}), "Expected `array`, got `object` - at `$.timers`."),
        (altered(RECORD, timers=["t"]), "Expected `object`, got `str` - at `$.timers[0]`."),
        (with_timer(token=GONE), "Object missing required field `token` - at `$.timers[0]`."),
        (with_timer(event=1), "Expected `str`, got `int` - at `$.timers[0].event`."),
        (with_timer(after_ms=1.5), "Expected `int`, got `float` - at `$.timers[0].after_ms`."),
        (with_timer(after_ms=10**20), "Expected `int` <= 86399999999999999 - at `$.timers[0].after_ms`."),
        (with_timer(state=1), "Expected `str | null`, got `int` - at `$.timers[0].state`."),
        (altered(RECORD, activities="a"), "Expected `array`, got `str` - at `$.activities`."),
        (with_activity(entry="1"), "Expected `int`, got `str` - at `$.activities[0].entry`."),
        (with_activity(parked=1), "Expected `bool`, got `int` - at `$.activities[0].parked`."),
        (altered(RECORD, created_from=1), "Expected `str`, got `int` - at `$.created_from`."),
    ],
)
def test_a_record_that_is_no_snapshot_says_what_is_wrong_with_it(record: Json, problem: str) -> None:
    with pytest.raises(SnapshotUnreadable) as caught:
        snapshot_from_json(ORDER, record)

    assert str(caught.value) == f"Order: the stored snapshot cannot be read: {problem} {REMEDY}"


def test_a_record_that_is_no_failure_says_what_is_wrong_with_it() -> None:
    with pytest.raises(ValueError, match=r"^Object missing required field `type`$"):
        failure_from_json({})


def test_a_snapshot_is_compared_by_value() -> None:
    snapshot = snapshot_from_json(ORDER, altered(RECORD))

    assert snapshot == snapshot_from_json(ORDER, altered(RECORD))
    assert snapshot != changed(snapshot, seq=2)


def test_a_changed_copy_refuses_a_name_that_is_not_a_field() -> None:
    snapshot = snapshot_from_json(ORDER, altered(RECORD))

    with pytest.raises(TypeError, match="`Snapshot` has no field 'sequence'"):
        changed(snapshot, sequence=2)  # type: ignore[call-arg]


# ── what is stored ────────────────────────────────────────────────────────────────────────────────────────────────────


class Beside(Snapshot, frozen=True, omit_defaults=True):
    """A snapshot with a member of its host."""

    note: str = ""


def test_a_stored_text_is_read_with_what_a_host_keeps_beside_the_snapshot() -> None:
    snapshot = snapshot_from_json(ORDER, altered(RECORD))
    text = msgspec.json.encode(Beside(*members_of(snapshot), note="n"))

    record = snapshot_from_text(ORDER.name, text, Beside)

    assert (record.note, Snapshot(*members_of(record))) == ("n", snapshot)
    assert snapshot_from_text(ORDER.name, text, Snapshot) == snapshot


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"{", "it is not valid JSON: Input data was truncated."),
        (b"\xff", "it is not valid JSON: JSON is malformed: invalid character (byte 0)."),
        (
            b'{"chart":"\xff"}',
            "it is not valid JSON: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte.",
        ),
        (b"[]", "Expected `object`, got `array`."),
    ],
)
def test_a_text_that_is_not_a_snapshot_says_what_is_wrong_with_it(text: bytes, problem: str) -> None:
    with pytest.raises(SnapshotUnreadable) as caught:
        snapshot_from_text(ORDER.name, text, Snapshot)

    assert str(caught.value) == f"Order: the stored snapshot cannot be read: {problem} {REMEDY}"


class Word(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class Whole(int):
    pass


class Real(float):
    pass


def test_texts_and_numbers_of_an_authors_own_class_are_stored_as_the_built_in() -> None:
    failure = Failure("X", "x", metadata=[Word("w"), Whole(1), Real(0.5)])

    assert failure_to_json(failure)["metadata"] == ["w", 1, 0.5]
    assert plain([Word("w")]) == ["w"]


def test_something_without_a_form_in_json_is_not_stored() -> None:
    with pytest.raises(TypeError, match="object has no form in JSON"):
        failure_to_json(Failure("X", "x", metadata=object()))  # type: ignore[arg-type]


def test_a_struct_is_reduced_to_an_object() -> None:
    assert plain(Running("t", "a", "cart", 1, undone=("x",))) == {
        "token": "t",
        "id": "a",
        "state": "cart",
        "entry": 1,
        "parked": False,
        "failed": False,
        "waiting": False,
        "undone": ["x"],
    }
