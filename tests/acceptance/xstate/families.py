"""Cases of machines that run machines: outputs, messages both ways, delayed messages that are cancelled."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Effects, activity, after, durable, event, machine
from tests.acceptance.xstate.pairs import Outside, child, pair

# ── onboarding ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Answers(BaseModel):
    answers: list[str] = []


def ask(asked: dict[str, str], *, outside: Outside) -> str:
    outside(f"question: {asked['question']}")
    return {"name": "ada", "coffee": "black"}[asked["question"]]


def keep_answer(data: Answers, result: str) -> None:
    data.answers.append(result)


def name_of(data: Answers) -> str:
    return data.answers[0]


def about_name(data: Answers) -> dict[str, str]:
    return {"question": "name"}


def about_coffee(data: Answers) -> dict[str, str]:
    return {"question": "coffee"}


@durable(name="interview_by_hand")
class Interview(StateChart[Answers]):
    asking = State(initial=True, invoke=activity(ask, input=about_name))
    thanking = State(invoke=activity(ask, input=about_coffee))
    finished = State(final=True, enter=name_of)
    silent = State(final=True)

    done_invoke_asking = asking.to(thanking, on=keep_answer)
    error_invoke_asking = asking.to(silent)
    done_invoke_thanking = thanking.to(finished)
    error_invoke_thanking = thanking.to(silent)


class Onboarding(StateChart[Answers]):
    welcoming = State(initial=True, invoke=machine(Interview, id="interview"))
    welcomed = State(final=True)
    lost = State(final=True)

    done_invoke_interview = welcoming.to(welcomed, on=keep_answer)
    error_invoke_interview = welcoming.to(lost)


interview = child(
    "onboarding",
    "interview",
    data=Answers,
    actions={"keep": keep_answer},
    actors={"ask": ask},
    outputs={"finished": name_of},
)
pair("onboarding", Onboarding, data=Answers, actions={"keep": keep_answer}, actors={"interview": interview})

# ── alarm ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

QUIET = timedelta(milliseconds=60)


def ring(*, outside: Outside) -> None:
    outside("ringing")


def ring_later(payload: int, effects: Effects) -> None:
    effects.send("ring", to="#_bell", after=timedelta(milliseconds=payload), id="ringing")


def cancel_ring(effects: Effects) -> None:
    effects.cancel("ringing")


@durable(name="bell_by_hand")
class Bell(StateChart):
    still = State(initial=True)
    ringing = State(invoke=activity(ring))
    over = State(final=True)

    ring = still.to(ringing)
    done_invoke_ringing = ringing.to(over)
    error_invoke_ringing = ringing.to(over)


class Alarm(StateChart):
    class alarm(State.Compound, invoke=machine(Bell, id="bell")):
        ready = State(initial=True)
        pending = State()
        rung = State(final=True)
        unused = State(final=True)

        set = event(ready.to(pending, on=ring_later), int)
        unset = pending.to(ready, on=cancel_ring)
        after_quiet_ready = after(QUIET, ready.to(unused))

    ended = State(final=True)

    done_invoke_bell = alarm.to(alarm.rung, internal=True)
    error_invoke_bell = alarm.to(alarm.rung, internal=True)
    done_state_alarm = alarm.to(ended)


alarm_bell = child("alarm", "bell", actors={"ring": ring})
pair(
    "alarm",
    Alarm,
    actions={"ring_later": ring_later, "cancel_ring": cancel_ring},
    actors={"bell": alarm_bell},
    delays={"quiet": QUIET},
    events={"set": int},
)

# ── confirmation ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Cents(BaseModel):
    cents: int = 0
    funds: bool = False


class Answer(BaseModel):
    answer: str = ""


def keep_cents(data: Cents, payload: int) -> None:
    data.cents = payload


def check(data: Cents, *, outside: Outside) -> bool:
    outside(f"funds for {data.cents}")
    return data.cents < 1000


def keep_funds(data: Cents, result: bool) -> None:
    data.funds = result


def has_funds(data: Cents) -> bool:
    return data.funds


def write_yes(data: Cents, *, outside: Outside) -> None:
    outside(f"yes to {data.cents}")


def write_no(data: Cents, *, outside: Outside) -> None:
    outside(f"no to {data.cents}")


def answer_parent(data: Cents, effects: Effects) -> None:
    effects.send("answer", "yes" if data.funds else "no", to="#_parent")


def forward(payload: int, effects: Effects) -> None:
    effects.send("pay", payload, to="#_cashier")


def keep_reply(data: Answer, payload: str) -> None:
    data.answer = payload


@durable(name="cashier_by_hand")
class Cashier(StateChart[Cents]):
    pending = State(initial=True)
    checking = State(invoke=activity(check))
    deciding = State()
    confirming = State(invoke=activity(write_yes))
    declining = State(invoke=activity(write_no))
    ended = State(final=True, enter=answer_parent)

    pay = event(pending.to(checking, on=keep_cents), int)
    done_invoke_checking = checking.to(deciding, on=keep_funds)
    error_invoke_checking = checking.to(ended)
    deciding.to(confirming, cond=has_funds)
    deciding.to(declining)
    done_invoke_confirming = confirming.to(ended)
    error_invoke_confirming = confirming.to(ended)
    done_invoke_declining = declining.to(ended)
    error_invoke_declining = declining.to(ended)


class Confirmation(StateChart[Answer]):
    class confirmation(State.Compound, invoke=machine(Cashier, id="cashier")):
        waiting = State(initial=True)
        answered = State()
        unclear = State(final=True)

        pay = event(waiting.to.itself(internal=True, on=forward), int)
        answer = event(waiting.to(answered, on=keep_reply), str, public=False)
        again = answered.to(waiting)

    ended = State(final=True)

    error_invoke_cashier = confirmation.to(confirmation.unclear, internal=True)
    done_state_confirmation = confirmation.to(ended)


cashier = child(
    "confirmation",
    "cashier",
    data=Cents,
    guards={"has_funds": has_funds},
    actions={"keep": keep_cents, "keep_funds": keep_funds, "answer_parent": answer_parent},
    actors={"check": check, "write_yes": write_yes, "write_no": write_no},
    events={"pay": int},
)
pair(
    "confirmation",
    Confirmation,
    data=Answer,
    actions={"forward": forward, "keep": keep_reply},
    actors={"cashier": cashier},
    events={"pay": int, "answer": str},
    private=("answer",),
)
