"""The sign-up's chart. The mail is in `activities`."""

from __future__ import annotations

import os
from datetime import timedelta

from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import Failure, Ids, activity, after, defer, durable, event
from machines.signup.activities import SignupData, create_user, send_email

PATIENCE = timedelta(seconds=float(os.environ.get("SIGNUP_SECONDS", "86400")))
"""How long the link is valid: a day, or SIGNUP_SECONDS."""


class Click(BaseModel):
    secret: str = Field(min_length=1)


@durable(name="usersignup", version="1", workflow=True, redact=("secret",))
class Signup(StateChart[SignupData]):
    """A user signs up, once. A click that arrives before the mail is recorded as sent is deferred."""

    creating_user = State(initial=True, invoke=activity(create_user))
    sending_email = State(invoke=activity(send_email))
    awaiting_click = State()
    verified = State(final=True)
    rejected = State(final=True)
    aborted = State(final=True)
    expired = State(final=True)

    done_invoke_creating_user = creating_user.to(sending_email)
    done_invoke_sending_email = sending_email.to(awaiting_click)
    click = event(awaiting_click.to(verified, cond="is_right") | awaiting_click.to(rejected), Click)
    abort = creating_user.to(aborted) | sending_email.to(aborted) | awaiting_click.to(aborted)
    error_execution = creating_user.to(aborted) | sending_email.to(aborted)
    expire = after(PATIENCE, awaiting_click.to(expired))

    defer(creating_user, "click")
    defer(sending_email, "click")

    def is_right(self, data: SignupData, secret: str) -> bool:
        return secret == data.secret

    def on_enter_sending_email(self, data: SignupData, ids: Ids) -> None:
        data.secret = str(ids.uuid())

    def on_error_execution(self, data: SignupData, error: Failure) -> None:
        data.trouble = error.message

    def on_enter_verified(self) -> bool:
        return True

    def on_enter_rejected(self) -> bool:
        return False
