"""The chart of a session. Its tasks are in `tasks`, its outside work in `activities`."""

from __future__ import annotations

from typing import Any

from statemachine import State, StateChart

from durable_fsm import Effects, Failure, activity, defer, durable, event, machine
from machines.chat.activities import ATTEMPT, PATIENT, ask_model
from machines.chat.data import Line, Said, SessionData, Task, Thought, Turn
from machines.chat.prompts import prompt
from machines.chat.tasks import FlightWatch, Reminder


@durable(name="chatSession", version="1", clock=True, handlers={"chatMessage": "say"})
class ChatSession(StateChart[SessionData]):
    """A conversation, one message after the other; and beside it the tasks that it has started."""

    class session(State.Parallel):
        class conversation(State.Compound):
            idle = State(initial=True)
            thinking = State(invoke=activity(ask_model, input=prompt, retry=PATIENT, timeout=ATTEMPT))

            class acting(State.Compound):
                creating = State()
                cancelling = State()
                listing = State()
                reporting = State()
                talking = State(initial=True)
                apologizing = State()

            done_invoke_thinking = event(
                thinking.to(acting.creating, cond="is_create")
                | thinking.to(acting.cancelling, cond="is_cancel")
                | thinking.to(acting.listing, cond="is_list")
                | thinking.to(acting.reporting, cond="is_status")
                | thinking.to(acting.talking),
                Thought,
            )
            error_invoke_thinking = thinking.to(acting.apologizing)
            acting.to(idle)

        class tasks(
            State.Compound,
            invoke=[
                machine(Reminder, id="reminder", on_demand=True),
                machine(FlightWatch, id="flight_watch", on_demand=True),
            ],
        ):
            no_tasks = State(initial=True)
            running = State()
            no_tasks.to(running, cond="has_tasks")
            running.to(no_tasks, unless="has_tasks")

            quoted = event(running.to.itself(internal=True), int, public=False)
            done_invoke_reminder = event(running.to.itself(internal=True, on="tell"), str)
            done_invoke_flight_watch = event(running.to.itself(internal=True, on="tell"), str)
            error_invoke_reminder = running.to.itself(internal=True, on="tell_failure")
            error_invoke_flight_watch = running.to.itself(internal=True, on="tell_failure")

    say = event(session.conversation.idle.to(session.conversation.thinking), Said)
    defer(session.conversation.thinking, "say")

    def is_create(self, payload: Thought) -> bool:
        return payload.command.action == "create"

    def is_cancel(self, payload: Thought) -> bool:
        return payload.command.action == "cancel"

    def is_list(self, payload: Thought) -> bool:
        return payload.command.action == "list"

    def is_status(self, payload: Thought) -> bool:
        return payload.command.action == "status"

    def has_tasks(self, data: SessionData) -> bool:
        return bool(data.tasks)

    def on_say(self, data: SessionData, payload: Said, event: Any) -> None:
        data.turn = Turn(said=payload, sender=event.sender, at=event.at)
        data.follower = event.sender if payload.follow else data.follower
        data.note(Line(who="user", text=payload.text, at=event.at))

    def on_enter_acting(self, data: SessionData, event: Any) -> None:
        data.tokens += event.payload.tokens if isinstance(event.payload, Thought) else 0

    def on_enter_creating(self, data: SessionData, payload: Thought, effects: Effects) -> None:
        command = payload.command
        name, type, spec = command.task_name, command.task_type, command.task_spec
        if name is None or type is None or spec is None or name in data.tasks:
            data.answer(f"There is a task called {name} already.")
            return
        effects.start(type, spec.model_dump(mode="json"), name=name)
        data.tasks[name] = Task.of(spec)
        data.answer(command.message, quote=data.tasks[name].about)

    def on_enter_cancelling(self, data: SessionData, payload: Thought, effects: Effects) -> None:
        task = data.tasks.get(payload.command.task_name or "")
        if task is None:
            data.answer(f"There is no task called {payload.command.task_name}.")
            return
        effects.send("call_off", to=f"#_{task.type}.{payload.command.task_name}")
        data.answer(payload.command.message, quote=task.about)

    def on_enter_listing(self, data: SessionData, payload: Thought) -> None:
        listed = [f"{name} ({task.about})" for name, task in data.tasks.items()]
        data.answer(payload.command.message, quote="\n".join(listed) or "no tasks")

    def on_enter_reporting(self, data: SessionData, payload: Thought, event: Any) -> None:
        task = data.tasks.get(payload.command.task_name or "")
        if task is None:
            data.answer(f"There is no task called {payload.command.task_name}.")
        else:
            data.answer(payload.command.message, quote=task.report(event.at))

    def on_enter_talking(self, data: SessionData, payload: Thought) -> None:
        data.answer(payload.command.message)

    def on_enter_apologizing(self, data: SessionData, error: Failure) -> None:
        data.answer("", error=error.message, code=error.code)

    def on_exit_acting(self, data: SessionData, effects: Effects, event: Any) -> None:
        answered = data.end_turn(event.at)
        if answered.sender:
            effects.send("answered", answered.answer.model_dump(mode="json"), to=answered.sender)

    def on_quoted(self, data: SessionData, payload: int, event: Any) -> None:
        data.tasks[event.child].status = f"last price {payload}"

    def tell(self, data: SessionData, result: str, event: Any, effects: Effects) -> None:
        data.end_task(event.child, result, event.at)
        if data.follower:
            effects.send("notify", {"text": result}, to=data.follower)

    def tell_failure(self, data: SessionData, error: Failure, event: Any, effects: Effects) -> None:
        self.tell(data, f"Task failed: {error.message}", event, effects)
