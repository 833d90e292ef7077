"""How the server is read: rows as they arrive, another try where that helps, and the age of every answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from durable_fsm.admin.client import Admin, AdminRefused
from durable_fsm.admin.readings import AsOf, CutOff, rows_in, wait_before

ROWS: list[dict[str, Any]] = [
    {"key": "o-1", "n": 1},
    {"key": 'a "quoted" ünï ] } ,', "n": None},
    {"inner": [{"a": [[]]}]},
]
BUSY = '{"message": "Resources exhausted: Failed to allocate additional 8 MB"}'
MOVING = '{"message": "Datafusion error: partition 7 doesn\'t exist on this node"}'


def in_pieces(text: bytes, size: int) -> Iterator[bytes]:
    return (text[begin : begin + size] for begin in range(0, len(text), size))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_rows_are_read_however_their_answer_is_cut_into_pieces(size: int) -> None:
    for text in (json.dumps({"rows": ROWS}), json.dumps({"rows": ROWS}, ensure_ascii=False, separators=(",", ":"))):
        assert list(rows_in(in_pieces(text.encode(), size))) == ROWS
    assert list(rows_in(in_pieces(b'{"rows":[]}', size))) == []


def test_a_row_is_there_before_the_next_has_arrived() -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"rows":[{"n":1},{"n":2}'
        raise AssertionError("the first row needs no more")

    assert next(rows_in(pieces())) == {"n": 1}


@pytest.mark.parametrize("text", ['{"rows":[{"n":1}', '{"rows":[{"n":1},', '{"rows":[{"n":', '{"rows":[', '{"ro', ""])
def test_an_answer_that_ends_in_the_middle_is_not_taken_for_a_whole_one(text: str) -> None:
    with pytest.raises(CutOff):
        list(rows_in([text.encode()]))


@pytest.mark.parametrize("text", ["[]", '{"message":"no"}', '{"rows":[{"n":1}{"n":2}]}'])
def test_an_answer_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        list(rows_in([text.encode()]))


class Busy:
    """A server that refuses some requests before it answers, and a client that remembers how long it waited."""

    def __init__(self, *refusals: tuple[int, str], then: str = '{"rows":[{"n":1}]}') -> None:
        self.answers = [*refusals, (200, then)]
        self.waited: list[float] = []
        self.admin = Admin("http://there", httpx.Client(transport=httpx.MockTransport(self.answer)), self.waited.append)

    def answer(self, request: httpx.Request) -> httpx.Response:
        status, text = self.answers.pop(0)
        return httpx.Response(status, text=text, headers={"retry-after": "2"} if status == 429 else {})


@pytest.mark.parametrize("read", ["query", "stream"])
@pytest.mark.parametrize("refusal", [(429, ""), (500, BUSY), (500, MOVING)], ids=["429", "memory", "partition"])
def test_a_busy_server_is_asked_again_after_a_while(read: str, refusal: tuple[int, str]) -> None:
    server = Busy(refusal, refusal)

    assert list(getattr(server.admin, read)("SELECT 1")) == [{"n": 1}]
    assert server.waited == ([2.0, 2.0] if refusal[0] == 429 else [0.25, 0.5])


@pytest.mark.parametrize("read", ["query", "stream"])
def test_after_three_tries_the_servers_own_words_are_shown(read: str) -> None:
    server = Busy(*[(500, BUSY)] * 3)

    with pytest.raises(AdminRefused, match=r"Restate refuses POST /query: Resources exhausted: Failed to allocate"):
        list(getattr(server.admin, read)("SELECT 1"))
    assert len(server.waited) == 2


@pytest.mark.parametrize("read", ["query", "stream"])
def test_a_mistake_is_not_tried_again(read: str) -> None:
    server = Busy((500, '{"message": "table nowhere not found"}'))

    with pytest.raises(AdminRefused, match="nowhere not found"):
        list(getattr(server.admin, read)("SELECT 1 FROM nowhere"))
    assert server.waited == []


def test_a_change_is_tried_again_only_if_it_was_refused() -> None:
    busy, moving = Busy((429, ""), then='{"id": 1}'), Busy((500, MOVING))

    assert busy.admin.ask("POST", "/subscriptions") == {"id": 1}
    with pytest.raises(AdminRefused, match="partition 7"):
        moving.admin.ask("POST", "/subscriptions")
    assert (busy.waited, moving.waited) == ([2.0], [])


@pytest.mark.parametrize("read", ["query", "stream"])
def test_a_refusal_that_breaks_off_is_told_as_no_answer(read: str) -> None:
    class Cut(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            raise httpx.ReadError("the line was cut")
            yield b""

    transport = httpx.MockTransport(lambda _: httpx.Response(500, stream=Cut()))
    admin = Admin("http://there", httpx.Client(transport=transport))

    with pytest.raises(AdminRefused, match="cannot be reached at http://there: the line was cut"):
        list(getattr(admin, read)("SELECT 1"))


def test_an_answer_that_breaks_off_says_so_and_how_far_it_came() -> None:
    server = Busy(then='{"rows":[{"n":1},{"n":2},{"n"')

    with pytest.raises(AdminRefused, match="broke off its answer after 2 rows"):
        list(server.admin.stream("SELECT 1"))


@pytest.mark.parametrize(
    ("attempt", "told", "seconds"),
    [(1, None, 0.25), (2, None, 0.5), (1, "3", 3.0), (1, "3600", 5.0), (2, "Wed, 21 Oct 2026 07:28:00 GMT", 0.5)],
)
def test_the_wait_grows_and_a_server_that_says_how_long_is_believed(
    attempt: int, told: str | None, seconds: float
) -> None:
    assert wait_before(attempt, told) == seconds


@pytest.mark.parametrize(
    ("took", "words"),
    [
        (timedelta(milliseconds=40), "as of 14:06:28, read in 40 ms"),
        (timedelta(seconds=2.34), "as of 14:06:28, read in 2.3 s"),
    ],
)
def test_an_answer_says_when_it_was_read_and_how_long_that_took(took: timedelta, words: str) -> None:
    assert str(AsOf(datetime(2026, 12, 1, 14, 6, 28).astimezone(), took)) == words
