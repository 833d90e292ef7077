"""Charts whose types of data and payloads are out of the ordinary."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from statemachine import State, StateChart

from durable_fsm import ActivityContext, Effects, activity, event


class Pet(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    given_name: str


class MemberData(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    member_number: int
    nick_name: str = Field(default="", alias="nickName")
    pets_owned: list[Pet] = []
    greeted_as: str = ""


class NewName(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    new_name: str


async def greet(ctx: ActivityContext, data: MemberData) -> Pet:
    return Pet(givenName=f"{data.nick_name} of {data.member_number}")


class Member(StateChart[MemberData]):
    """Every member of its data and its payloads has an alias."""

    known = State(initial=True)
    greeting = State(invoke=activity(greet))
    greeted = State(final=True)

    rename = event(known.to.itself(internal=True), NewName)
    relay = event(known.to.itself(internal=True), NewName)
    tell = event(known.to.itself(internal=True))
    adopt = event(known.to.itself(internal=True), Pet)
    greet = event(known.to(greeting))
    done_invoke_greeting = greeting.to(greeted)
    error_invoke_greeting = greeting.to(known)

    def on_rename(self, data: MemberData, new_name: str) -> str:
        data.nick_name = new_name
        return new_name

    def on_relay(self, payload: NewName, effects: Effects) -> None:
        effects.send("rename", payload)

    def on_tell(self, data: MemberData) -> str:
        return data.nick_name

    def on_adopt(self, data: MemberData, payload: Pet) -> None:
        data.pets_owned.append(payload)

    def on_done_invoke_greeting(self, data: MemberData, result: dict[str, str]) -> None:
        data.greeted_as = result["givenName"]
