"""A signature covers all of a request, and is valid for a while."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from durable_fsm.core.operators import IF_SEQ, LONGEST_SECONDS, OPERATOR, SignedRequest, if_seq_in, secrets_in
from durable_fsm.errors import MalformedInput, NotOperator

SECRET, OTHER = "a secret of sixteen", "another secret of sixteen"
REQUEST = SignedRequest("Order", "repair", "o-17", b'{"retry":"charging"}', 7)
NOW = 1_000_000


def header(request: SignedRequest = REQUEST, name: str = "ann.smith@ä", until: int = NOW + 60) -> str:
    return request.signed(name, SECRET, until=until)[OPERATOR]


def test_the_operator_is_known_by_any_of_the_secrets() -> None:
    assert REQUEST.operator(header(), (OTHER, SECRET), now=NOW) == "ann.smith@ä"
    assert REQUEST.signed("ann", SECRET, until=5)[IF_SEQ] == "7"
    assert IF_SEQ not in replace(REQUEST, if_seq=None).signed("ann", SECRET, until=5)


@pytest.mark.parametrize(
    "changed",
    [
        {"chart": "Parcel"},
        {"handler": "delete"},
        {"key": "o-18"},
        {"body": b"{}"},
        {"if_seq": 8},
        {"if_seq": None},
        {"chart": "Order\nrepair"},
    ],
    ids=str,
)
def test_a_signature_for_another_request_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(NotOperator, match="its signature is wrong"):
        replace(REQUEST, **changed).operator(header(), (SECRET,), now=NOW)


@pytest.mark.parametrize("text", ["", "ann", "ann.5", ".5.abc", "ann.soon.abc", "ann.٣.abc", "ann.-5.abc"])
def test_a_header_that_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(NotOperator, match="cannot be read"):
        REQUEST.operator(text, (SECRET,), now=NOW)


def test_another_name_another_secret_and_no_secret_are_refused() -> None:
    for text, secrets in (
        (header().replace("ann", "bob"), (SECRET,)),
        (header(), (OTHER,)),
        (header(), ()),
        (f"{header()}é", (SECRET,)),
    ):
        with pytest.raises(NotOperator, match="its signature is wrong"):
            REQUEST.operator(text, secrets, now=NOW)


@pytest.mark.parametrize("until", [NOW - 1, NOW + LONGEST_SECONDS + 1, 10**15])
def test_a_signature_that_is_over_or_valid_for_too_long_is_refused(until: int) -> None:
    with pytest.raises(NotOperator, match="not valid any more"):
        REQUEST.operator(header(until=until), (SECRET,), now=NOW)


def test_a_name_has_an_end() -> None:
    assert REQUEST.operator(header(name="ä" * 100), (SECRET,), now=NOW) == "ä" * 100
    with pytest.raises(NotOperator, match="more than 100 characters"):
        REQUEST.operator(header(name="ä" * 101), (SECRET,), now=NOW)


def test_the_step_of_a_request_is_a_number() -> None:
    assert if_seq_in({}, "Order", "send") is None
    assert if_seq_in({IF_SEQ: "0"}, "Order", "send") == 0
    for text in ("", "-1", "x", "٣", "9" * 20):
        with pytest.raises(MalformedInput, match="must be a number"):
            if_seq_in({IF_SEQ: text}, "Order", "send")


def test_secrets_are_long_and_separated_by_commas_or_blanks() -> None:
    assert secrets_in(f"{'x' * 16}, {'y' * 20}", "SECRETS") == ("x" * 16, "y" * 20)
    with pytest.raises(ValueError, match="has no secret"):
        secrets_in(" ", "SECRETS")
    with pytest.raises(ValueError, match="secret 2 has fewer than 16 characters"):
        secrets_in(f"{'x' * 16} short", "SECRETS")
