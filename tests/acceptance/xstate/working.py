"""Cases with work outside: results, failures, guards on both, and parallel work."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import ActivityContext, Failure, Retry, TerminalError, activity, after, event, tag
from tests.acceptance.xstate.pairs import Outside, pair

# ── admission ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Applicant(BaseModel):
    name: str
    age: int


class Name(BaseModel):
    name: str = ""


def is_at_least(payload: Applicant, params: dict[str, int]) -> bool:
    return payload.age >= params["age"]


def is_adult(payload: Applicant) -> bool:
    return payload.age >= 18


def keep_name(data: Name, payload: Applicant) -> None:
    data.name = payload.name


def write_to(data: Name, *, outside: Outside) -> None:
    outside(f"letter to {data.name}")


class Admission(StateChart[Name]):
    open = State(initial=True)
    admitting = State(invoke=activity(write_to))
    turning_away = State(invoke=activity(write_to))
    admitted = State(final=True)
    turned_away = State(final=True)

    apply = event(open.to(admitting, cond=is_adult, on=keep_name) | open.to(turning_away, on=keep_name), Applicant)
    done_invoke_admitting = admitting.to(admitted)
    error_invoke_admitting = admitting.to(turning_away)
    done_invoke_turning_away = turning_away.to(turned_away)
    error_invoke_turning_away = turning_away.to(turned_away)


pair(
    "admission",
    Admission,
    data=Name,
    guards={"is_at_least": is_at_least},
    actions={"keep_name": keep_name},
    actors={"write_to": write_to},
    events={"apply": Applicant},
)

# ── breakfast ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def brew(*, outside: Outside) -> None:
    outside("coffee")


def toast(*, outside: Outside) -> None:
    outside("toast")


class Breakfast(StateChart):
    class preparing(State.Parallel):
        class coffee(State.Compound):
            brewing = State(initial=True, invoke=activity(brew))
            brewed = State(final=True)
            done_invoke_brewing = brewing.to(brewed)
            error_invoke_brewing = brewing.to(brewed)

        class bread(State.Compound):
            toasting = State(initial=True, invoke=activity(toast))
            toasted = State(final=True)
            done_invoke_toasting = toasting.to(toasted)
            error_invoke_toasting = toasting.to(toasted)

    served = State(final=True)
    done_state_preparing = preparing.to(served)


pair("breakfast", Breakfast, actors={"brew": brew, "toast": toast})

# ── checkup ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Vitals(BaseModel):
    tyres: int = 0
    oil: int = 0
    coolant: int = 0
    battery: int = 0


def keep_vitals(data: Vitals, result: dict[str, int]) -> None:
    for name, value in result.items():
        setattr(data, name, value)


def all_are_known(data: Vitals) -> bool:
    return bool(data.tyres and data.oil and data.coolant and data.battery)


def vitals(data: Vitals) -> dict[str, int]:
    return data.model_dump()


def measure_tyres(*, outside: Outside) -> dict[str, int]:
    outside("tyres")
    return {"tyres": 22}


def measure_oil(*, outside: Outside) -> dict[str, int]:
    outside("oil")
    return {"oil": 4}


def measure_coolant(*, outside: Outside) -> dict[str, int]:
    outside("coolant")
    return {"coolant": 9}


def measure_battery(*, outside: Outside) -> dict[str, int]:
    outside("battery")
    return {"battery": 12}


class Checkup(StateChart[Vitals]):
    measuring = State(
        initial=True,
        invoke=[
            activity(measure_tyres, id="tyres"),
            activity(measure_oil, id="oil"),
            activity(measure_coolant, id="coolant"),
            activity(measure_battery, id="battery"),
        ],
    )
    measured = State(final=True, enter=vitals)
    broken = State(final=True)

    done_invoke_tyres = measuring.to.itself(internal=True, on=keep_vitals)
    done_invoke_oil = measuring.to.itself(internal=True, on=keep_vitals)
    done_invoke_coolant = measuring.to.itself(internal=True, on=keep_vitals)
    done_invoke_battery = measuring.to.itself(internal=True, on=keep_vitals)
    error_invoke_tyres = measuring.to(broken)
    error_invoke_oil = measuring.to(broken)
    error_invoke_coolant = measuring.to(broken)
    error_invoke_battery = measuring.to(broken)
    measuring.to(measured, cond=all_are_known)


pair(
    "checkup",
    Checkup,
    data=Vitals,
    guards={"is_complete": all_are_known},
    actions={"keep": keep_vitals},
    actors={
        "measure_tyres": measure_tyres,
        "measure_oil": measure_oil,
        "measure_coolant": measure_coolant,
        "measure_battery": measure_battery,
    },
    outputs={"measured": vitals},
)

# ── supplies ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Supplies(BaseModel):
    item: str = ""
    amount: int = 0


def order(data: Supplies, *, outside: Outside) -> None:
    for name in ("item", "amount"):
        if not getattr(data, name):
            raise TerminalError(f"the {name} is missing")
    if data.item == "unicorn":
        raise TerminalError("nobody sells unicorns")
    outside(f"order of {data.item}")


def lacks(error: Failure, params: dict[str, str]) -> bool:
    return error.message == f"the {params['what']} is missing"


def lacks_item(error: Failure) -> bool:
    return error.message == "the item is missing"


def lacks_amount(error: Failure) -> bool:
    return error.message == "the amount is missing"


class SuppliesByHand(StateChart[Supplies]):
    ordering = State(initial=True, invoke=activity(order))

    class asking_back(State.Compound):
        for_item = State(initial=True)
        for_amount = State()
        answered = State(final=True)
        answer = for_item.to(answered) | for_amount.to(answered)

    delivered = State(final=True)
    called_off = State(final=True)

    done_invoke_ordering = ordering.to(delivered)
    error_invoke_ordering = ordering.to(asking_back.for_item, cond=lacks_item) | ordering.to(
        asking_back.for_amount, cond=lacks_amount
    )
    done_state_asking_back = asking_back.to(called_off)


pair("supplies", SuppliesByHand, data=Supplies, guards={"lacks": lacks}, actors={"order": order})

# ── clinic ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Appointment(BaseModel):
    pet: str = ""
    dates: list[str] = []


def keep_pet(data: Appointment, payload: str) -> None:
    data.pet = payload


def book(pet: str, *, outside: Outside) -> str:
    outside(f"appointment for {pet}")
    return f"{pet} on Monday"


def keep_date(data: Appointment, result: str) -> None:
    data.dates.append(result)


class Clinic(StateChart[Appointment]):
    idle = State(initial=True)
    booking = State(invoke=activity(book, input="pet"))

    request = event(idle.to(booking, on=keep_pet), str)
    done_invoke_booking = booking.to(idle, on=keep_date)
    error_invoke_booking = booking.to(idle)


pair(
    "clinic",
    Clinic,
    data=Appointment,
    actions={"keep_pet": keep_pet, "keep_date": keep_date},
    actors={"book": book},
    inputs={"booking": "pet"},
    events={"request": str},
)

# ── credit ────────────────────────────────────────────────────────────────────────────────────────────────────────────


PATIENCE = timedelta(milliseconds=60)


class Credit(BaseModel):
    name: str = ""
    decision: str = ""


def keep_applicant(data: Credit, payload: str) -> None:
    data.name = payload


def check(data: Credit, *, outside: Outside) -> str:
    outside(f"check of {data.name}")
    return "denied" if data.name == "tom" else "approved"


def keep_decision(data: Credit, result: str) -> None:
    data.decision = result


def is_approved(data: Credit) -> bool:
    return data.decision == "approved"


def decision(data: Credit) -> str:
    return data.decision


def tell(data: Credit, *, outside: Outside) -> None:
    outside(f"{data.decision}: {data.name}")


async def ponder(ctx: ActivityContext, data: Credit) -> None:
    await ctx.sleep(timedelta(hours=1))


class CreditByHand(StateChart[Credit]):
    open = State(initial=True)
    checking = State(invoke=activity(check))
    pondering = State(invoke=activity(ponder))
    deciding = State()
    opening_account = State(invoke=activity(tell))
    rejecting = State(invoke=activity(tell))
    ended = State(final=True, enter=decision)
    timed_out = State(final=True)

    tag(open, "asking")
    tag(deciding, "passing")
    tag(ended, "over")

    apply = event(open.to(checking, on=keep_applicant), str)
    appeal = open.to(pondering)
    done_invoke_checking = checking.to(deciding, on=keep_decision)
    error_invoke_checking = checking.to(rejecting)
    done_invoke_pondering = pondering.to(ended)
    error_invoke_pondering = pondering.to(ended)
    after_patience_pondering = after(PATIENCE, pondering.to(timed_out))
    deciding.to(opening_account, cond=is_approved)
    deciding.to(rejecting)
    done_invoke_opening_account = opening_account.to(ended)
    error_invoke_opening_account = opening_account.to(ended)
    done_invoke_rejecting = rejecting.to(ended)
    error_invoke_rejecting = rejecting.to(ended)


pair(
    "credit",
    CreditByHand,
    data=Credit,
    guards={"is_approved": is_approved},
    actions={"keep_name": keep_applicant, "keep_decision": keep_decision},
    actors={"check": check, "ponder": ponder, "write_to": tell},
    delays={"patience": PATIENCE},
    outputs={"ended": decision},
    events={"apply": str},
)

# ── letter ────────────────────────────────────────────────────────────────────────────────────────────────────────────

SOON = Retry(initial=timedelta(milliseconds=5))


class Letter(BaseModel):
    to: str = ""
    reason: str = ""


def send_letter(data: Letter, *, outside: Outside) -> None:
    outside(f"letter to {data.to}")
    if data.to.startswith("nobody"):
        raise TerminalError("there is no such address")


def keep_reason(data: Letter, error: Failure) -> None:
    data.reason = error.message


class LetterByHand(StateChart[Letter]):
    sending = State(initial=True, invoke=activity(send_letter, retry=SOON))
    sent = State(final=True)
    failed = State(final=True)

    done_invoke_sending = sending.to(sent)
    error_invoke_sending = sending.to(failed, on=keep_reason)


pair(
    "letter",
    LetterByHand,
    data=Letter,
    actions={"keep_reason": keep_reason},
    actors={"send_letter": activity(send_letter, retry=SOON)},
)

# ── library ───────────────────────────────────────────────────────────────────────────────────────────────────────────

TWO_WEEKS = timedelta(milliseconds=20)


class Loan(BaseModel):
    title: str = ""
    status: str = ""
    asked: int = 0


def keep_title(data: Loan, payload: str) -> None:
    data.title = payload


def look_up(data: Loan, *, outside: Outside) -> str:
    """Look up the book. emma comes back after a while."""
    outside(f"status of {data.title}")
    return {"dune": "available", "emma": "on_loan" if data.asked == 0 else "available"}.get(data.title, "unknown")


def keep_status(data: Loan, result: str) -> None:
    data.status = result
    data.asked += 1


def has_status(data: Loan, params: dict[str, str]) -> bool:
    return data.status == params["status"]


def is_on_loan(data: Loan) -> bool:
    return data.status == "on_loan"


def is_available(data: Loan) -> bool:
    return data.status == "available"


def tell_reader(data: Loan, *, outside: Outside) -> None:
    outside(f"{data.title} is {data.status}")


def check_out(data: Loan, *, outside: Outside) -> None:
    outside(f"{data.title} goes out")


class Library(StateChart[Loan]):
    open = State(initial=True)
    looking_up = State(invoke=activity(look_up))
    deciding = State()
    telling = State(invoke=activity(tell_reader))
    waiting = State()
    sleeping = State()

    class lending(State.Compound):
        checking_out = State(initial=True, invoke=activity(check_out))
        notifying = State(invoke=activity(tell_reader))
        lent = State(final=True)
        done_invoke_checking_out = checking_out.to(notifying)
        error_invoke_checking_out = checking_out.to(lent)
        done_invoke_notifying = notifying.to(lent)
        error_invoke_notifying = notifying.to(lent)

    closed = State(final=True)

    ask = event(open.to(looking_up, on=keep_title), str)
    done_invoke_looking_up = looking_up.to(deciding, on=keep_status)
    error_invoke_looking_up = looking_up.to(closed)
    deciding.to(telling, cond=is_on_loan)
    deciding.to(lending, cond=is_available)
    deciding.to(closed)
    done_invoke_telling = telling.to(waiting)
    error_invoke_telling = telling.to(closed)
    hold = waiting.to(sleeping)
    decline = waiting.to(closed)
    after_two_weeks_sleeping = after(TWO_WEEKS, sleeping.to(looking_up))


pair(
    "library",
    Library,
    data=Loan,
    guards={"is": has_status},
    actions={"keep_title": keep_title, "keep_status": keep_status},
    actors={"look_up": look_up, "tell": tell_reader, "check_out": check_out},
    delays={"two_weeks": TWO_WEEKS},
    events={"ask": str},
)
