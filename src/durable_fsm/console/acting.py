"""Acting on machines: the routes below `/act`, and those to log in and out.

Every change takes the same way: the request comes from our own page (`request_guard`), from an operator who is logged in
(`logins`) and may do it, with the token of a form and a reason; it is signed, says at which step the operator saw the
machine, and is logged with the operator's name.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from durable_fsm.client import Client
from durable_fsm.console.describing import Describer
from durable_fsm.console.facts import MachineFacts
from durable_fsm.console.forms import FormField, fields_of, filled
from durable_fsm.console.logins import ActingOptions
from durable_fsm.console.operators import Operator
from durable_fsm.console.previews import Preview, preview_of
from durable_fsm.console.reading import KnownChart
from durable_fsm.console.redaction import Redactor
from durable_fsm.console.rendering import render, without_addresses
from durable_fsm.core.chart import ROOT, Chart
from durable_fsm.core.values import Json
from durable_fsm.errors import CallError, DurableFSMError, Moved, UnexpectedAnswer, http_status
from durable_fsm.restate.stored.snapshot import StoredRecord

if TYPE_CHECKING:
    from durable_fsm.console.context import ConsoleContext

log = logging.getLogger("durable_fsm.console")

MOST_BODY = 2 * 1024 * 1024

PASSWORDS_AT_ONCE = 2
"""Passwords that are looked at together: each needs 16 MiB, and the threads in which all pages are read."""

VERBS = ("retry", "skip", "resend", "move", "timer", "migrate", "pause", "resume", "cancel", "delete")
"""The kinds of repair, in the order of the form; the last needs a role of its own."""

Handler_ = Callable[[Request], Awaitable[Response]]
Given = Mapping[str, str]


@dataclass(frozen=True)
class ActedMachine:
    """The machine that an operator acts on, as it is now."""

    known: KnownChart | None
    facts: MachineFacts
    stored: StoredRecord
    redactor: Redactor
    describer: Describer

    @property
    def chart(self) -> Chart | None:
        return self.describer.chart

    @property
    def leaves(self) -> tuple[str, ...]:
        return tuple(self.stored.configuration)


class Acting:
    """The routes of one console for acting."""

    def __init__(self, context: ConsoleContext, options: ActingOptions) -> None:
        self.context = context
        self.options = options
        self.at_once = asyncio.Semaphore(PASSWORDS_AT_ONCE)

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/login", self.page(self.login), methods=["GET", "POST"]),
            Route("/enter", self.page(self.enter)),
            Route("/logout", self.page(self.logout), methods=["POST"]),
            Route("/act/send", self.page(self.send), methods=["GET", "POST"]),
            Route("/act/create", self.page(self.create), methods=["GET", "POST"]),
            Route("/act/repair", self.page(self.repair), methods=["GET", "POST"]),
        ]

    def page(self, handler: Handler_) -> Handler_:
        """A page for operators: it knows who they are, and no browser keeps it."""

        async def answer(request: Request) -> Response:
            introduce(self.context, request)
            response = await handler(request)
            response.headers["cache-control"] = "no-store"
            return response

        return answer

    # ── coming and going ──────────────────────────────────────────────────────────────────────────────────────────

    async def login(self, request: Request) -> Response:
        logins = self.context.logins
        if not logins.has_login:
            raise HTTPException(404, "Operators do not log in here.")
        problem, name, status = "", "", 200
        if request.method == "POST":
            given = await form_of(request)
            name = given.get("name", "").strip()[:100]
            if not logins.may_try(name):
                problem, status = "There were too many wrong passwords. Wait a minute.", 429
            else:
                password = given.get("password", "")
                async with self.at_once:
                    operator = await run_in_threadpool(logins.admitted, name, password)
                log.info("login of %r %s", name, "refused" if operator is None else "accepted")
                if operator is not None:
                    logins.succeeded(name)
                    to = self.local(given.get("to", "")) or f"{self.context.root(request)}/troubles"
                    response = RedirectResponse(to, 303)
                    logins.begin(request, response, operator)
                    return response
                problem, status = "This name and this password do not belong together.", 401
        frame = self.context.frame(request)
        to = self.local(request.query_params.get("to", ""))
        return HTMLResponse(render("login.html", frame, here="", problem=problem, name=name, to=to), status)

    def local(self, address: str) -> str:
        """An address of this console's own; empty if it leads elsewhere."""
        is_path = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
        return address if is_path and "\\" not in address else ""

    async def enter(self, request: Request) -> Response:
        """Come in by the invitation; it counts once."""
        operator = self.context.logins.invited(request.query_params.get("token", ""))
        if operator is None:
            raise HTTPException(
                403, "This link was used already, or is another run's. Start durable-fsm dev again for a new one."
            )
        response = RedirectResponse(f"{self.context.root(request)}/charts", 303)
        self.context.logins.begin(request, response, operator)
        return response

    async def logout(self, request: Request) -> Response:
        self.checked(request, await form_of(request))
        response = RedirectResponse(f"{self.context.root(request)}/troubles", 303)
        self.context.logins.end(request, response)
        return response

    # ── what every change has to have ─────────────────────────────────────────────────────────────────────────────

    def admitted(self, request: Request, role: str, chart: str) -> Operator:
        """The operator of a request, who may do this.

        Raises:
            HTTPException: 401 or 403.
        """
        operator: Operator | None = request.state.operator
        if operator is None:
            raise HTTPException(401, "Log in first.")
        if not operator.may(role, chart):
            raise HTTPException(403, f"{operator.name} may not do that: it needs the role '{role}' for {chart}.")
        return operator

    def checked(self, request: Request, given: Given) -> None:
        """Refuse a form that no page of this session has made.

        Raises:
            HTTPException: 403.
        """
        wanted: str = request.state.csrf
        if not wanted or not hmac.compare_digest(wanted.encode(), given.get("csrf", "").encode()):
            raise HTTPException(403, "This form is not of your session, or too old. Reload the page, and try again.")

    def client(self, operator: Operator) -> Client:
        """A client whose calls this operator signs."""
        return self.context.client().as_operator(operator.name, self.options.secret)

    # ── one machine ───────────────────────────────────────────────────────────────────────────────────────────────

    async def machine(self, chart: str, key: str) -> ActedMachine:
        """A machine as it is now.

        Raises:
            HTTPException: there is none, or it cannot be read: 404.
        """
        reader = self.context.reader

        def read() -> tuple[KnownChart | None, MachineFacts | None]:
            return reader.chart(chart), MachineFacts.of(chart, key, reader.texts(chart, [key]).get(key, {}))

        known, facts = await run_in_threadpool(read)
        if facts is None or facts.stored is None:
            raise HTTPException(404, f"There is no machine {chart}/{key}, or it cannot be read.")
        redactor = Redactor(known, facts, hide_data=self.context.options.hide_data)
        own = None if known is None else known.of(facts.stored.version) or known.chart
        return ActedMachine(known, facts, facts.stored, redactor, Describer(own))

    def code(self, known: KnownChart | None) -> Chart | None:
        """The chart with its code, if it is the one that is deployed: another build may do something else."""
        if known is None or known.chart is None:
            return None
        own = self.options.charts.get(known.name)
        return own if own is not None and own.digest == known.chart.digest else None

    def preview(self, found: ActedMachine, event: str, payload: Json) -> Preview:
        return preview_of(
            self.code(found.known),
            found.describer,
            found.stored,
            event,
            payload,
            found.redactor,
            datetime.now(UTC),
            paused=found.stored.paused is not None,
        )

    async def send(self, request: Request) -> Response:
        """The form of an event: preview it, then send it."""
        query = request.query_params
        chart, key, event = query.get("chart", ""), query.get("key", ""), query.get("event", "")
        operator = self.admitted(request, "send", chart)
        given = await form_of(request) if request.method == "POST" else {}
        if given:
            self.checked(request, given)
        found = await self.machine(chart, key)
        fields = form_fields(found.chart, event)
        form = filled(fields, given) if given else None
        values: dict[str, Any] = {"found": found, "event": event, "fields": form.fields if form else fields}
        values |= {
            "reason_given": given.get("reason", ""),
            "seq": found.stored.seq,
            "once": given.get("once") or uuid4().hex,
        }
        problem, status = "", 200
        if form is not None and form.problem:
            problem, status = form.problem, 422
        elif form is not None and given.get("do") == "send":
            problem, status = self.reason_missing(given), 422
            if not problem:
                told = await self.sent(operator, chart, key, event, form.payload, given)
                if told is None:
                    return self.to_machine(request, chart, key)
                problem, status = told
                found = await self.machine(chart, key)
                values |= {"found": found, "seq": found.stored.seq, "once": uuid4().hex}
        preview = None
        if form is None or not form.problem:
            payload = form.payload if form else filled(fields, _defaults(fields)).payload
            if form is not None or not any(field.required for field in fields):
                preview = await run_in_threadpool(self.preview, found, event, payload)
        values |= {"preview": preview, "problem": problem, "moved": status == 409, "asks_why": self.options.asks_why}
        return HTMLResponse(render("act_send.html", self.context.frame(request), here="charts", **values), status)

    async def create(self, request: Request) -> Response:
        """The form of a machine that is not there yet: its data."""
        query = request.query_params
        chart, key = query.get("chart", ""), query.get("key", "")
        operator = self.admitted(request, "send", chart)
        given = await form_of(request) if request.method == "POST" else {}
        if given:
            self.checked(request, given)
        known = await run_in_threadpool(self.context.reader.chart, chart)
        if known is None or known.chart is None or not key:
            raise HTTPException(404, f"The chart '{chart}' is not known.")
        fields = fields_of(known.chart.data.schema())
        form = filled(fields, given) if given else None
        problem, status = "" if form is None else form.problem or self.reason_missing(given), 200
        if form is not None and not problem:
            machine = self.client(operator).machine(chart, key).if_seq(0)
            told = await self.done(operator, chart, key, "create", given, lambda: machine.create(form.payload))
            if told is None:
                return self.to_machine(request, chart, key)
            problem, status = told
        values: dict[str, Any] = {"chart": chart, "key": key, "fields": form.fields if form else fields}
        values |= {"problem": problem, "reason_given": given.get("reason", ""), "asks_why": self.options.asks_why}
        status = 422 if problem and status == 200 else status
        return HTMLResponse(render("act_create.html", self.context.frame(request), here="charts", **values), status)

    def reason_missing(self, given: Given) -> str:
        if self.options.asks_why and not given.get("reason", "").strip():
            return "Give a reason: it goes to the log, with your name."
        return ""

    async def sent(
        self, operator: Operator, chart: str, key: str, event: str, payload: Json, given: Given
    ) -> tuple[str, int] | None:
        """Send an event; return the problem and its status, or None."""
        machine = self.client(operator).machine(chart, key).if_seq(_seq(given))
        once = f"console/{given.get('once', '')[:64]}"
        return await self.done(
            operator, chart, key, f"send {event}", given, lambda: machine.send(event, payload, idempotency_key=once)
        )

    async def done(
        self,
        operator: Operator,
        chart: str,
        key: str,
        what: str,
        given: Given,
        act: Callable[[], Awaitable[object]],
    ) -> tuple[str, int] | None:
        """Act and log it; return the problem and its status, or None."""
        facts = {"operator": operator.name, "chart": chart, "key": key, "what": what, "reason": given.get("reason", "")}
        facts = {name: one_line(text) for name, text in facts.items()}
        try:
            await act()
        except DurableFSMError as error:
            status = 409 if isinstance(error, Moved) else http_status(error)
            log.warning("%(operator)s: %(what)s to %(chart)s/%(key)s was refused", facts, extra=facts)
            return refusal_of(error), status if 400 <= status < 600 else 500
        log.info("%(operator)s: %(what)s to %(chart)s/%(key)s (%(reason)s)", facts, extra=facts)
        return None

    def to_machine(self, request: Request, chart: str, key: str) -> Response:
        url = self.context.frame(request).url(f"/chart/{chart}/machine", key=key)
        return RedirectResponse(url, 303)

    # ── repairs ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def repair(self, request: Request) -> Response:
        """The form of a repair: one verb, and a reason."""
        query = request.query_params
        chart, key = query.get("chart", ""), query.get("key", "")
        given = await form_of(request) if request.method == "POST" else {}
        verb = given.get("verb", query.get("verb", ""))
        operator = self.admitted(request, "delete" if verb == "delete" else "repair", chart)
        if given:
            self.checked(request, given)
        found = await self.machine(chart, key)
        problem, status = "", 200
        if given:
            if not given.get("reason", "").strip():
                problem, status = "Give a reason: it is kept in the machine's history, with your name.", 422
            elif verb not in VERBS:
                problem, status = "Choose what to do.", 422
            else:
                told = await self.repaired(operator, chart, key, verb, given)
                if told is None:
                    return self.to_machine(request, chart, key)
                problem, status = told
                found = await self.machine(chart, key)
        choices = choices_of(found, operator)
        chosen = verb if verb in choices else next(iter(choices), "")
        about = given.get(f"about.{chosen}", query.get("about", ""))
        values: dict[str, Any] = {"found": found, "seq": found.stored.seq, "choices": choices, "verb": chosen}
        values |= {"about": about, "given": given, "problem": problem, "moved": status == 409}
        return HTMLResponse(render("act_repair.html", self.context.frame(request), here="charts", **values), status)

    async def repaired(
        self, operator: Operator, chart: str, key: str, verb: str, given: Given
    ) -> tuple[str, int] | None:
        """Do a repair; return the problem and its status, or None."""
        machine = self.client(operator).machine(chart, key).if_seq(_seq(given))
        about, reason = given.get(f"about.{verb}", ""), given.get("reason", "").strip()
        wanted: dict[str, Any] = {verb: True}
        if verb in ("retry", "timer"):
            wanted = {verb: about}
        elif verb == "move":
            wanted = {verb: about.split()}
        elif verb == "skip":
            field = FormField("payload", "Result", "json")
            result = filled((field,), {"payload": given.get("result", "")})
            if result.problem:
                return result.problem, 422
            wanted = {verb: about, "result": result.payload}

        async def act() -> object:
            if verb == "delete":
                return await machine.delete(compensate=about == "compensate", abandon=about == "abandon")
            if verb == "cancel":
                return await machine.cancel(about or None)
            return await machine.repair(reason=reason, **wanted)

        return await self.done(operator, chart, key, f"{verb} {about}".strip(), given, act)


def choices_of(found: ActedMachine, operator: Operator) -> dict[str, tuple[str, ...]]:
    """The repairs that a machine allows now, each with the things that it can be about."""
    stored, chart = found.stored, found.chart
    activities = tuple(dict.fromkeys(one.id for one in stored.activities))
    leaves = (
        ()
        if chart is None
        else tuple(
            id for id, state in chart.states.items() if id != ROOT and not state.children and not state.kind.is_history
        )
    )
    choices: dict[str, tuple[str, ...]] = {}
    if activities:
        choices |= {"retry": activities, "skip": activities, "cancel": activities}
    if found.facts.parked:
        choices["resend"] = ()
    if leaves:
        choices["move"] = leaves
    if timers := tuple(dict.fromkeys(one.id or one.event for one in stored.timers if one.activity is None)):
        choices["timer"] = timers
    if found.known is not None and found.known.version not in ("", stored.version):
        choices["migrate"] = ()
    choices["resume" if stored.paused is not None else "pause"] = ()
    if operator.may("delete", found.facts.chart):
        choices["delete"] = ("", "compensate", "abandon")
    may_repair = operator.may("repair", found.facts.chart)
    return {verb: choices[verb] for verb in VERBS if verb in choices and (may_repair or verb == "delete")}


def form_fields(chart: Chart | None, event: str) -> tuple[FormField, ...]:
    """The fields for the payload of an event.

    Raises:
        HTTPException: the chart has no such event for senders outside: 404.
    """
    declared = None if chart is None else chart.events.get(event)
    if chart is not None and (declared is None or not declared.public):
        raise HTTPException(404, f"{chart.name} has no event '{event}' that you could send.")
    payload = None if declared is None else declared.payload
    return fields_of(None if payload is None else payload.schema())


def _defaults(fields: tuple[FormField, ...]) -> dict[str, str]:
    return {one.input: ("on" if one.kind == "tick" and one.value == "true" else one.value) for one in fields}


def _seq(given: Given) -> int:
    text = given.get("if_seq", "")
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise HTTPException(422, "The form does not say at which step the machine was seen.")
    return int(text)


def refusal_of(error: DurableFSMError) -> str:
    """An error for an operator, without addresses."""
    if isinstance(error, UnexpectedAnswer) and "not public" in error.text:
        return (
            "The service lets no operator in: it has no DURABLE_FSM_OPERATOR_SECRETS, or was registered before it had."
        )
    text = without_addresses(str(error))
    return text if not isinstance(error, CallError) else f"{text} It may have been done: look before you try again."


def one_line(text: str) -> str:
    """A text that cannot look like another line of the log."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form.

    Raises:
        HTTPException: it is something else, or too long.
    """
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise HTTPException(415, "Expected a form.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            raise HTTPException(413, "This form is too long.")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=500)
    except ValueError as error:
        raise HTTPException(400, "This form cannot be read.") from error
    found: dict[str, str] = {}
    for name, value in pairs:
        found[name] = f"{found[name]} {value}" if name == "about.move" and name in found else value
    return found


def introduce(context: ConsoleContext, request: Request) -> None:
    """Note on a request which operator has sent it."""
    request.state.operator = context.logins.operator_of(request)
    request.state.acting = context.logins.has_login
    request.state.csrf = context.logins.csrf_of(request)
