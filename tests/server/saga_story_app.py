"""The trip of `sagas_app.py` under a name of its own, served by a process that is there to die."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import durable_fsm
from durable_fsm import durable

if TYPE_CHECKING:
    from tests.server.sagas_app import Booking
else:
    import sys

    sys.path.insert(0, str(Path(__file__).parent))
    from sagas_app import Booking


@durable(name="Voyage")
class Voyage(Booking):
    """A trip is booked as a whole, or not at all."""


saga_story_app = durable_fsm.app(Voyage)
