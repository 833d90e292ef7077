from pydantic import BaseModel
from statemachine import State, StateChart

import durable_fsm
from durable_fsm import (
    event,
    ignore,
)


class Reservation(BaseModel):
    user: str
    number: str


class TicketData(BaseModel):
    held: Reservation = Reservation(user="", number="")


class Ticket(StateChart[TicketData]):
    """The ticket for one seat, which can be sold once."""

    available = State(initial=True)
    reserved = State()
    sold = State(final=True)

    ignore(sold, "reserve")

    reserve = event(available.to(reserved, on="hold") | reserved.to.itself(internal=True, on="refuse"), Reservation)
    unreserve = event(reserved.to(available, cond="is_held"), str)
    sell = event(reserved.to(sold, cond="is_held"), str)

    def is_held(self, data: TicketData, payload: str) -> bool:
        return data.held.number == payload

    def hold(self, data: TicketData, payload: Reservation) -> bool:
        data.held = payload
        return True

    def refuse(self) -> bool:
        return False


app = durable_fsm.app(Ticket)
