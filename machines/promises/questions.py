"""The chart of questions, whose answers are promises."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import ActivityContext, Failure, activity, durable
from machines.promises.promise import promise


class QuestionData(BaseModel):
    question: str = Field(default="", min_length=1)


async def hear(ctx: ActivityContext, data: QuestionData) -> object:
    """Await the promise. Started again, it joins the request that it has sent before."""
    return await ctx.run("get", promise(ctx.key).get, key=ctx.stable_id)


@durable(name="questions", version="1", workflow=True)
class Question(StateChart[QuestionData]):
    """A question. Its answer is the promise of the same key, which anyone may keep."""

    asked = State(initial=True, invoke=activity(hear, deadline=None))
    answered = State(final=True)
    unanswered = State(final=True)

    done_invoke_asked = asked.to(answered)
    error_invoke_asked = asked.to(unanswered)

    def on_enter_answered(self, data: QuestionData, result: Any) -> dict[str, Any]:
        return {"question": data.question, "answer": result}

    def on_enter_unanswered(self, error: Failure) -> Failure:
        return error
