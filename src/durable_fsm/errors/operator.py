"""Errors that the operator of a machine can fix."""

from __future__ import annotations

from dataclasses import dataclass

from durable_fsm.errors.base import DurableFSMError, quoted


@dataclass(kw_only=True, eq=False, repr=False)
class MachineError(DurableFSMError):
    """The machine, or its stored snapshot, cannot take the request as it is now."""


@dataclass(kw_only=True, eq=False, repr=False)
class NotStarted(MachineError):
    """No machine has this key.

    Remedy: check the key. `create` starts a machine; so does its first event, unless the chart has `create_first=True`.
    """

    remedy: str = "Start it with 'create'."

    @property
    def what(self) -> str:
        return f"there is no such machine. {self.remedy}"


@dataclass(kw_only=True, eq=False, repr=False)
class AlreadyStarted(MachineError):
    """`create` met a machine that was created with other data. A machine is never reset.

    Remedy: use another key; or delete the machine first.
    """

    configuration: tuple[str, ...]

    @property
    def what(self) -> str:
        place = "state" if len(self.configuration) == 1 else "states"
        return (
            f"the machine exists, created with other data, and is in {place} {quoted(self.configuration)}."
            " Use another key, or 'delete' it first."
        )


@dataclass(kw_only=True, eq=False, repr=False)
class Finished(MachineError):
    """The machine has reached its end and accepts no more events.

    Remedy: use another key for a new machine; or `delete` this one to free its key.
    """

    event: str
    configuration: tuple[str, ...]

    @property
    def what(self) -> str:
        return (
            f"the machine has ended in {quoted(self.configuration)} and no longer accepts '{self.event}'."
            " Its snapshot can still be read; 'delete' frees the key."
        )


@dataclass(kw_only=True, eq=False, repr=False)
class Gone(MachineError):
    """The machine has ended, and its snapshot is no longer kept.

    Remedy: use another key for a new machine; or `delete` this one to free its key.
    """

    @property
    def what(self) -> str:
        return "the machine has ended, and its snapshot is no longer kept. Use another key; 'delete' frees this one."


@dataclass(kw_only=True, eq=False, repr=False)
class Paused(MachineError):
    """An operator has paused the machine: it processes nothing until it is resumed.

    Remedy: read the reason, and resume the machine with `durable-fsm repair --resume`.
    """

    since: str
    reason: str

    @property
    def what(self) -> str:
        return (
            f"an operator has paused the machine since {self.since}: {self.reason} It has not changed. Resume it by"
            """ 'repair' with {"resume": true}."""
        )


@dataclass(kw_only=True, eq=False, repr=False)
class FlowStuck(MachineError):
    """A flow waits for an event from outside, and a flow cannot receive one.

    Remedy: run the chart as a workflow, which has a key that events can be sent to: `@durable(workflow=True)`.
    """

    configuration: tuple[str, ...]

    @property
    def what(self) -> str:
        return (
            f"the flow waits in {quoted(self.configuration)} for an event from outside, and a flow cannot receive one."
            " Run the chart as a workflow."
        )


@dataclass(kw_only=True, eq=False, repr=False)
class NotRepairable(MachineError):
    """A repair asks for something that the machine does not have. It has not changed.

    Remedy: read the machine with `durable-fsm show`, and name an activity or a timer that it has.
    """

    problem: str
    known: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        return f"{self.problem} There is {quoted(self.known)}." if self.known else self.problem


@dataclass(kw_only=True, eq=False, repr=False)
class NotUndone(MachineError):
    """Deleting the machine would leave behind work that it has done. It was not deleted.

    Remedy: delete with `{"compensate": true}` to undo the work first, or with `{"abandon": true}` to leave it.
    """

    done: tuple[str, ...] = ()
    ending: tuple[str, ...] = ()
    problem: str = ""

    @property
    def what(self) -> str:
        facts = [self.problem] if self.problem else []
        if self.done:
            facts.append(f"{quoted(self.done)} {_are(self.done)} done and not undone.")
        if self.ending:
            facts.append(f"{quoted(self.ending)} {_have(self.ending)} not ended, and may still succeed.")
        remedy = 'Delete it with {"compensate": true} to undo that first, or with {"abandon": true} to keep it.'
        return " ".join([*facts, remedy])


def _are(ids: tuple[str, ...]) -> str:
    return "is" if len(ids) == 1 else "are"


def _have(ids: tuple[str, ...]) -> str:
    return "has" if len(ids) == 1 else "have"


@dataclass(kw_only=True, eq=False, repr=False)
class WaitTimedOut(MachineError):
    """The condition was not met in time. The machine continues; an event that came with it may have been processed.

    Remedy: wait again, or read the snapshot. The machine itself continues.
    """

    condition: str
    after: str

    @property
    def what(self) -> str:
        return f"{self.condition} was not met within {self.after}. The machine continues: wait again, or read its snapshot."


@dataclass(kw_only=True, eq=False, repr=False)
class WaitInVain(MachineError):
    """The condition can no longer be met: the machine has ended, has failed, or was deleted.

    Remedy: read the snapshot to learn how the machine ended.
    """

    condition: str
    status: str
    configuration: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        where = f" in {quoted(self.configuration)}" if self.configuration else ""
        return f"{self.condition} will not be met: the machine is {self.status}{where}."


@dataclass(kw_only=True, eq=False, repr=False)
class NotRunning(MachineError):
    """`cancel` found nothing that it may stop.

    Remedy: read the snapshot for the activities that are running, and name one of them.
    """

    activity: str | None
    running: tuple[str, ...]

    @property
    def what(self) -> str:
        wanted = "no exclusive activity" if self.activity is None else f"no activity '{self.activity}'"
        others = f' Running now: {quoted(self.running)}. Name one: {{"activity": id}}.' if self.running else ""
        return f"{wanted} is running.{others}"


@dataclass(kw_only=True, eq=False, repr=False)
class VersionError(MachineError):
    """The stored snapshot belongs to a version of the chart that this deployment does not serve. It stays as it is.

    Remedy: deploy the build of the stored version beside this one; or add a `migration(...)` from it.
    """

    stored: str
    served: tuple[str, ...]
    problem: str = ""

    @property
    def what(self) -> str:
        detail = f" {self.problem}" if self.problem else ""
        return (
            f"the snapshot was written by chart version '{self.stored}'; this deployment reads {quoted(self.served)}."
            f"{detail} Deploy version '{self.stored}' beside it, or add a migration."
        )


@dataclass(kw_only=True, eq=False, repr=False)
class MigrationError(MachineError):
    """A migration does not produce a valid machine of the chart. The snapshot stays as it is.

    Remedy: correct the migration and deploy again. The machine continues with the next event.
    """

    source: str
    to: str
    problem: str

    @property
    def what(self) -> str:
        if self.source == self.to:
            return (
                f"the changed chart of version '{self.to}' cannot begin what it adds: {self.problem} The snapshot was left"
                " as it is. Fix the chart and deploy again."
            )
        return (
            f"the migration from version '{self.source}' to '{self.to}' cannot be done: {self.problem}"
            " The snapshot has not changed. Fix the migration and deploy again."
        )


@dataclass(kw_only=True, eq=False, repr=False)
class SnapshotUnreadable(MachineError):
    """This build cannot read the stored snapshot. It stays as it is.

    Remedy: deploy the build that wrote it; or free the key by `delete` with `{"abandon": true}`.
    """

    problem: str

    @property
    def what(self) -> str:
        return (
            f"the stored snapshot cannot be read: {self.problem} It has not changed. Deploy the build that wrote it, or"
            " free the key with 'delete' and {\"abandon\": true}."
        )


@dataclass(kw_only=True, eq=False, repr=False)
class SecretMissing(MachineError):
    """A webhook cannot check its requests, so it refuses all of them.

    Remedy: set the environment variable where the service runs, and restart the service.
    """

    webhook: str
    variable: str

    @property
    def what(self) -> str:
        return (
            f"webhook '{self.webhook}' cannot check its requests: the environment has no {self.variable}."
            " Set it where the service runs, and restart it."
        )
