"""Commands that change one machine, or wait for it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from durable_fsm.cli.errors import DIFFERS, CommandError
from durable_fsm.cli.machine_arg import IF_SEQ, MACHINE, DurationType, MachineRef, PayloadType, reached
from durable_fsm.cli.output import json_option, show, words
from durable_fsm.cli.settings import Connection, connected
from durable_fsm.core.snapshot import Status

if TYPE_CHECKING:
    from durable_fsm.client import Receipt


@click.command("wait")
@MACHINE
@click.option("--state", help="Wait for this state.")
@click.option("--tag", help="Wait for a state with this tag.")
@click.option("--status", type=click.Choice([str(status) for status in Status]), help="Wait for this status.")
@click.option("--settled", is_flag=True, help="Wait until no activity runs and no event is deferred.")
@click.option("--event", help="Send this event first; only states after it count.")
@click.option("--payload", type=PayloadType(), help="Payload of --event: JSON, '-' or '@file'.")
@click.option("--timeout", type=DurationType(), default="1h", show_default=True, help="How long to wait.")
@connected
@json_option
def wait(
    ref: MachineRef,
    connection: Connection,
    *,
    state: str | None,
    tag: str | None,
    status: str | None,
    settled: bool,
    event: str | None,
    payload: object,
    timeout: timedelta,
    as_json: bool,
) -> None:
    """Wait until CHART/KEY meets a condition.

    Exits with 5 if that takes longer than --timeout, or has become impossible.

    \b
    Examples:
      durable-fsm wait Order/o-17 --state paid --timeout 30s
      durable-fsm wait Order/o-17 --status done --event ship
    """
    if [state, tag, status, settled or None].count(None) != 3:
        raise click.UsageError("Name one condition: --state, --tag, --status or --settled.")
    with reached(connection, ref) as machine:
        receipt = machine.wait_for(
            state=state, tag=tag, status=status, settled=settled, event=event, payload=payload, timeout=timeout
        )
    show_receipt(receipt, as_json=as_json)


@click.command("cancel")
@MACHINE
@click.option("--activity", metavar="ID", help="The activity to cancel; default: the exclusive one that is running.")
@IF_SEQ
@connected
@json_option
def cancel(ref: MachineRef, connection: Connection, *, activity: str | None, if_seq: int | None, as_json: bool) -> None:
    """Cancel an activity of CHART/KEY.

    Its outcome is an error of type 'cancelled'.

    \b
    Example:
      durable-fsm cancel Order/o-17 --activity charging
    """
    with reached(connection, ref, if_seq=if_seq) as machine:
        cancelled = machine.cancel(activity)
    show({"cancelled": list(cancelled)} if as_json else f"{ref}: cancelled {words(list(cancelled))}", as_json)


@click.command("delete")
@MACHINE
@click.option("--compensate", is_flag=True, help="First undo the completed work of its activities.")
@click.option("--abandon", is_flag=True, help="Keep the completed work of its activities.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@IF_SEQ
@connected
@json_option
def delete(
    ref: MachineRef,
    connection: Connection,
    *,
    compensate: bool,
    abandon: bool,
    yes: bool,
    if_seq: int | None,
    as_json: bool,
) -> None:
    """Delete CHART/KEY and free its key.

    This stops its activities and children, and removes its data.

    \b
    Example:
      durable-fsm delete Order/o-17 --compensate
    """
    if compensate and abandon:
        raise click.UsageError("Choose one: --compensate undoes the completed work, --abandon keeps it.")
    if not yes:
        click.confirm(f"Delete {ref}?", abort=True, err=True)
    with reached(connection, ref, if_seq=if_seq) as machine:
        receipt = machine.delete(compensate=compensate, abandon=abandon)
    show_receipt(receipt, as_json=as_json)


@click.command("repair")
@MACHINE
@click.option("--reason", required=True, help="The reason; kept in the machine's history.")
@click.option("--retry", metavar="ACTIVITY", help="Start a failed or parked activity again.")
@click.option("--skip", metavar="ACTIVITY", help="Treat an activity as done, with --result.")
@click.option("--result", type=PayloadType(), help="Result of the skipped activity: JSON, '-' or '@file'.")
@click.option(
    "--move",
    metavar="STATE",
    multiple=True,
    help="Move the machine to this state; may be given several times, for parallel regions.",
)
@click.option("--resend", is_flag=True, help="Deliver parked events again.")
@click.option("--migrate", is_flag=True, help="Migrate the machine to the deployed version now.")
@click.option("--pause", is_flag=True, help="Pause the machine until it is resumed: events get 503, or wait.")
@click.option("--resume", is_flag=True, help="Resume a paused machine.")
@click.option("--timer", metavar="NAME", help="Make this pending timer (its event or id) due now, or --after a time.")
@click.option("--after", type=DurationType(), metavar="DURATION", help="When the timer is due, from now: 10m.")
@IF_SEQ
@connected
@json_option
def repair(
    ref: MachineRef,
    connection: Connection,
    *,
    reason: str,
    retry: str | None,
    skip: str | None,
    result: object,
    move: tuple[str, ...],
    resend: bool,
    migrate: bool,
    pause: bool,
    resume: bool,
    timer: str | None,
    after: timedelta | None,
    if_seq: int | None,
    as_json: bool,
) -> None:
    """Repair CHART/KEY by hand.

    Choose one action, and give a reason.

    \b
    Examples:
      durable-fsm repair Order/o-17 --retry charging --reason "the bank is back"
      durable-fsm repair Order/o-17 --move on_hold --reason "see ticket 4711"
      durable-fsm repair Order/o-17 --timer expire --after 2d --reason "the customer called"
    """
    if [bool(one) for one in (retry, skip, move, resend, migrate, pause, resume, timer)].count(True) != 1:
        verbs = "--retry, --skip, --move, --resend, --migrate, --pause, --resume or --timer"
        raise click.UsageError(f"Choose one action: {verbs}.")
    if after is not None and timer is None:
        raise click.UsageError("--after belongs to --timer.")
    with reached(connection, ref, if_seq=if_seq) as machine:
        receipt = machine.repair(
            reason=reason,
            retry=retry,
            skip=skip,
            result=result,
            move=move or None,
            resend=resend,
            migrate=migrate,
            pause=pause,
            resume=resume,
            timer=timer,
            after=after,
        )
    show_receipt(receipt, as_json=as_json)
    if receipt.outcome == "parked":
        raise CommandError(
            "Not everything could be delivered: see 'reply'. The rest is tried again later.", code=DIFFERS
        )


def show_receipt(receipt: Receipt, *, as_json: bool) -> None:
    """Print the answer to a request."""
    facts = {name: value for name, value in asdict(receipt).items() if as_json or value is not None}
    show({**facts, "configuration": list(receipt.configuration), "status": str(receipt.status)}, as_json)
