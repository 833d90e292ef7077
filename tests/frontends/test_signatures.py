"""Signatures of requests, compared with what the providers themselves compute and accept."""

from __future__ import annotations

import hashlib
import hmac
import time

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from durable_fsm import HmacSha256, Request, SlackSignature, StripeSignature

SECRET = "whsec_of-the-test"
BODY = '{\n  "id": "evt_1",\n  "name": "Zoë 𝄞"\n}'
STRIPE = StripeSignature(secret="STRIPE_SECRET")
GITHUB = HmacSha256(header="X-Hub-Signature-256", prefix="sha256=", secret="GITHUB_SECRET")


def signed_at(header: str, body: str = BODY, secret: str = SECRET) -> float | None:
    """The time of a signature that our scheme accepts, whatever its age; None if it refuses."""
    request = Request("stripe", {"stripe-signature": header}, body.encode())
    try:
        return STRIPE.signed_at(request, secret.encode())
    except ValueError:
        return None


def accepted_by_stripe(header: str, body: str = BODY, secret: str = SECRET) -> bool:
    try:
        return stripe.WebhookSignature.verify_header(body, header, secret)
    except stripe.SignatureVerificationError:
        return False


def v1(at: int, body: str = BODY, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()


@given(body=st.text(), secret=st.text(min_size=1).filter(str.strip), at=st.integers(0, 10**12))
def test_what_stripe_signs_is_accepted(body: str, secret: str, at: int) -> None:
    header = stripe.WebhookSignature.generate_signature_header(body, secret, timestamp=at)

    assert signed_at(header, body, secret) == at


@given(st.data())
def test_a_header_is_accepted_if_stripe_accepts_it(data: st.DataObject) -> None:
    """Headers put together from parts that are right and parts that are wrong, in any order."""
    at = data.draw(st.integers(0, 10**10))
    parts = [f"v1={v1(at)}", f"v1={v1(at + 1)}", f"v0={v1(at)}", "v1=", "x=y", f"v1={v1(at).upper()}"]
    some = data.draw(st.lists(st.sampled_from(parts), max_size=4))
    times = data.draw(st.sampled_from([[f"t={at}"], [], ["t="], ["t=now"]]))
    header = ",".join(data.draw(st.permutations([*times, *some])))

    assert (signed_at(header) is not None) == accepted_by_stripe(header)


@given(change=st.integers(0, len(BODY) - 1), by=st.characters(codec="utf-8"))
def test_a_changed_body_is_refused_as_stripe_refuses_it(change: int, by: str) -> None:
    body = f"{BODY[:change]}{by}{BODY[change + 1 :]}"
    header = f"t=1700000000,v1={v1(1700000000)}"

    assert (signed_at(header, body) is not None) == accepted_by_stripe(header, body) == (body == BODY)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("t=1,t=2,v1={}", "two times: which of them was signed is not clear"),
        ("t=+1,v1={}", "Python's int() reads it, and no provider writes it"),
        ("t=1_0,v1={}", "the same"),
        ("t=1=2,v1={}", "the same"),
    ],
    ids=["two times", "sign", "underscore", "second equals sign"],
)
def test_we_are_stricter_than_stripe(header: str, why: str) -> None:
    at = 10 if "_" in header else 1
    assert accepted_by_stripe(header.format(v1(at))), why

    assert signed_at(header.format(v1(at))) is None, why


@pytest.mark.parametrize("header", ["t=1, v1={}", "t=1,v1={},v1"], ids=["space", "part without a value"])
def test_a_right_signature_counts_although_stripe_cannot_read_the_rest_of_the_header(header: str) -> None:
    assert not accepted_by_stripe(header.format(v1(1)))

    assert signed_at(header.format(v1(1))) == 1


def test_a_body_that_is_not_utf8_is_verified_although_stripe_cannot_read_it() -> None:
    body = b"\xff\xfe"
    signature = hmac.new(SECRET.encode(), b"1." + body, hashlib.sha256).hexdigest()
    request = Request("stripe", {"stripe-signature": f"t=1,v1={signature}"}, body)

    with pytest.raises(UnicodeDecodeError):
        stripe.WebhookSignature.verify_header(body, f"t=1,v1={signature}", SECRET)
    assert STRIPE.signed_at(request, SECRET.encode()) == 1


def test_a_signature_is_as_old_as_stripe_allows_by_default() -> None:
    assert STRIPE.tolerance.total_seconds() == stripe.Webhook.DEFAULT_TOLERANCE
    old = int(time.time()) - stripe.Webhook.DEFAULT_TOLERANCE - 60
    with pytest.raises(stripe.SignatureVerificationError, match="tolerance"):
        stripe.Webhook.construct_event(BODY, f"t={old},v1={v1(old)}", SECRET)

    assert signed_at(f"t={old},v1={v1(old)}") == old  # the host compares it with its clock, which is journaled


def test_githubs_own_example_is_accepted() -> None:
    """The values that GitHub's documentation gives to test a verification with."""
    secret, body = b"It's a Secret to Everybody", b"Hello, World!"
    signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

    accepted = Request("github", {"x-hub-signature-256": f"sha256={signature}"}, body)
    older = Request("github", {"x-hub-signature": f"sha1={signature[:40]}"}, body)

    assert GITHUB.signed_at(accepted, secret) is None
    with pytest.raises(ValueError, match="is missing"):
        GITHUB.signed_at(older, secret)
    with pytest.raises(ValueError, match="is wrong"):
        GITHUB.signed_at(Request("github", accepted.headers, body + b"\n"), secret)


# ── Slack ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

SLACK_SECRET = b"8f742231b10e8888abcd99yyyzzz85a5"
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SLACK_HEADERS = {
    "x-slack-request-timestamp": "1531420618",
    "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
}


def slack(headers: dict[str, str], body: bytes = SLACK_BODY) -> float:
    return SlackSignature(secret="SLACK").signed_at(Request("slack", headers, body), SLACK_SECRET)


def test_the_example_of_slack_is_accepted() -> None:
    assert slack(SLACK_HEADERS) == 1531420618


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"x-slack-signature": "v0=" + "0" * 64}, "is wrong"),
        ({"x-slack-request-timestamp": "1531420619"}, "is wrong"),
        ({"x-slack-request-timestamp": "+1531420618"}, "the headers are not"),
        ({"x-slack-signature": SLACK_HEADERS["x-slack-signature"].replace("v0", "v1")}, "the headers are not"),
    ],
    ids=["signature", "other time", "no time", "version"],
)
def test_another_signature_than_that_of_slack_is_refused(change: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        slack({**SLACK_HEADERS, **change})


def test_a_changed_body_and_a_missing_header_are_refused() -> None:
    with pytest.raises(ValueError, match="is wrong"):
        slack(SLACK_HEADERS, SLACK_BODY + b" ")
    with pytest.raises(ValueError, match="'X-Slack-Signature' is missing"):
        slack({"x-slack-request-timestamp": "1531420618"})
