"""Certificates are read where they are needed: that takes longer than most calls."""

from __future__ import annotations

import ssl

import pytest

from durable_fsm import Client, SyncClient


@pytest.mark.parametrize("kind", [Client, SyncClient], ids=["awaited", "blocking"])
def test_a_client_of_plain_http_reads_no_certificates(
    kind: type[Client | SyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("certificates are read")

    monkeypatch.setattr(ssl, "create_default_context", refuse)

    kind("http://localhost:8080")
    with pytest.raises(AssertionError, match="certificates are read"):
        kind("https://localhost:8080")
