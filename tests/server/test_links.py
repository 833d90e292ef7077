"""Links: the ingress calls handlers for GET, too, so a browser could be made to call them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("query", ["", "?abandon=true"])
@pytest.mark.parametrize("handler", ["delete", "repair", "cancel", "delete/send"])
def test_no_link_can_destroy_anything(awake: Host, method: str, handler: str, query: str) -> None:
    order = awake.key("order")
    awake.receipt("Order", order, "create")
    before = awake.stored("Order", order)

    answer = awake.client.request(method, f"{awake.url('Order', order, handler)}{query}")

    if not handler.endswith("/send"):
        assert (answer.status_code, answer.json()["metadata"]["type"]) == (400, "MalformedInput")
        assert "the body is empty. Send {" in answer.json()["message"]
    awake.settled()
    assert awake.stored("Order", order) == before


@pytest.mark.parametrize("body", [b"{}", b"null"])
def test_a_body_of_any_kind_will_do(awake: Host, body: bytes) -> None:
    order = awake.key("order")
    awake.receipt("Order", order, "create")

    answer = awake.client.post(
        awake.url("Order", order, "delete"), content=body, headers={"content-type": "application/json"}
    )

    assert (answer.status_code, awake.stored("Order", order)) == (200, {})
