"""Errors that the operator of a machine can fix."""

from __future__ import annotations

from collections.abc import Iterable

from durable_fsm.errors.base import DurableFSMError, quoted


class MachineError(DurableFSMError):
    """The machine, or what is stored of it, is not in a condition to take the request."""


class NotStarted(MachineError):
    """No machine has this key."""

    def __init__(self, *, chart: str, remedy: str = "Start it with 'create'.", key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.remedy = remedy

    @property
    def what(self) -> str:
        return f"there is no such machine. {self.remedy}"


class AlreadyStarted(MachineError):
    """`create` met a machine that was created with other data. A machine is never reset."""

    def __init__(self, *, chart: str, configuration: Iterable[str], key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.configuration = tuple(configuration)

    @property
    def what(self) -> str:
        place = "state" if len(self.configuration) == 1 else "states"
        return (
            f"the machine exists, created with other data, and is in {place} {quoted(self.configuration)}."
            " Use another key, or 'delete' it first."
        )


class Finished(MachineError):
    """The machine has reached its end and takes no more events."""

    def __init__(self, *, chart: str, event: str, configuration: Iterable[str], key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.event = event
        self.configuration = tuple(configuration)

    @property
    def what(self) -> str:
        return (
            f"the machine has ended in {quoted(self.configuration)}; it takes no '{self.event}' any more."
            " Its snapshot can still be read; 'delete' frees the key."
        )


class Gone(MachineError):
    """The machine has ended, and nothing of it is left but that."""

    def __init__(self, *, chart: str, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)

    @property
    def what(self) -> str:
        return "the machine has ended, and nothing of it is kept. Use another key; 'delete' frees this one."


class FlowStuck(MachineError):
    """A flow has come to rest where only an event from outside would lead on, and nobody can send it one."""

    def __init__(self, *, chart: str, configuration: Iterable[str], key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.configuration = tuple(configuration)

    @property
    def what(self) -> str:
        return (
            f"the flow waits in {quoted(self.configuration)} for an event from outside, and nobody can send it one."
            " Run the chart as a workflow."
        )


class NotRepairable(MachineError):
    """A repair asks for something that the machine does not have. It has not moved."""

    def __init__(self, *, chart: str, problem: str, known: Iterable[str] = (), key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.problem = problem
        self.known = tuple(known)

    @property
    def what(self) -> str:
        return f"{self.problem} There is {quoted(self.known)}." if self.known else self.problem


class NotUndone(MachineError):
    """Deleting the machine would leave behind what it has done. It was not deleted."""

    def __init__(
        self,
        *,
        chart: str,
        done: Iterable[str] = (),
        ending: Iterable[str] = (),
        problem: str = "",
        key: str | None = None,
    ) -> None:
        super().__init__(chart=chart, key=key)
        self.done = tuple(done)
        self.ending = tuple(ending)
        self.problem = problem

    @property
    def what(self) -> str:
        facts = [self.problem] if self.problem else []
        if self.done:
            facts.append(f"{quoted(self.done)} {_are(self.done)} done and not undone.")
        if self.ending:
            facts.append(f"{quoted(self.ending)} {_are(self.ending)} not over, and may be done nonetheless.")
        remedy = 'Delete it with {"compensate": true} to undo that first, or with {"abandon": true} to leave it behind.'
        return " ".join([*facts, remedy])


def _are(ids: tuple[str, ...]) -> str:
    return "is" if len(ids) == 1 else "are"


class WaitTimedOut(MachineError):
    """The condition was not met in time. The machine goes on; an event that came with it may have been taken."""

    def __init__(self, *, chart: str, condition: str, after: str, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.condition = condition
        self.after = after

    @property
    def what(self) -> str:
        return (
            f"{self.condition} was not met within {self.after}. The machine goes on: wait again, or read its snapshot."
        )


class WaitInVain(MachineError):
    """The condition can no longer be met: the machine has ended, has failed, or was deleted."""

    def __init__(
        self, *, chart: str, condition: str, status: str, configuration: Iterable[str] = (), key: str | None = None
    ) -> None:
        super().__init__(chart=chart, key=key)
        self.condition = condition
        self.status = status
        self.configuration = tuple(configuration)

    @property
    def what(self) -> str:
        where = f" in {quoted(self.configuration)}" if self.configuration else ""
        return f"{self.condition} will not be met: the machine is {self.status}{where}."


class NotRunning(MachineError):
    """`cancel` found nothing that it may stop."""

    def __init__(self, *, chart: str, activity: str | None, running: Iterable[str], key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.activity = activity
        self.running = tuple(running)

    @property
    def what(self) -> str:
        wanted = "no exclusive activity" if self.activity is None else f"no activity '{self.activity}'"
        others = f' Running now: {quoted(self.running)}. Name one: {{"activity": id}}.' if self.running else ""
        return f"{wanted} is running.{others}"


class VersionError(MachineError):
    """The stored snapshot belongs to a version of the chart that this deployment does not serve. It stays as it is."""

    def __init__(self, *, chart: str, stored: str, served: Iterable[str], problem: str = "", key: str | None = None):
        super().__init__(chart=chart, key=key)
        self.stored = stored
        self.served = tuple(served)
        self.problem = problem

    @property
    def what(self) -> str:
        detail = f" {self.problem}" if self.problem else ""
        return (
            f"the snapshot was written by chart version '{self.stored}'; this deployment reads {quoted(self.served)}."
            f"{detail} Deploy version '{self.stored}' beside it, or add a migration."
        )


class MigrationError(MachineError):
    """A migration does not lead to a machine of the chart. The snapshot stays as it is."""

    def __init__(self, *, chart: str, source: str, to: str, problem: str, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.source = source
        self.to = to
        self.problem = problem

    @property
    def what(self) -> str:
        return (
            f"the migration from version '{self.source}' to '{self.to}' cannot be done: {self.problem}"
            " The snapshot was left as it is. Mend the migration and deploy again."
        )


class SnapshotUnreadable(MachineError):
    """What is stored under this key is not a snapshot this build can read. It stays as it is."""

    def __init__(self, *, chart: str, problem: str, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.problem = problem

    @property
    def what(self) -> str:
        return f"the stored snapshot cannot be read: {self.problem} It was left as it is."


class SecretMissing(MachineError):
    """Requests to a webhook cannot be checked, so none is taken."""

    def __init__(self, *, chart: str, webhook: str, variable: str, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.webhook = webhook
        self.variable = variable

    @property
    def what(self) -> str:
        return (
            f"webhook '{self.webhook}' cannot check its requests: the environment has no {self.variable}."
            " Set it where the service runs, and restart it."
        )
