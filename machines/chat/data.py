"""The data of the chat's machines, and the messages between them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[\w][\w .'-]*$", max_length=60)]
"""Of a task; it is a part of the key of the task's machine."""

KEPT = 100
"""Lines of a conversation that a session keeps."""


LONGEST = 4_000
"""Characters of a message."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


# ── what the model says ───────────────────────────────────────────────────────────────────────────────────────────────


class ReminderSpec(Strict):
    timestamp: AwareDatetime
    description: str = Field(min_length=1)


class FlightSpec(Strict):
    origin: str = Field(min_length=1)
    destination: str = Field(min_length=1)
    max_price: int = Field(gt=0)


class Command(Strict):
    """The answer of the model: an action, and what to tell the user."""

    action: Literal["create", "cancel", "list", "status", "other"]
    message: str
    task_name: Name | None = None
    task_type: Literal["reminder", "flight_watch"] | None = None
    task_spec: ReminderSpec | FlightSpec | None = None

    @model_validator(mode="after")
    def _complete(self) -> Command:
        if self.action in ("create", "cancel", "status") and self.task_name is None:
            raise ValueError(f"'{self.action}' needs a task_name")
        wanted = {"reminder": ReminderSpec, "flight_watch": FlightSpec}
        if self.action == "create" and (
            self.task_type is None or not isinstance(self.task_spec, wanted[self.task_type])
        ):
            raise ValueError("'create' needs a task_type, and a task_spec of this type")
        return self


class Thought(BaseModel):
    """The answer of the model, and the tokens that it took."""

    command: Command
    tokens: int = 0


# ── a session ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Said(BaseModel):
    """A message of a user.

    Attributes:
        reference: what the sender calls the message; the answer brings it back.
        follow: whether the sender, a machine, wants to hear what the tasks of the session have to say.
    """

    text: str = Field(min_length=1, max_length=LONGEST)
    reference: str = ""
    follow: bool = False


class Answer(BaseModel):
    """The answer to a message. With an error it says why there is none; `quote` is what it refers to."""

    message: str
    quote: str = ""
    error: str = ""
    code: int | None = None
    reference: str = ""


class Line(BaseModel):
    """A line of the conversation; `n` counts all lines of the session."""

    n: int = 0
    who: Literal["user", "assistant", "task", "error"]
    text: str
    quote: str = ""
    at: datetime | None = None


class Task(BaseModel):
    """A task that runs. `status` is what it has last said of itself."""

    type: Literal["reminder", "flight_watch"]
    about: str
    due: datetime | None = None
    status: str = ""

    @classmethod
    def of(cls, spec: ReminderSpec | FlightSpec) -> Task:
        if isinstance(spec, ReminderSpec):
            return cls(type="reminder", about=f"reminder: {spec.description}", due=spec.timestamp)
        about = f"watch {spec.origin} to {spec.destination}, at most {spec.max_price}"
        return cls(type="flight_watch", about=about, status="no price yet")

    def report(self, now: datetime) -> str:
        """How far it is."""
        left = "" if self.due is None else f"{max(0, round((self.due - now).total_seconds()))} s left"
        return self.status or left


class Turn(BaseModel):
    """The message that is being answered, and the machine that waits for the answer, if one does."""

    said: Said
    sender: str = ""
    at: datetime | None = None
    answer: Answer = Answer(message="")


class SessionData(BaseModel):
    history: list[Line] = []
    tasks: dict[str, Task] = {}
    turn: Turn | None = None
    follower: str = ""
    lines: int = 0
    tokens: int = 0

    def note(self, line: Line) -> None:
        self.lines += 1
        line.n = self.lines
        self.history = [*self.history, line][-KEPT:]

    def answer(self, message: str, *, quote: str = "", error: str = "", code: int | None = None) -> None:
        """Answer the message whose turn it is."""
        assert self.turn is not None
        reference = self.turn.said.reference
        self.turn.answer = Answer(message=message, quote=quote, error=error, code=code, reference=reference)

    def end_turn(self, at: datetime | None) -> Turn:
        """Note the answer, and be free for the next message."""
        turn, self.turn = self.turn, None
        assert turn is not None
        given = turn.answer
        who: Literal["error", "assistant"] = "error" if given.error else "assistant"
        self.note(Line(who=who, text=given.error or given.message, quote=given.quote, at=at))
        return turn

    def end_task(self, name: str, result: str, at: datetime | None) -> None:
        del self.tasks[name]
        self.note(Line(who="task", text=result, quote=name, at=at))
