"""Who may act in the console, and how every attack on it is answered."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest
from starlette.requests import Request

from durable_fsm.console.logins import FAILURES, MOST_NAMES, SESSION_SECONDS, ActingOptions, OperatorLogins
from durable_fsm.console.operators import Operator
from durable_fsm.console.site import site_of
from tests.console.kitchen import (
    BOOK,
    CARD,
    HOSTILE,
    ORDER,
    REPAIR,
    SECRET,
    Kitchen,
    order,
    stored,
)

# ── who ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_operator_logs_in_and_comes_to_the_page_that_was_asked_for(kitchen: Kitchen) -> None:
    asked = kitchen.ask("GET", ORDER)
    assert (asked.status_code, asked.headers["location"].startswith("/login?to=%2Fact%2Fsend")) == (303, True)

    entered = kitchen.log_in(to=ORDER)

    assert (entered.status_code, entered.headers["location"]) == (303, ORDER)
    cookie = entered.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("fsm-session=", "httponly", "samesite=strict", "path=/", "max-age=28800"))
    page = kitchen.ask("GET", ORDER)
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert ">ann <" in page.text


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\nb", "/\t/evil"]
)
def test_a_login_leads_to_no_other_site(kitchen: Kitchen, to: str) -> None:
    assert kitchen.log_in(to=to).headers["location"] == "/troubles"


def test_wrong_passwords_are_refused_and_soon_not_even_tried(kitchen: Kitchen) -> None:
    answers = [kitchen.log_in(password="guess").status_code for _ in range(FAILURES)]

    assert answers == [401] * FAILURES
    assert kitchen.log_in().status_code == 429
    assert kitchen.log_in("bob", "coffee at six").status_code == 303
    kitchen.now += 61
    assert kitchen.log_in().status_code == 303
    assert kitchen.log_in("nobody", "").status_code == 401


def test_passwords_that_are_guessed_at_the_same_time_are_counted_before_they_are_looked_at(kitchen: Kitchen) -> None:
    async def guessed() -> list[int]:
        transport = httpx.ASGITransport(site_of(kitchen.context))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            form, headers = {"name": "ann", "password": "guess"}, {"sec-fetch-site": "same-origin"}
            answers = [client.post("/login", data=form, headers=headers) for _ in range(2 * FAILURES)]
            return [answer.status_code for answer in await asyncio.gather(*answers)]

    assert sorted(asyncio.run(guessed())) == [401] * FAILURES + [429] * FAILURES


def test_names_that_nobody_has_do_not_make_room_for_guesses(kitchen: Kitchen) -> None:
    logins = kitchen.context.logins
    for number in range(MOST_NAMES + 1):
        assert logins.may_try(f"nobody {number}")

    assert [logins.may_try("ann") for _ in range(FAILURES + 1)] == [True] * FAILURES + [False]
    logins.succeeded("ann")
    assert logins.may_try("ann")


def test_elsewhere_the_cookie_is_bound_to_its_host_and_to_https(kitchen: Kitchen) -> None:
    answer = kitchen.ask("POST", "/login", {"name": "ann", "password": "tea at four"}, host_="fsm.example")

    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("__host-fsm-session=")
    assert "secure" in cookie
    assert "domain" not in cookie


def test_a_session_ends_after_eight_hours_and_by_logging_out(kitchen: Kitchen) -> None:
    kitchen.log_in()
    kitchen.now += SESSION_SECONDS + 1
    assert kitchen.ask("GET", ORDER).status_code == 303

    kitchen.log_in()
    csrf = kitchen.hidden(ORDER)["csrf"]
    key = dict(kitchen.cookies)["fsm-session"]
    assert kitchen.ask("POST", "/logout", {"csrf": csrf}).status_code == 303
    kitchen.cookies.set("fsm-session", key, domain="localhost.local")
    assert kitchen.ask("GET", ORDER).status_code == 303


def test_a_session_that_was_planted_before_the_login_is_worth_nothing(kitchen: Kitchen) -> None:
    kitchen.cookies.set("fsm-session", "planted", domain="localhost.local", path="/")
    kitchen.log_in()

    stranger = httpx.Cookies()
    stranger.set("fsm-session", "planted", domain="localhost.local", path="/")
    mine, kitchen.cookies = kitchen.cookies, stranger
    assert kitchen.ask("GET", ORDER).status_code == 303
    before = dict(mine)
    kitchen.cookies = mine
    kitchen.log_in()
    assert dict(kitchen.cookies)["fsm-session"] != before["fsm-session"]


def test_an_invitation_counts_once() -> None:
    kitchen = Kitchen({"t-1": stored()}, ActingOptions(SECRET, invitation="come in", asks_why=False))

    assert kitchen.ask("GET", "/enter?token=guess").status_code == 403
    assert kitchen.ask("GET", "/enter?token=come+in").status_code == 303
    assert kitchen.ask("GET", ORDER).status_code == 200
    assert order(kitchen, reason="").status_code == 303
    kitchen.cookies = httpx.Cookies()
    assert kitchen.ask("GET", "/enter?token=come+in").status_code == 403
    assert kitchen.ask("GET", ORDER).status_code == 401
    assert kitchen.ask("GET", "/login").status_code == 404


def test_a_proxy_names_the_operator() -> None:
    kitchen = Kitchen({"t-1": stored()}, ActingOptions(SECRET, BOOK, proxy_header="x-user"))
    assert kitchen.ask("GET", ORDER).status_code == 401
    assert kitchen.ask("GET", ORDER, x_user="mallory").status_code == 401
    page = kitchen.ask("GET", ORDER, x_user="bob").text
    csrf = re.findall(r'name="csrf" value="([^"]+)"', page)[-1]

    form = {"csrf": csrf, "if_seq": "3", "f.sugar": "1", "do": "send", "reason": "so"}
    assert kitchen.ask("POST", ORDER, form, x_user="ann").status_code == 403
    assert kitchen.ask("POST", ORDER, form, x_user="bob").status_code == 303
    assert kitchen.calls[0][0] == "bob"
    assert (
        Kitchen({"t-1": stored()}, ActingOptions(SECRET, proxy_header="x-user"))
        .ask("GET", ORDER, x_user="any")
        .status_code
        == 200
    )


def test_a_name_that_came_to_the_proxy_from_outside_is_not_believed() -> None:
    logins = OperatorLogins(ActingOptions(SECRET, BOOK, proxy_header="x-user"))

    def named(*names: bytes) -> Operator | None:
        return logins.operator_of(Request({"type": "http", "headers": [(b"x-user", name) for name in names]}))

    assert named(b"bob") == BOOK.named("bob")
    assert named(b"ann", b"bob") is named() is None


def test_a_reason_cannot_look_like_another_line_of_the_log(kitchen: Kitchen, caplog: pytest.LogCaptureFixture) -> None:
    kitchen.log_in()
    caplog.set_level("INFO", "durable_fsm.console")
    caplog.clear()  # another test may have set the level before

    assert order(kitchen, reason="so\n2030-01-01 bob: delete to Teapot/t-1\u2028").status_code == 303

    told = [record.getMessage() for record in caplog.records]
    assert told == ["ann: send order to Teapot/t-1 (so 2030-01-01 bob: delete to Teapot/t-1 )"]


def test_operators_may_only_do_what_their_roles_say_on_their_charts(kitchen: Kitchen) -> None:
    kitchen.log_in("bob", "coffee at six")
    assert order(kitchen).status_code == 303
    for path in (REPAIR, f"{REPAIR}&verb=delete", "/act/bulk?chart=Teapot"):
        assert kitchen.ask("GET", path).status_code == 403
    form = {**kitchen.hidden(ORDER), "verb": "pause", "reason": "so"}
    assert kitchen.ask("POST", REPAIR, form).status_code == 403
    kitchen.log_in("eve", "nothing at all")
    assert kitchen.ask("GET", ORDER).status_code == 403
    assert len(kitchen.calls) == 1


# ── attacks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
    ],
    ids=str,
)
def test_a_form_of_another_site_is_refused(kitchen: Kitchen, headers: dict[str, str]) -> None:
    kitchen.log_in()
    form = {**kitchen.hidden(ORDER), "f.sugar": "2", "do": "send", "reason": "so"}

    assert kitchen.ask("POST", ORDER, form, **headers).status_code == 403
    assert kitchen.calls == []


@pytest.mark.parametrize("csrf", [None, "", "guess", "é"])
@pytest.mark.parametrize("path", [ORDER, REPAIR, "/act/bulk?chart=Teapot&event=order", "/logout"])
def test_a_form_without_the_token_of_the_session_is_refused(kitchen: Kitchen, path: str, csrf: str | None) -> None:
    kitchen.log_in()
    form = {"if_seq": "3", "f.sugar": "2", "do": "send", "verb": "pause", "reason": "so"}

    answer = kitchen.ask("POST", path, form if csrf is None else {**form, "csrf": csrf})

    assert (answer.status_code, kitchen.calls) == (403, [])


def test_the_token_of_one_session_is_worth_nothing_in_another(kitchen: Kitchen) -> None:
    kitchen.log_in("bob", "coffee at six")
    form = {**kitchen.hidden(ORDER), "f.sugar": "2", "do": "send", "reason": "so"}
    kitchen.log_in()

    assert kitchen.ask("POST", ORDER, form).status_code == 403


def test_nobody_acts_without_a_login_or_by_a_link(kitchen: Kitchen) -> None:
    assert kitchen.ask("POST", ORDER, {"csrf": "", "do": "send"}).status_code == 401
    kitchen.log_in()
    fields = kitchen.hidden(ORDER)

    assert kitchen.ask("GET", f"{ORDER}&do=send&reason=so&csrf={fields['csrf']}&if_seq=3").status_code == 200
    assert kitchen.ask("GET", "/logout").status_code == 405
    for kind in ("text/plain", "application/json", "multipart/form-data; boundary=x"):
        assert kitchen.ask("POST", ORDER, None, content_type=kind).status_code == 415
    assert kitchen.calls == []


def test_foreign_text_stays_text(kitchen: Kitchen) -> None:
    kitchen.log_in()
    hostile = httpx.QueryParams(chart="Teapot", key=HOSTILE)
    pages = [
        kitchen.ask("GET", f"/act/repair?{hostile}"),
        kitchen.ask("GET", f"/act/send?{hostile}&event=order"),
        kitchen.ask("GET", f"/act/send?{httpx.QueryParams(chart='Teapot', key='t-1', event=HOSTILE)}"),
        kitchen.ask("GET", f"/act/send?{httpx.QueryParams(chart=HOSTILE, key=HOSTILE, event=HOSTILE)}"),
        kitchen.ask("GET", f"/act/run?{httpx.QueryParams(id=HOSTILE)}"),
        order(kitchen, **{"f.kind": HOSTILE, "f.sugar": HOSTILE, "reason": HOSTILE}),
        kitchen.ask("POST", "/login", {"name": HOSTILE, "password": HOSTILE, "to": HOSTILE}),
    ]

    assert [page.status_code for page in pages] == [200, 200, 404, 404, 404, 422, 401]
    assert not [page.text for page in pages if "<script>alert" in page.text or CARD in page.text]
    assert all(page.headers["x-frame-options"] == "DENY" for page in pages)
