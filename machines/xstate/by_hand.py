"""The same machines as classes of python-statemachine: the same states, events and traces."""

from __future__ import annotations

from statemachine import State, StateChart

from durable_fsm import Effects, Failure, activity, after, durable, event, gone, machine, tag
from machines.xstate.activities import authorize, credit, debit, refund, send_mail, update_balance
from machines.xstate.data import ANSWERING, KEPT, PATIENCE, AuthData, AuthorityData, Count, Login, PaymentData, Total


@durable(name="authority_by_hand")
class Authority(StateChart[AuthorityData]):
    """Exchanges a code for a token."""

    waiting_for_code = State(initial=True)
    checking = State(invoke=activity(authorize))
    unwilling = State(final=True)

    code = event(waiting_for_code.to(checking), str)
    done_invoke_checking = checking.to.itself(internal=True)
    error_invoke_checking = checking.to(unwilling)

    def on_code(self, data: AuthorityData, payload: str) -> None:
        data.code = payload

    def on_done_invoke_checking(self, result: str, effects: Effects) -> None:
        effects.send("token", result, to="#_parent", after=ANSWERING)


@durable(name="auth_by_hand", create_first=True)
class Auth(StateChart[AuthData]):
    """Runs an authority, shows it a code and gets a token."""

    idle = State(initial=True)
    authorizing = State(invoke=machine(Authority, id="authority"))
    authorized = State(final=True)
    refused = State(final=True)

    auth = event(idle.to(authorizing), Login)
    token = event(authorizing.to(authorized), str, public=False)
    done_invoke_authority = authorizing.to(refused)
    error_invoke_authority = authorizing.to(refused)

    def on_auth(self, data: AuthData, payload: Login) -> None:
        data.user = payload.user

    def on_enter_authorizing(self, data: AuthData, effects: Effects) -> None:
        effects.send("code", f"code of {data.user}", to="#_authority")

    def on_token(self, data: AuthData, payload: str) -> None:
        data.token = payload

    def on_enter_authorized(self, data: AuthData) -> str:
        return data.token

    def on_enter_refused(self) -> Failure:
        return Failure("Refused", "the authority does not know this user", code=403)


@durable(name="payment_by_hand", create_first=True, after_end=gone(KEPT), work=[activity(send_mail)])
class Payment(StateChart[PaymentData]):
    """Moves money once it is approved. Money that cannot be credited is returned."""

    awaiting_approval = State(initial=True)
    awaiting_manual_approval = State()
    debiting = State(invoke=activity(update_balance, input=debit))
    crediting = State(invoke=activity(update_balance, input=credit))
    refunding = State(invoke=activity(update_balance, input=refund))
    owing = State()
    succeeded = State(final=True)
    rejected = State(final=True)
    cancelled = State(final=True)

    tag(awaiting_approval, "waiting")
    tag(awaiting_manual_approval, "waiting")
    tag(owing, "waiting")

    approve = awaiting_approval.to(debiting) | awaiting_manual_approval.to(debiting)
    reject = awaiting_approval.to(rejected) | awaiting_manual_approval.to(rejected)
    after_patience_awaiting_approval = after(PATIENCE, awaiting_approval.to(awaiting_manual_approval))
    done_invoke_debiting = debiting.to(crediting)
    error_invoke_debiting = debiting.to(cancelled)
    done_invoke_crediting = crediting.to(succeeded)
    error_invoke_crediting = crediting.to(refunding)
    done_invoke_refunding = refunding.to(cancelled)
    error_invoke_refunding = refunding.to(owing)
    refund_again = owing.to(refunding)

    def on_enter_awaiting_approval(self, data: PaymentData, effects: Effects) -> None:
        effects.start("send_mail", {"to": data.sender, "about": "approve your payment"})

    def on_enter_awaiting_manual_approval(self, effects: Effects) -> None:
        effects.start("send_mail", {"to": "staff", "about": "a payment waits for approval"})


@durable(name="counter_by_hand", version="1")
class CounterV1(StateChart[Count]):
    counter = State(initial=True)
    increment = counter.to.itself(internal=True)
    decrement = counter.to.itself(internal=True)

    def on_increment(self, data: Count) -> None:
        data.count += 1

    def on_decrement(self, data: Count) -> None:
        data.count -= 1


@durable(name="counter_by_hand", version="2")
class CounterV2(StateChart[Total]):
    """Counts as version 1 does, in data of another shape."""

    counter = State(initial=True)
    increment = counter.to.itself(internal=True)
    decrement = counter.to.itself(internal=True)

    def on_increment(self, data: Total) -> None:
        data.total += 1

    def on_decrement(self, data: Total) -> None:
        data.total -= 1


@durable(name="counter_by_hand", version="2", versions=[CounterV1])
class Counter(CounterV2):
    """Version 2, which keeps machines of version 1 on theirs."""
