"""Four charts for pictures: flat, nested with timers and activities, parallel with history, and large."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import timedelta

from statemachine import HistoryState, State, StateChart

from durable_fsm.core.chart import Chart
from durable_fsm.frontends import chart_from
from durable_fsm.frontends.declare import activity, after, event

DAY = timedelta(days=1)


async def charge_card(ctx: object) -> None: ...
async def track_parcel(ctx: object) -> None: ...
async def refund_customer(ctx: object) -> None: ...
async def check_form(ctx: object) -> None: ...
async def screen_for_fraud(ctx: object) -> None: ...
async def compute_amount(ctx: object) -> None: ...
async def transfer_money(ctx: object) -> None: ...


class _Callbacks:
    """Every guard and action of the study: they are drawn, never run."""

    def card_valid(self) -> bool: return True  # fmt: skip

    def attempts_left(self) -> bool: return True  # fmt: skip

    def within_90_days(self) -> bool: return True  # fmt: skip

    def cart_not_empty(self) -> bool: return True  # fmt: skip

    def all_items_found(self) -> bool: return True  # fmt: skip

    def not_shipped(self) -> bool: return True  # fmt: skip

    def preflight_ok(self) -> bool: return True  # fmt: skip

    def rotors_ok(self) -> bool: return True  # fmt: skip

    def score_low(self) -> bool: return True  # fmt: skip

    def consistent(self) -> bool: return True  # fmt: skip

    def below_2000(self) -> bool: return True  # fmt: skip

    def within_limit(self) -> bool: return True  # fmt: skip

    def above_authority(self) -> bool: return True  # fmt: skip

    def within_30_days(self) -> bool: return True  # fmt: skip

    def act(self) -> None: ...

    notify_merchant = post_to_ledger = hold_funds = count_attempt = record_reason = settle = update_amount = act
    release_funds = return_money = reserve_stock = send_challenge_link = save_receipt = create_pick_list = act
    print_label = weigh_parcel = email_tracking_link = open_ticket = release_stock = escalate_ticket = act
    hold_position = spin_rotors = stop_rotors = warn_operator = force_landing = hover_in_place = plot_course = act
    log_start = assign_number = send_checklist = send_reminder = notify_claimant = email_surveyor = act
    notify_director = request_new_iban = open_case = send_letter = act


class Payment(_Callbacks, StateChart):
    """A card payment."""

    enable_self_transition_entries = False

    pending = State("Pending", initial=True)
    authorized = State("Authorized", enter="notify_merchant")
    captured = State("Captured", enter="post_to_ledger")
    refunded = State("Refunded", final=True)
    failed = State("Failed", final=True)

    authorize = event(pending.to(authorized, cond="card_valid", on="hold_funds"))
    retry = event(pending.to(pending, cond="attempts_left", on="count_attempt"))
    decline = event(pending.to(failed, on="record_reason"))
    capture = event(authorized.to(captured, on="settle"))
    adjust = event(authorized.to.itself(internal=True, on="update_amount"))
    authorization_expired = after(7 * DAY, authorized.to(failed, on="release_funds"))
    refund = event(captured.to(refunded, cond="within_90_days", on="return_money"))


class Order(_Callbacks, StateChart):
    """An order, from cart to door. Nothing is undone after shipping."""

    draft = State("Draft", initial=True)

    class payment(State.Compound, name="Payment", enter="reserve_stock"):
        charging = State("Charging card", initial=True, invoke=activity(charge_card))
        challenge = State("3-D Secure challenge", enter="send_challenge_link")
        backing_off = State("Backing off")
        paid = State("Paid", final=True)

        done_invoke_charging = charging.to(paid, on="save_receipt")
        needs_challenge = charging.to(challenge)
        challenge_passed = challenge.to(charging)
        error_invoke_charging = charging.to(backing_off, cond="attempts_left", on="count_attempt")
        retry_charge = after(timedelta(seconds=30), backing_off.to(charging))

    class fulfilment(State.Compound, name="Fulfilment"):
        picking = State("Picking", initial=True, enter="create_pick_list")
        packing = State("Packing", enter="print_label", exit="weigh_parcel")
        in_transit = State("In transit", invoke=activity(track_parcel))
        delivered = State("Delivered", final=True)

        picked = picking.to(packing, cond="all_items_found")
        handed_over = packing.to(in_transit, on="email_tracking_link")
        done_invoke_in_transit = in_transit.to(delivered)

    manual_review = State("Manual review", enter="open_ticket")
    refunding = State("Refunding", invoke=activity(refund_customer, exclusive=True))
    completed = State("Completed", final=True)
    expired = State("Expired", final=True)
    cancelled = State("Cancelled", final=True)

    place = draft.to(payment, cond="cart_not_empty")
    payment_timeout = after(timedelta(minutes=15), payment.to(expired, on="release_stock"))
    done_state_payment = payment.to(fulfilment)
    error_invoke_charging = payment.to(manual_review)
    cancel = (
        draft.to(cancelled) | payment.to(cancelled, on="release_stock") | fulfilment.to(refunding, cond="not_shipped")
    )
    done_state_fulfilment = fulfilment.to(completed)
    approve = manual_review.to(fulfilment)
    reject = manual_review.to(cancelled, on="release_stock")
    review_overdue = after(2 * DAY, manual_review.to(manual_review, on="escalate_ticket"))
    done_invoke_refunding = refunding.to(cancelled)


class Drone(_Callbacks, StateChart):
    """A delivery drone."""

    grounded = State("Grounded", initial=True)

    class mission(State.Parallel, name="Mission"):
        class flight(State.Compound, name="Flight"):
            class airborne(State.Compound, name="Airborne"):
                climbing = State("Climbing", initial=True)
                cruising = State("Cruising")
                hovering = State("Hovering", enter="hold_position")
                reached_altitude = climbing.to(cruising)
                obstacle = cruising.to(hovering)
                clear = hovering.to(cruising)
                h_air = HistoryState(name="H")

            taking_off = State("Taking off", initial=True, enter="spin_rotors")
            landing = State("Landing", exit="stop_rotors")
            lift_off = taking_off.to(airborne, cond="rotors_ok")
            land = airborne.to(landing)
            abort_landing = landing.to(airborne.h_air)

        class battery(State.Compound, name="Battery"):
            nominal = State("Nominal", initial=True)
            low = State("Low", enter="warn_operator")
            critical = State("Critical", enter="force_landing")
            below_30 = nominal.to(low)
            below_10 = low.to(critical)

        class link(State.Compound, name="Radio link"):
            online = State("Online", initial=True)
            lost = State("Lost")
            signal_lost = online.to(lost)
            signal_back = lost.to(online)

        h_mission = HistoryState(name="H*", type="deep")

    paused = State("Paused", enter="hover_in_place")
    returning = State("Returning home", enter="plot_course")
    delivered = State("Delivered", final=True)

    start = grounded.to(mission, cond="preflight_ok", on="log_start")
    pause = mission.to(paused)
    resume = paused.to(mission.h_mission)
    link_timeout = after(timedelta(seconds=20), mission.link.lost.to(returning))
    landed = returning.to(grounded)
    complete = mission.to(delivered)


class Claim(_Callbacks, StateChart):
    """An insurance claim, in full."""

    draft = State("Draft", initial=True)

    class intake(State.Compound, name="Intake", enter="assign_number"):
        validating = State("Validating", initial=True, invoke=activity(check_form))
        awaiting_documents = State("Awaiting documents")
        policy_check = State("Policy check")
        fraud_screening = State("Fraud screening", invoke=activity(screen_for_fraud))
        registered = State("Registered", final=True)
        documents_missing = validating.to(awaiting_documents, on="send_checklist")
        documents_received = awaiting_documents.to(validating)
        remind = awaiting_documents.to.itself(internal=True, on="send_reminder")
        valid = validating.to(policy_check)
        covered = policy_check.to(fraud_screening)
        done_invoke_fraud_screening = fraud_screening.to(registered, cond="score_low")

    class assessment(State.Compound, name="Assessment"):
        triage = State("Triage", initial=True)

        class survey(State.Compound, name="Survey"):
            scheduling = State("Scheduling", initial=True)
            scheduled = State("Scheduled", enter="notify_claimant")
            on_site = State("On site")
            report_pending = State("Report pending")
            surveyed = State("Report received", final=True)
            book = scheduling.to(scheduled)
            reschedule = scheduled.to(scheduling)
            arrive = scheduled.to(on_site)
            finish = on_site.to(report_pending)
            chase_surveyor = after(5 * DAY, report_pending.to(report_pending, on="email_surveyor"))
            upload_report = report_pending.to(surveyed)
            no_show = on_site.to(scheduling)

        class liability(State.Compound, name="Liability"):
            collecting = State("Collecting statements", initial=True)
            disputed = State("Disputed")
            mediation = State("Mediation")
            agreed = State("Agreed", final=True)
            statements_in = collecting.to(agreed, cond="consistent") | collecting.to(disputed)
            mediate = disputed.to(mediation)
            agree = mediation.to(agreed)
            collapse = mediation.to(disputed)

        desk_review = State("Desk review")
        calculating = State("Calculating", invoke=activity(compute_amount))
        assessed = State("Assessed", final=True)
        small_claim = triage.to(desk_review, cond="below_2000")
        needs_survey = triage.to(survey)
        needs_liability = triage.to(liability)
        done_state_survey = survey.to(calculating)
        done_state_liability = liability.to(calculating)
        reviewed = desk_review.to(calculating)
        escalate_review = desk_review.to(survey)
        done_invoke_calculating = calculating.to(assessed)

    class decision(State.Compound, name="Decision"):
        automatic = State("Automatic", initial=True)
        handler_review = State("Handler review")
        manager_review = State("Manager review")
        approved = State("Approved", final=True)
        within_limits = automatic.to(approved, cond="within_limit")
        route_handler = automatic.to(handler_review)
        approve = handler_review.to(approved) | manager_review.to(approved)
        escalate = handler_review.to(manager_review, cond="above_authority")
        send_back = manager_review.to(handler_review)
        manager_overdue = after(3 * DAY, manager_review.to(manager_review, on="notify_director"))

    class payout(State.Compound, name="Payout"):
        preparing = State("Preparing", initial=True)
        paying = State("Paying", invoke=activity(transfer_money))
        retry_wait = State("Retry wait")
        paid_out = State("Paid", final=True)
        submit_payment = preparing.to(paying)
        done_invoke_paying = paying.to(paid_out)
        error_invoke_paying = paying.to(retry_wait, cond="attempts_left")
        retry_payment = after(timedelta(hours=1), retry_wait.to(paying))
        bank_rejected = paying.to(preparing, on="request_new_iban")

    investigation = State("Fraud investigation", enter="open_case")
    appeal = State("Appeal")
    closed = State("Closed", final=True)
    rejected = State("Rejected")
    withdrawn = State("Withdrawn", final=True)
    fraud = State("Fraud confirmed", final=True)

    submit = draft.to(intake)
    discard = draft.to(withdrawn)
    withdraw = intake.to(withdrawn) | assessment.to(withdrawn) | decision.to(withdrawn)
    documents_overdue = after(14 * DAY, intake.to(rejected))
    not_covered = intake.to(rejected)
    suspicious = intake.to(investigation) | assessment.to(investigation)
    done_state_intake = intake.to(assessment)
    done_state_assessment = assessment.to(decision)
    done_state_decision = decision.to(payout)
    reject = decision.to(rejected, on="send_letter")
    ask_more = decision.to(assessment)
    done_state_payout = payout.to(closed)
    error_invoke_paying = payout.to(decision)
    cleared = investigation.to(assessment)
    confirm_fraud = investigation.to(fraud)
    lodge_appeal = rejected.to(appeal, cond="within_30_days")
    uphold = appeal.to(rejected)
    overturn = appeal.to(decision)
    accept = rejected.to(closed)


STUDY: Mapping[str, type[StateChart]] = {"payment": Payment, "order": Order, "drone": Drone, "claim": Claim}


def study(name: str) -> Chart:
    """The chart of one of them. Not every activity's failure is taken: the pictures are older than that advice."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*handles the failure of activity")
        return chart_from(STUDY[name])
