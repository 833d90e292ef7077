"""A Restate server that signs its requests."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from durable_fsm.testing import RestateServer

PKCS8_OF_ED25519 = bytes.fromhex("302e020100300506032b657004220420")


class Signing(NamedTuple):
    """A server that signs, and the public key that it has logged."""

    server: RestateServer
    public: str

    @classmethod
    @contextmanager
    def begun(cls, directory: Path) -> Iterator[Signing]:
        """Start a server with a private key of its own, which is kept in *directory*."""
        pem = directory / "identity.pem"
        body = b64encode(PKCS8_OF_ED25519 + os.urandom(32)).decode()
        pem.write_text(f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
        settings = {"RESTATE_WORKER__INVOKER__REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE": str(pem)}
        with RestateServer(env=settings) as server:
            log = (server.base_dir / "restate-server.log").read_text()
            words = (word.strip('"') for word in log.replace("=", " ").split())
            yield cls(server, next(word for word in words if word.startswith("publickeyv1_")))
