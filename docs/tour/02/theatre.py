from statemachine import State, StateChart

import durable_fsm


class Ticket(StateChart):
    """The ticket for one seat, which can be sold once."""

    available = State(initial=True)
    reserved = State()
    sold = State(final=True)

    reserve = available.to(reserved)
    unreserve = reserved.to(available)
    sell = reserved.to(sold)


app = durable_fsm.app(Ticket)
