from statemachine import State, StateChart

import durable_fsm


class Ticket(StateChart):
    available = State(initial=True)
    reserved = State()

    reserve = available.to(reserved)
    unreserve = reserved.to(available)


app = durable_fsm.app(Ticket)
