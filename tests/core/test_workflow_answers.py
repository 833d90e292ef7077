"""A state whose end answers the workflow, while the machine goes on."""

from __future__ import annotations

from durable_fsm.core.chart import Hosting
from durable_fsm.core.codec import snapshot_from_json, snapshot_to_json
from durable_fsm.core.events import Failure
from durable_fsm.core.snapshot import Status, WorkflowAnswer
from tests.building import Driven, action, chart, edge

STATES = """
    both parallel
        upload
            sending
            sent final
            refused final
        notify
            idle
            told final
    closed final
    """
EDGES = (
    edge("sending", "arrive", "sent"),
    edge("sending", "refuse", "refused"),
    edge("idle", "tell", "told"),
    edge("both", "close", "closed"),
)
NO = Failure("Refused", "the disk is full", code=507)
DONE = {
    "sent": [action(lambda _: "https://there", "url")],
    "refused": [action(lambda _: NO, "no")],
    "told": [action(lambda _: "told", "told")],
    "closed": [action(lambda _: "closed", "closed")],
}


def driven(*events: str, workflow: bool | str = "upload") -> Driven:
    machine = Driven(chart(STATES, *EDGES, done=DONE, hosting=Hosting(workflow=workflow)))
    for event in events:
        machine.take(event)
    return machine


def test_a_state_that_is_done_answers_the_workflow_and_the_machine_goes_on() -> None:
    machine = driven()
    assert machine.snapshot.answer is None

    machine.take("arrive")

    assert (machine.snapshot.answer, machine.snapshot.status) == (WorkflowAnswer("https://there"), Status.RUNNING)
    assert machine.take("tell").snapshot.answer == WorkflowAnswer("https://there")


def test_the_answer_may_be_a_failure_which_is_not_that_of_the_machine() -> None:
    refused = driven("refuse").snapshot

    assert refused.answer == WorkflowAnswer(failure=NO)
    assert (refused.status, refused.failure) == (Status.RUNNING, None)


def test_the_answer_stays_beside_the_output_of_the_machine() -> None:
    ended = driven("arrive", "close").snapshot

    assert (ended.status, ended.answer, ended.output) == (Status.DONE, WorkflowAnswer("https://there"), "closed")


def test_a_parallel_state_answers_when_all_its_regions_are_done() -> None:
    assert driven("arrive", workflow="both").snapshot.answer is None
    assert driven("arrive", "tell", workflow="both").snapshot.answer == WorkflowAnswer("told")


def test_no_state_answers_a_workflow_that_waits_for_the_end() -> None:
    assert driven("arrive", workflow=True).snapshot.answer is None


def test_the_answer_is_stored() -> None:
    for snapshot in (driven("arrive").snapshot, driven("refuse").snapshot):
        machine = driven()
        assert snapshot_from_json(machine.chart, snapshot_to_json(snapshot)) == snapshot
