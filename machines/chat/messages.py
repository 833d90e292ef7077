"""One message of a caller who waits for its answer: a workflow, so that the answer can be fetched again."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import Effects, Failure, Ids, durable, event, free
from machines.chat.data import LONGEST, Answer
from machines.chat.machine import ChatSession


class MessageData(BaseModel):
    session: str = Field(min_length=1)
    text: str = Field(min_length=1, max_length=LONGEST)
    reference: str = ""
    answer: Answer = Answer(message="")


@durable(name="chatMessage", version="1", workflow=True, after_end=free(timedelta(days=1)))
class ChatMessage(StateChart[MessageData]):
    """Asks a session, and ends with its answer."""

    asking = State(initial=True)
    replied = State(final=True)
    failed = State(final=True)

    answered = event(asking.to(failed, cond=["is_mine", "is_error"]) | asking.to(replied, cond="is_mine"), Answer)
    error_communication = asking.to(failed)

    def is_mine(self, data: MessageData, payload: Answer) -> bool:
        """Only the session knows the reference: a stranger who sends `answered` does not."""
        return payload.reference == data.reference

    def is_error(self, payload: Answer) -> bool:
        return bool(payload.error)

    def on_enter_asking(self, data: MessageData, effects: Effects, ids: Ids) -> None:
        data.reference = str(ids.uuid())
        effects.send("say", {"text": data.text, "reference": data.reference}, to=(ChatSession, data.session))

    def on_answered(self, data: MessageData, payload: Answer) -> None:
        data.answer = payload

    def on_error_communication(self, data: MessageData, error: Failure) -> None:
        data.answer = Answer(message="", error=error.message, code=error.code)

    def on_enter_replied(self, data: MessageData) -> dict[str, str]:
        return data.answer.model_dump(include={"message", "quote"})

    def on_enter_failed(self, data: MessageData) -> Failure:
        return Failure("NoAnswer", data.answer.error, code=data.answer.code or 500)
