"""Operators at the door of a machine: who has signed a request, and whether the machine is still where they saw it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from restate import RunOptions

from durable_fsm.core.operators import OPERATOR, SignedRequest, if_seq_in
from durable_fsm.errors import NotOperator
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.http.requests import BYTES
from durable_fsm.restate.observability.report import Invocation

INGRESS = "x-restate-ingress-path"
"""Restate's ingress adds this header; a call from a service of the same Restate does not have it."""

READING = frozenset({"snapshot", "history"})
"""Handlers that change nothing: their requests may be sent again."""


@dataclass(frozen=True, slots=True)
class SignatureGuard:
    """Judges the requests for one handler.

    Attributes:
        demands: whether requests from outside must be signed: the handler is for operators only.
        changes: whether the handler changes the machine. Then who signs has to say at which step it was seen.
    """

    chart: str
    handler: str
    secrets: tuple[str, ...]
    demands: bool = False
    changes: bool = True

    async def judge(self, ctx: Any, invocation: Invocation, headers: Mapping[str, str], body: bytes) -> None:
        """Note who has signed, and the step at which the machine must still be.

        Args:
            ctx: of any kind of handler.
            headers: those of the request.

        Raises:
            NotOperator: it is not signed although it has to be, or the signature is wrong.
            MalformedInput: the step is not a number.
        """
        invocation.if_seq = if_seq_in(headers, self.chart, self.handler)
        signature = headers.get(OPERATOR)
        if signature is not None:
            request = SignedRequest(self.chart, self.handler, ctx.key(), body, invocation.if_seq)
            # In Restate's journal: a later attempt, after hours of work perhaps, has another time and may have other secrets.
            verdict = await ctx.run_typed(
                "operator", lambda: self._verdict(request, signature), RunOptions(serde=BYTES)
            )
            name, problem = loads(verdict)
            if problem:
                raise NotOperator(chart=self.chart, handler=self.handler, problem=problem)
            if name:
                invocation.by = f"operator:{name}"
                invocation.must_say_seq = self.changes
                return
        if self.demands and INGRESS in headers:
            raise NotOperator(chart=self.chart, handler=self.handler, problem="it is not signed by an operator.")

    def _verdict(self, request: SignedRequest, signature: str) -> bytes:
        """The operator's name, and why the signature is refused; both are empty if the service has no secrets."""
        try:
            name = request.operator(signature, self.secrets, now=time.time()) if self.secrets else ""
        except NotOperator as error:
            return dumps(["", error.problem])
        return dumps([name, ""])
