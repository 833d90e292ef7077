"""An ASGI application that shows the process it runs in."""

import asyncio
import gc
import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

SET_BY_SHELLS = ("OLDPWD", "PWD", "SHLVL", "_")


def facts() -> dict[str, Any]:
    """What an application could see of its process, and what must not be shared."""
    opened = {int(name): kind_of(int(name)) for name in listed("/proc/self/fd")}
    return {
        "as_started": {
            "is_leader": os.getsid(0) == os.getpid() == os.getpgid(0),
            "directory": str(Path.cwd()),
            "environment": {name: value for name, value in os.environ.items() if name not in SET_BY_SHELLS},
            "module_path": [place for place in sys.path if Path(place).exists()],
            "arguments": sys.argv[1:],
            "signals": {number.name: str(signal.getsignal(number)) for number in signal.Signals if settled(number)},
            "opened": [opened.get(number) for number in range(3)],
            "descriptors": sum(kind in ("file", "fifo", "device") for kind in opened.values()),
            "threads": threading.active_count(),
            "main_thread": threading.current_thread() is threading.main_thread(),
            "loop": type(asyncio.get_running_loop()).__name__,
            "hash": hash("durable"),
            "umask": umask(),
            "garbage": gc.isenabled(),
            "unbuffered": sys.stdout.write_through,
            "traced": sys.gettrace() is not None,
        },
        "chance": random.random(),
        "module": sys.orig_argv[2],
        "parent": os.getppid(),
    }


def listed(folder: str) -> list[str]:
    return [path.name for path in Path(folder).iterdir()]


def settled(number: signal.Signals) -> bool:
    """Whether the disposition is the interpreter's own: the server handles these two by bound methods."""
    return number not in (signal.SIGTERM, signal.SIGINT)


def kind_of(descriptor: int) -> str:
    """Kinds of open descriptors; the one that lists them is gone when it is asked for."""
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return "gone"
    kinds = {"device": stat.S_ISCHR, "fifo": stat.S_ISFIFO, "file": stat.S_ISREG, "socket": stat.S_ISSOCK}
    return next((kind for kind, is_it in kinds.items() if is_it(mode)), "other")


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:  # Any: as ASGI has it
    if scope["path"] == "/child":
        subprocess.Popen(["sleep", "600"])  # noqa: ASYNC220 - it is not waited for
    if scope["path"] == "/exit":
        os._exit(3)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(facts()).encode()})
