"""Acting on machines: the operator who is logged in, and the routes below `/act`. This build has none yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.routing import BaseRoute

from durable_fsm.console.operators import Operator

if TYPE_CHECKING:
    from durable_fsm.console.desk import Desk


def routes(desk: Desk) -> list[BaseRoute]:
    """The routes for acting, and those to log in and out."""
    return []


def operator_of(desk: Desk, request: Request) -> Operator | None:
    """The operator who has sent a request, if one is logged in."""
    return None
