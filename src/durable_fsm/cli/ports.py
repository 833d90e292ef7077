"""The ports of `durable-fsm dev`: which it uses, and the README of the directory, which names them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from durable_fsm.local.process import HOST, free_port, port_answers

USUAL = {"ingress": 8080, "admin": 9070, "service": 9080, "console": 9480}

BLOCK = re.compile(r"(<!-- durable-fsm dev -->\n)(.*?)(<!-- /durable-fsm dev -->)", re.DOTALL)
"""The part of a README that names the ports: `new` writes it, and `dev` keeps it up to date."""

ADDRESS = re.compile(rf"(http://{re.escape(HOST)}):\d+")


def chosen(name: str, last: int | None) -> int:
    """Return the usual port or that of the last run, if free; else any free one."""
    for port in (USUAL[name], last):
        if port is not None and not port_answers(port):
            return port
    return free_port()


def tell_readme(folder: Path, ports: Mapping[str, int]) -> bool:
    """Write the ports into the README of a directory, if it has a place for them; return whether that changed it."""
    readme = folder / "README.md"
    try:
        old = readme.read_bytes().decode()
        new = BLOCK.sub(lambda block: block[1] + _with_ports(block[2], ports) + block[3], old)
        if new != old:
            readme.write_bytes(new.encode())
    except (OSError, UnicodeDecodeError):  # there is no README that can be read
        return False
    return new != old


def _with_ports(text: str, ports: Mapping[str, int]) -> str:
    """Replace the ports of each line by that of the server with which the line begins: `- admin: …`."""

    def of(line: str) -> str:
        name = next((name for name in ports if line.startswith(f"- {name}:")), None)
        return line if name is None else ADDRESS.sub(rf"\1:{ports[name]}", line)

    return "".join(map(of, text.splitlines(keepends=True)))
