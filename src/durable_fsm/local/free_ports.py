"""Free ports of the loopback, each for one process of ours at a time.

While a server is down between kill and restart, its port is free, but another process that looks for one must not find it.
So a process keeps a lock on each port that it has chosen, for as long as it lives.
"""

from __future__ import annotations

import errno
import os
import random
import socket
import sys
import tempfile
from functools import cache
from pathlib import Path

if sys.platform != "win32":  # without locks of files, two processes may choose the same port there
    import fcntl

HOST = "127.0.0.1"

_given_out: set[int] = set()
_chance = random.SystemRandom()  # a test run may seed the shared one, and several runs alike


def free_port() -> int:
    """Return a port of the loopback that can be bound now, below the range of outgoing connections.

    Port 0 would give a port of that range. While a server is down between kill and restart, any client connection could
    take such a port, even the one that asks whether the server is back. No port is returned twice, and none that another
    process of the same user was given and that still lives.
    """
    while True:
        port = _chance.randrange(15_000, 32_000)
        if port in _given_out or not _is_ours(port):
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
            try:
                candidate.bind((HOST, port))
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    continue
                raise
        _given_out.add(port)
        return port


def _is_ours(port: int) -> bool:
    """Lock the byte of a port in a file of all our processes, unless another one has."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.lockf(_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise
    return True


@cache
def _locks() -> int:
    """The file, open: a process would lose all its locks on it by closing it once."""
    assert sys.platform != "win32"
    file = Path(tempfile.gettempdir()) / f"durable_fsm-ports-{os.getuid()}"
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
