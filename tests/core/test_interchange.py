"""A chart that was written as JSON and read back is the same chart, without code."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from durable_fsm.core.chart import Activity, Chart, Child, Each, EventType, Policies, Retry, Timer, Undo, Unexpected
from durable_fsm.core.codec import canonical
from durable_fsm.core.events import Event
from durable_fsm.core.interchange import UnknownFormat, chart_from_json, chart_to_json
from durable_fsm.core.limits import Limit
from durable_fsm.core.migration import Migration
from durable_fsm.core.retention import AfterEnd, History
from durable_fsm.core.step import start, step
from durable_fsm.core.values import Json
from durable_fsm.errors import ActionError
from tests.building import Members, action, chart, edge, guard, hosted, note


def work() -> None: ...


PARCEL = chart("lost\nfound final", edge("lost", "find", "found"), name="Parcel")

BUSY = hosted(
    replace(
        chart(
            """
            idle
            busy parallel
                sorting
                counting
                    one
                    again history
            waiting
            over final
            """,
            edge(
                "idle", "begin", "busy", guards=[guard(lambda _: True, "is_open"), guard(len, "is_late", negated=True)]
            ),
            edge("busy", "done.invoke.sort", "waiting", before=[note("weigh")], after=[note("tell")]),
            edge("waiting", "", "over"),
            edge("waiting", "stop", "over", internal=True, validators=[note("allowed")]),
            initial={"again": edge("again", "", "one")},
            entry={"busy": [note("open")]},
            exit={"busy": [note("shut")]},
            done={"over": [note("output")]},
            timers={
                "waiting": [
                    Timer("remind", timedelta(minutes=1.5), recurring=True),
                    Timer("expire", when=action(lambda _: None, "opening_time")),
                ]
            },
            activities={
                "sorting": [
                    Activity("sort", "sort", work, retry=Retry(3, give_up_on=(OSError, KeyError)), limit=4),
                    Activity("each", "each", work, each=Each("parcels", list, 3, "any"), timeout=timedelta(seconds=2)),
                ],
                "counting": [
                    Activity("count", "count", work, limit=Limit("scales", 2), priority=action(len, "urgency")),
                    Activity("lift", "lift", work, input=note("arms"), undo=Undo("drop", work, Retry(2), first=True)),
                    Activity("undo", "undo", work, undoes="sorting", deadline=None, priority=7),
                ],
            },
            machines={
                "busy": [Child("parcel", lambda _: None, finalize=(note("read"),), id="first", chart=PARCEL)],
                "waiting": [
                    Child("parcels", lambda _: None, id="many", each=Each("items", list)),
                    Child("guests", lambda _: None, id="guest", on_demand=True),
                ],
            },
            defers={"idle": ["stop"]},
            ignores={"": ["begin"]},
            events=[EventType("begin", Members(count=int), doc="Begin."), EventType("secret", public=False)],
            data=Members(log=[], card=str),
            policies=Policies(unexpected=Unexpected.IGNORE),
            version="3",
        ),
        doc="Sorts parcels.",
        work=(Activity("mail", "mail", work, exclusive=True),),
    ),
    history=History(50, timedelta(days=3)),
    after_end=AfterEnd(timedelta(days=1), free=True),
    handlers={"setUp": "begin"},
    redact=("card",),
    operators_only=("snapshot",),
    migrations=(Migration("1", "2"), Migration("2", "3")),
)


def carried(made: Chart) -> Any:  # Any: JSON of a known form
    return json.loads(canonical(chart_to_json(made)))


@pytest.mark.parametrize("made", [PARCEL, BUSY], ids=["small", "everything"])
def test_a_chart_that_was_read_back_is_equal_and_has_the_same_digest(made: Chart) -> None:
    read = chart_from_json(carried(made))

    assert read.to_json() == made.to_json()
    assert read.digest == made.digest
    assert read.transitions == made.transitions


def test_what_the_digest_leaves_out_is_carried_too() -> None:
    read = chart_from_json(carried(BUSY))

    assert read.hosting.redact == ("card",)
    assert read.hosting.operators_only == ("snapshot",)
    assert [child.id for state in read.states.values() for child in state.machines] == ["first", "many", "guest"]
    assert read.data.schema() == BUSY.data.schema()
    document = carried(replace(BUSY, kept=(replace(BUSY, version="2"),)))
    assert document["children"] == [
        ["busy", 0, "first", "Parcel"],
        ["waiting", 0, "many", None],
        ["waiting", 1, "guest", None],
    ]
    assert (document["kept"], document["migrations"]) == (["2"], [["1", "2"], ["2", "3"]])


def test_types_without_code_let_values_pass() -> None:
    data = chart_from_json(carried(BUSY)).data

    assert (data.load({"card": "1"}), data.dump([1]), data.completed({})) == ({"card": "1"}, [1], None)


def test_a_callback_without_code_says_so() -> None:
    read = chart_from_json(carried(BUSY))
    machine = start(read, seed="s", data={}).snapshot

    with pytest.raises(ActionError, match="NoCode: 'is_open' has a name here, and no code"):
        step(read, machine, Event("begin"))


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (None, "expected a chart of format 1, and not None"),
        ({"chart": {}}, "expected a chart of format 1, and not None"),
        ({"format": 2}, "expected a chart of format 1, and not 2"),
        ({"format": 1}, "this is not a chart of format 1: KeyError: 'chart'"),
        ({"format": 1, "chart": 7}, "this is not a chart of format 1: TypeError"),
    ],
)
def test_other_json_is_refused(document: Json, problem: str) -> None:
    with pytest.raises(UnknownFormat, match=f"^{problem}"):
        chart_from_json(document)
