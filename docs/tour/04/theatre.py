from pydantic import BaseModel
from statemachine import State, StateChart

import durable_fsm
from durable_fsm import (
    ActivityContext,
    Client,
    activity,
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


class CartData(BaseModel):
    wish: str = ""
    tickets: dict[str, str] = {}


async def reserve(ctx: ActivityContext, data: CartData) -> str:
    wanted = Reservation(user=ctx.key, number=ctx.stable_id)
    return wanted.number if await ctx.run("ask", ask_ticket, data.wish, wanted) else ""


async def ask_ticket(seat: str, wanted: Reservation) -> bool:
    async with Client("http://localhost:8080") as restate:
        ticket = restate.machine(Ticket, seat)
        return (await ticket.send(Ticket.reserve, wanted, idempotency_key=wanted.number)).reply is True


class Cart(StateChart[CartData]):
    """The tickets that one user has reserved."""

    choosing = State(initial=True)
    reserving = State(invoke=activity(reserve, exclusive=True))

    add = event(choosing.to(reserving), str)
    done_invoke_reserving = reserving.to(choosing)
    error_invoke_reserving = reserving.to(choosing)

    def on_add(self, data: CartData, payload: str) -> None:
        data.wish = payload

    def on_done_invoke_reserving(self, data: CartData, result: str) -> bool:
        if result:
            data.tickets[data.wish] = result
        return result != ""


app = durable_fsm.app(Ticket, Cart)
