"""A slow upload, rehearsed."""

from __future__ import annotations

from typing import Any

import pytest

from durable_fsm.errors import InvalidPayload, NotStarted
from durable_fsm.testing import Rehearsal
from machines.data_upload.machine import DataUpload

URL = "https://bucket-1.example/4"
ADA, BEN = "ada@example.org", "ben@example.org"
SENT: dict[str, Any] = {"status": "done", "result": None}
LOST: dict[str, Any] = {"status": "failed", "error": {"type": "TerminalError", "message": "there is no such domain"}}


@pytest.fixture
def upload() -> Rehearsal:
    """A text is on its way into a bucket."""
    upload = Rehearsal(DataUpload, key="ada")
    upload.create({"text": "data"})
    upload.finish("creating_bucket", "bucket-1")
    return upload


def ask(upload: Rehearsal, email: str) -> str:
    return upload.send("result_as_email", {"email": email}).outcome


def test_the_url_of_a_quick_upload_is_the_answer_and_no_mail_is_sent(upload: Rehearsal) -> None:
    upload.finish("uploading", URL)

    assert (upload.leaves, upload.running) == (("uploaded", "nobody_waiting"), ())
    assert (upload.output, upload.status) == (URL, "running")


def test_who_asks_before_the_upload_is_over_gets_a_mail_after_it(upload: Rehearsal) -> None:
    for email in (ADA, BEN, ADA):
        ask(upload, email)
    assert (upload.leaves, upload.data.listeners) == (("uploading", "waiting"), [ADA, BEN])

    upload.finish("uploading", URL)
    assert upload.running == ("mailing",)
    upload.finish("mailing", [SENT, SENT])

    assert (upload.leaves, upload.data.listeners) == (("uploaded", "mailed"), [])


def test_who_asks_after_the_upload_is_over_gets_a_mail_at_once(upload: Rehearsal) -> None:
    upload.finish("uploading", URL)

    ask(upload, ADA)

    assert upload.leaves == ("uploaded", "mailing")


def test_who_asks_while_mails_are_sent_gets_one_after_them(upload: Rehearsal) -> None:
    ask(upload, ADA)
    upload.finish("uploading", URL)

    assert ask(upload, BEN) == "deferred"
    upload.finish("mailing", [SENT])

    assert (upload.running, upload.data.listeners) == (("mailing",), [BEN])


def test_a_refused_upload_fails_the_run_and_is_told_to_all_who_wait(upload: Rehearsal) -> None:
    ask(upload, ADA)

    upload.fail("uploading", "the text contains a virus")

    assert upload.failure is not None
    assert (upload.failure.message, upload.status) == ("the text contains a virus", "running")
    assert upload.running == ("mailing",)


def test_a_mail_that_cannot_be_delivered_is_remembered_and_delays_no_other(upload: Rehearsal) -> None:
    ask(upload, "ada@nowhere.example")
    ask(upload, BEN)
    upload.finish("uploading", URL)

    upload.finish("mailing", [LOST, SENT])

    assert (upload.leaves[1], upload.data.undelivered) == ("mailed", ["ada@nowhere.example"])


def test_only_a_run_begins_an_upload_and_an_address_is_needed() -> None:
    with pytest.raises(NotStarted):
        ask(Rehearsal(DataUpload), ADA)
    upload = Rehearsal(DataUpload)
    upload.create({"text": "data"})
    with pytest.raises(InvalidPayload):
        ask(upload, "ada")
