from datetime import timedelta

import httpx
from pydantic import BaseModel
from statemachine import State, StateChart

import durable_fsm
from durable_fsm import (
    ActivityContext,
    Client,
    Effects,
    Failure,
    Retry,
    TerminalError,
    activity,
    durable,
    event,
    ignore,
    undo_all,
)

PRICE = 40
HELD = timedelta(minutes=15)
PATIENT = Retry(initial=timedelta(milliseconds=100), attempts=10)


class Reservation(BaseModel):
    user: str
    number: str


NOT_HELD = Reservation(user="", number="")


class TicketData(BaseModel):
    held: Reservation = NOT_HELD


@durable(index=("held.user",))
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

    def on_unreserve(self, data: TicketData) -> None:
        data.held = NOT_HELD

    def hold(self, data: TicketData, payload: Reservation) -> bool:
        data.held = payload
        return True

    def refuse(self) -> bool:
        return False


class CartData(BaseModel):
    wish: str = ""
    tickets: dict[str, str] = {}
    problem: str = ""


async def reserve(ctx: ActivityContext, data: CartData) -> str:
    wanted = Reservation(user=ctx.key, number=ctx.stable_id)
    return wanted.number if await ctx.run("ask", ask_ticket, data.wish, wanted) else ""


async def ask_ticket(seat: str, wanted: Reservation) -> bool:
    async with Client("http://localhost:8080") as restate:
        ticket = restate.machine(Ticket, seat)
        return (await ticket.send(Ticket.reserve, wanted, idempotency_key=wanted.number)).reply is True


async def pay(ctx: ActivityContext, data: CartData) -> None:
    bill = {"user": ctx.key, "amount": PRICE * len(data.tickets)}
    await ctx.run("pay", ask_outside, "/payments", bill, ctx.stable_id)


async def refund(ctx: ActivityContext, original: str) -> None:
    await ctx.run("refund", ask_outside, "/refunds", {"payment": original}, ctx.stable_id)


async def print_tickets(ctx: ActivityContext, data: CartData) -> None:
    await ctx.run("print", ask_outside, "/prints", {"seats": list(data.tickets)}, ctx.stable_id)


async def ask_outside(path: str, body: dict[str, object], key: str) -> None:
    """Send a request to a service outside. If it has done one with this key before, it answers 409."""
    async with httpx.AsyncClient(base_url="http://localhost:9090") as outside:
        answer = await outside.post(path, json=body, headers={"idempotency-key": key})
    if answer.status_code in (402, 410):
        raise TerminalError(answer.json()["reason"])
    if answer.status_code not in (201, 409):
        raise RuntimeError(answer.json()["reason"])


class Cart(StateChart[CartData]):
    """The tickets that one user has reserved."""

    choosing = State(initial=True)
    reserving = State(invoke=activity(reserve, exclusive=True))

    class buying(State.Compound):
        paying = State(initial=True, invoke=activity(pay, exclusive=True, retry=PATIENT, undo=refund))
        printing = State(invoke=activity(print_tickets, exclusive=True, retry=PATIENT))
        done_invoke_paying = paying.to(printing)

    refunding = State(invoke=undo_all("buying", exclusive=True))

    add = event(choosing.to(reserving), str)
    remove = event(choosing.to.itself(internal=True, cond="has_it", on="let_go"), str)
    expire = event(choosing.to.itself(internal=True, on="let_go"), str, public=False)
    done_invoke_reserving = reserving.to(choosing)
    error_invoke_reserving = reserving.to(choosing)
    checkout = event(choosing.to(buying, cond="has_tickets"))
    done_invoke_printing = buying.to(choosing)
    error_execution = buying.to(refunding)
    done_invoke_refunding = refunding.to(choosing)
    error_invoke_refunding = refunding.to(choosing)

    def has_it(self, data: CartData, payload: str) -> bool:
        return payload in data.tickets

    def has_tickets(self, data: CartData) -> bool:
        return bool(data.tickets)

    def on_add(self, data: CartData, payload: str) -> None:
        data.wish = payload

    def on_done_invoke_reserving(self, data: CartData, result: str, effects: Effects) -> bool:
        if result:
            data.tickets[data.wish] = result
            effects.send("expire", data.wish, after=HELD, id=result)
        return result != ""

    def let_go(self, data: CartData, payload: str, effects: Effects) -> None:
        number = data.tickets.pop(payload)
        effects.cancel(number)
        effects.send("unreserve", number, to=(Ticket, payload))

    def on_done_invoke_printing(self, data: CartData, effects: Effects) -> bool:
        for seat, number in data.tickets.items():
            effects.cancel(number)
            effects.send("sell", number, to=(Ticket, seat))
        data.tickets = {}
        return True

    def on_error_execution(self, data: CartData, error: Failure) -> bool:
        data.problem = error.message
        return False


app = durable_fsm.app(Ticket, Cart)
