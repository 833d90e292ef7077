"""The console: live pages about every machine of a Restate server, also while no service runs.

A request is answered in four steps, each a module:

    reading     ask the server, for texts and charts
    facts       decode them
    redaction   remove what the chart redacts: nothing reaches a page around it
    *_page      values in, HTML out

Beside them `admin.past` finds the past of a machine in its history, `describing` has the words, `pictures` highlights
states in diagrams, `live` watches for all viewers at once, and `request_guard` refuses other sites.

Operators act by `acting` and `bulk`: `logins` knows who they are, `forms` asks them for payloads, and `previews` says what
would happen.
"""

from __future__ import annotations

from durable_fsm.console.logins import ActingOptions
from durable_fsm.console.operators import Operator, OperatorBook
from durable_fsm.console.site import app

__all__ = ["ActingOptions", "Operator", "OperatorBook", "app"]
