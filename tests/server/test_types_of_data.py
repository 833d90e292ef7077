"""Data and payloads on the real server: nothing is lost between two steps, and clients are told what the machine keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def test_members_with_aliases_are_kept_shown_and_passed_on(host: Host) -> None:
    member = host.key("member")

    created = host.receipt("Member", member, "create", {"memberNumber": 7})
    renamed = host.receipt("Member", member, "rename", {"newName": "Ada"})
    host.receipt("Member", member, "adopt", {"givenName": "Rex"})
    told = host.receipt("Member", member, "tell")
    host.receipt("Member", member, "relay", {"newName": "Grace"})

    assert (created["outcome"], renamed["reply"], told["reply"]) == ("created", "Ada", "Ada")
    assert host.receipt("Member", member, "tell")["reply"] == "Grace"
    assert host.snapshot("Member", member)["data"] == {
        "memberNumber": 7,
        "nickName": "Grace",
        "petsOwned": [{"givenName": "Rex"}],
        "greetedAs": "",
    }


def test_an_activity_receives_and_returns_members_with_aliases(host: Host) -> None:
    member = host.key("member")
    host.receipt("Member", member, "create", {"memberNumber": 7, "nickName": "Ada"})

    host.receipt("Member", member, "greet")

    assert host.wait_in("Member", member, "greeted")["data"]["greetedAs"] == "Ada of 7"


def test_the_published_names_are_those_that_are_accepted(host: Host) -> None:
    member = host.key("member")
    host.receipt("Member", member, "create", {"memberNumber": 7})

    shown = {one["event"]: one["payload"] for one in host.snapshot("Member", member)["events"]}
    refused = host.post("Member", member, "rename", {"name": "Ada"})

    assert shown["rename"]["required"] == [*shown["rename"]["properties"]] == ["newName"]
    assert (refused.status_code, "at $.newName" in refused.text) == (422, True)
