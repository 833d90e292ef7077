"""The declaration of an XState machine: its JSON configuration, and the Python functions for the names in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, cast

from durable_fsm.core.values import Json, Location
from durable_fsm.errors import DefinitionError, Problem
from durable_fsm.frontends.declare import Delay, Input
from durable_fsm.frontends.options import ChartOptions


@dataclass(frozen=True, eq=False)
class XStateConfig(ChartOptions):
    """A state machine from XState, version 5: the JSON that `createMachine` accepts.

        Payment = XStateConfig(
            "payment.json",
            data=PaymentData,
            guards={"isSmall": lambda data: data.amount < 100},
            actions={"note": note},
            actors={"debit": debit},
            delays={"approval": timedelta(hours=1)},
        )

    Functions request arguments by name: `data`, `payload` and its members, `event`, `effects`, `ids`, `result`,
    `error`, and `params` of `{"type": "note", "params": …}`.

    Args:
        config: the configuration as a dict, or the path of a JSON file.
        name: of the chart and its virtual object; the machine's `id`, if not given.
        data: the type of the data; a JSON object by default. A machine starts with the members of `context` and the
            data passed to `create`.
        guards, actions: functions by name.
        actors: the work behind each `src`: a function, `activity(...)`, a definition to run as a machine, or
            `machine(...)`.
        inputs: the input of an actor, by the `id` of its invocation (by default that of its state): fields of the
            data, or a plain function of the data, as `input=` of `activity`. A constant may be in the configuration.
        outputs: functions that compute the output of a final state, by state; `"*"` means every end of the machine. A
            constant may be in the configuration.
        delays: by name: a timedelta, or a function that computes a timedelta or an instant. Numbers in the
            configuration are milliseconds.
        events: types of payloads by event.
        private: events that outside callers cannot send.
        defers: events by state that are kept while it is active; `"*"` as the state means the whole chart.
        ignores: events by state that are dropped while no transition accepts them.

    The other options of `durable` are arguments, too.
    """

    config: Mapping[str, Any] | str | Path
    name: str = ""
    _: KW_ONLY
    data: Any = None
    guards: Mapping[str, Any] = field(default_factory=dict[str, Any])
    actions: Mapping[str, Any] = field(default_factory=dict[str, Any])
    actors: Mapping[str, Any] = field(default_factory=dict[str, Any])
    inputs: Mapping[str, Input] = field(default_factory=dict[str, Input])
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    delays: Mapping[str, Delay] = field(default_factory=dict[str, Delay])
    events: Mapping[str, Any] = field(default_factory=dict[str, Any])
    private: tuple[str, ...] = ()
    defers: Mapping[str, Iterable[str]] = field(default_factory=dict[str, "Iterable[str]"])
    ignores: Mapping[str, Iterable[str]] = field(default_factory=dict[str, "Iterable[str]"])
    location: Location | None = field(default=None, repr=False)

    # a configuration equals only itself: its chart is made once
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __post_init__(self) -> None:
        """Remember where it is written, for messages and diagrams; a path is relative to the author's file."""
        super().__post_init__()
        author = sys._getframe(2)  # pyright: ignore[reportPrivateUsage] - of the call: __post_init__, __init__, it
        place = Location(author.f_code.co_filename, author.f_lineno)
        if isinstance(self.config, str | Path):
            file = Path(place.file).parent / self.config
            object.__setattr__(self, "config", file)
            place = Location(str(file), 1)
        if self.location is None:
            object.__setattr__(self, "location", place)
        if not self.name:  # also others ask for it: a chart that runs this one, or sends to it
            object.__setattr__(self, "name", str(self.members().get("id") or "machine"))

    def members(self) -> dict[str, Json]:
        """The configuration.

        Raises:
            DefinitionError: the file is not a JSON object.
            OSError: the file cannot be read.
        """
        if not isinstance(self.config, str | Path):
            return dict(self.config)
        try:
            found = json.loads(Path(self.config).read_text("utf-8-sig"))
        except ValueError as error:
            problem = Problem(f"The configuration is not valid JSON: {error}.", "Correct it.", str(self.config))
            raise DefinitionError(chart=self.name or Path(self.config).stem, problems=(problem,)) from error
        if not isinstance(found, dict):
            problem = Problem("The configuration is not a JSON object.", "Export createMachine's.", str(self.config))
            raise DefinitionError(chart=self.name or Path(self.config).stem, problems=(problem,))
        return cast("dict[str, Json]", found)
