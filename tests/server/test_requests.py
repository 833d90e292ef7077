"""The requests that an event costs over HTTP/1.1, as the page on performance counts them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from benchmarks.shapes import app
from durable_fsm.local.process import free_port
from durable_fsm.local.waiting import wait_until
from durable_fsm.testing import RestateServer

pytestmark = pytest.mark.server

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
REQUESTS = {
    "Flat": {"Flat/press": 1},
    "Timer": {"Timer/press": 1},
    "Background": {"Background/press": 1, "Background.activities/busy": 1, "Background/_deliver": 1},
    "Exclusive": {"Exclusive/press": 2, "Exclusive.activities/busy": 1},
}
WORDS = {
    "Flat": "changes the machine",
    "Timer": "starts a timer that can be cancelled early",
    "Background": "starts an activity of one step",
    "Exclusive": "runs an exclusive activity of one step",
}


@contextmanager
def counted(server: RestateServer) -> Iterator[Counter[str]]:
    """Serve the charts over HTTP/1.1; count the requests of each handler."""
    requests: Counter[str] = Counter()

    async def counting(scope: Any, receive: Any, send: Any) -> None:  # Any: messages of ASGI
        if scope["type"] == "http" and scope["path"].startswith("/invoke/"):
            requests[scope["path"].removeprefix("/invoke/")] += 1
        await app(scope, receive, send)

    port = free_port()
    by = uvicorn.Server(uvicorn.Config(counting, port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=by.run)
    thread.start()
    try:
        wait_until(lambda: by.started, what="the service to listen")
        deployment = server.register(f"http://127.0.0.1:{port}", http1=True)
        yield requests
        server.clear(deployment)
        server.deregister(deployment)
    finally:
        by.should_exit = True
        thread.join()


def press(client: httpx.Client, chart: str, key: str) -> None:
    answer = client.post(f"/{chart}/{key}/press", content=b"null", headers={"content-type": "application/json"})
    assert answer.status_code == 200


def is_over(server: RestateServer, requests: Counter[str], expected: Counter[str]) -> bool:
    """Whether all these requests have come, and no invocation of these charts is left but timers."""
    return expected <= requests and not server.query(
        "SELECT id FROM sys_invocation WHERE status NOT IN ('completed', 'scheduled') AND"
        f" target_service_name IN ({', '.join(repr(name) for chart in REQUESTS for name in (chart, f'{chart}.activities'))})"
    )


def test_an_event_costs_the_requests_that_the_page_says(restate_server: RestateServer) -> None:
    found: dict[str, dict[str, int]] = {}

    with counted(restate_server) as requests, httpx.Client(base_url=restate_server.ingress_url, timeout=60) as client:
        for chart, expected in REQUESTS.items():
            for key in ("first", "second"):  # with the first one, the process learns how Restate makes ids
                requests.clear()
                press(client, chart, key)
                enough = partial(is_over, restate_server, requests, Counter(expected))
                wait_until(enough, what=f"the end of the {key} event of {chart}")
            found[chart] = dict(requests)

    assert found == REQUESTS
    page = PAGE.read_text("utf-8")
    for chart, words in WORDS.items():
        assert f"| {words} | {sum(REQUESTS[chart].values())} |" in page
