"""All cases in one application. The world outside is the effect log of the test."""

from __future__ import annotations

import durable_fsm
from durable_fsm.testing import effect
from tests.acceptance.xstate.all_pairs import PAIRS


def outside(what: str) -> None:
    effect(what, what)


charts = [definition for pair in PAIRS.values() for definition in (pair.from_json, pair.by_hand)]
app = durable_fsm.app(*charts, services={"outside": outside})
