"""The upload's chart. Its outside work is in `activities`, the script that starts it in `client`."""

from __future__ import annotations

from typing import Any

from statemachine import State, StateChart

from durable_fsm import Failure, activity, defer, durable, event
from machines.data_upload.activities import Listener, UploadData, create_bucket, send_mail, upload_text


@durable(
    name="dataUploader",
    version="1",
    workflow="upload",
    create_first=True,
    handlers={"resultAsEmail": "result_as_email"},
)
class DataUpload(StateChart[UploadData]):
    """Data is uploaded once. Its URL is the answer of the run, and comes by mail to all who ask for that."""

    class transfer(State.Parallel):
        class upload(State.Compound):
            creating_bucket = State(initial=True, invoke=activity(create_bucket))
            uploading = State(invoke=activity(upload_text))
            uploaded = State(final=True)
            refused = State(final=True)

            done_invoke_creating_bucket = creating_bucket.to(uploading)
            done_invoke_uploading = uploading.to(uploaded)
            error_invoke_creating_bucket = creating_bucket.to(refused, on="keep_problem")
            error_invoke_uploading = uploading.to(refused, on="keep_problem")

        class notify(State.Compound):
            nobody_waiting = State(initial=True)
            waiting = State()
            mailing = State(invoke=activity(send_mail, each="listeners", join="settle", deadline=None))
            mailed = State()

            result_as_email = event(
                nobody_waiting.to(waiting) | waiting.to.itself(internal=True) | mailed.to(mailing), Listener
            )
            waiting.to(mailing, cond="In('uploaded') or In('refused')")
            done_invoke_mailing = mailing.to(mailed)
            error_invoke_mailing = mailing.to(mailed)

            defer(mailing, "result_as_email")

    def on_done_invoke_creating_bucket(self, data: UploadData, result: str) -> None:
        data.bucket = result

    def on_done_invoke_uploading(self, data: UploadData, result: str) -> None:
        data.url = result

    def keep_problem(self, data: UploadData, error: Failure) -> None:
        data.problem = error.message

    def on_enter_uploaded(self, data: UploadData) -> str:
        return data.url

    def on_enter_refused(self, data: UploadData) -> Failure:
        return Failure("NotUploaded", data.problem, code=422)

    def on_result_as_email(self, data: UploadData, email: str) -> None:
        if email not in data.listeners:
            data.listeners.append(email)

    def on_done_invoke_mailing(self, data: UploadData, result: list[dict[str, Any]]) -> None:
        ends = zip(data.listeners, result, strict=True)
        data.undelivered += [email for email, end in ends if end["status"] == "failed"]
        data.listeners = []

    def on_error_invoke_mailing(self, data: UploadData) -> None:
        data.undelivered += data.listeners
        data.listeners = []
