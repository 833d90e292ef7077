"""The machines, read from JSON as XState has it, with Python functions for the names in it."""

from __future__ import annotations

from durable_fsm import Effects, Failure, XStateConfig, activity, gone
from machines.xstate.activities import authorize, credit, debit, refund, send_mail, update_balance
from machines.xstate.data import ANSWERING, KEPT, PATIENCE, AuthData, AuthorityData, Count, Login, PaymentData, Total

# ── a client, and the authority that it runs ──────────────────────────────────────────────────────────────────────────


def keep_code(data: AuthorityData, payload: str) -> None:
    data.code = payload


def send_token(result: str, effects: Effects) -> None:
    effects.send("token", result, to="#_parent", after=ANSWERING)


def keep_user(data: AuthData, payload: Login) -> None:
    data.user = payload.user


def show_code(data: AuthData, effects: Effects) -> None:
    effects.send("code", f"code of {data.user}", to="#_authority")


def keep_token(data: AuthData, payload: str) -> None:
    data.token = payload


def token_of(data: AuthData) -> str:
    return data.token


def refusal() -> Failure:
    return Failure("Refused", "the authority does not know this user", code=403)


Authority = XStateConfig(
    "authority.json",
    data=AuthorityData,
    actions={"keep_code": keep_code, "send_token": send_token},
    actors={"authorize": authorize},
    events={"code": str},
)

Auth = XStateConfig(
    "auth.json",
    data=AuthData,
    create_first=True,
    actions={"keep_user": keep_user, "show_code": show_code, "keep_token": keep_token},
    actors={"authority": Authority},
    outputs={"authorized": token_of, "refused": refusal},
    events={"auth": Login, "token": str},
    private=("token",),
)

# ── a counter, in two versions ────────────────────────────────────────────────────────────────────────────────────────


def increment_count(data: Count) -> None:
    data.count += 1


def decrement_count(data: Count) -> None:
    data.count -= 1


def increment_total(data: Total) -> None:
    data.total += 1


def decrement_total(data: Total) -> None:
    data.total -= 1


CounterV1 = XStateConfig(
    "counter_v1.json", data=Count, actions={"increment_count": increment_count, "decrement_count": decrement_count}
)

CounterV2 = XStateConfig(
    "counter_v2.json", data=Total, actions={"increment_total": increment_total, "decrement_total": decrement_total}
)

Counter = XStateConfig(
    "counter_v2.json",
    data=Total,
    actions={"increment_total": increment_total, "decrement_total": decrement_total},
    versions=(CounterV1,),
)
"""Version 2, which keeps machines of version 1 on theirs."""

# ── a payment ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def request_approval(data: PaymentData, effects: Effects) -> None:
    effects.start("send_mail", {"to": data.sender, "about": "approve your payment"})


def alert_staff(effects: Effects) -> None:
    effects.start("send_mail", {"to": "staff", "about": "a payment waits for approval"})


Payment = XStateConfig(
    "payment.json",
    data=PaymentData,
    create_first=True,
    after_end=gone(KEPT),
    actions={"request_approval": request_approval, "alert_staff": alert_staff},
    actors={"update_balance": update_balance},
    inputs={"debiting": debit, "crediting": credit, "refunding": refund},
    delays={"patience": PATIENCE},
    work=(activity(send_mail),),
)
