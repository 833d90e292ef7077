"""The console: live pages about every machine of a Restate server, also while no service runs.

A request is answered in four steps, each a module of its own:

    reading   ask the server, for texts and charts
    facts     decode them
    curtain   remove what the chart redacts: nothing reaches a page around it
    *_page    values in, HTML out

Beside them `moments` works out the past of a machine from its history, `telling` has the words, `pictures` lights up
diagrams, `live` watches for all viewers at once, and `defence` keeps other sites out.

Operators act by `acting` and `bulk`: the `doorkeeper` knows who they are, `forms` asks them for payloads, and `previews`
says what would happen.
"""

from __future__ import annotations

from durable_fsm.console.doorkeeper import ActingOptions
from durable_fsm.console.operators import Operator, OperatorBook
from durable_fsm.console.site import app

__all__ = ["ActingOptions", "Operator", "OperatorBook", "app"]
