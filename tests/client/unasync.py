"""Write `client/blocking.py` from `client/awaited.py`: the same calls without asyncio, as httpcore does it.

Run `python -m tests.client.unasync` after a change of `awaited.py`; `make format` does.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).parents[2] / "src" / "durable_fsm" / "client"
SOURCE, TARGET = CLIENT / "awaited.py", CLIENT / "blocking.py"
COMMAND = "python -m tests.client.unasync"
HEADER = f"# Generated from {SOURCE.name} by {COMMAND}. Change that, not this.\n"

WORDS = {
    r"\b(async|await) ": "",
    r"\b__a(enter|exit)__\b": r"__\1__",
    r"\baclose\b": "close",
    r"\bwith asyncio\b": "without asyncio",
    r"^import asyncio$": "import time",
    r"\basyncio\.sleep\b": "time.sleep",
    r"\bAsyncIterator\b": "Iterator",
    r"(?<![.\w])(Client|Machine|NamedMachine|TypedMachine|Sent)\b": r"Sync\1",
    r"\bhttpx\.AsyncClient\b": "httpx.Client",
}


def blocking(text: str) -> str:
    """*text* of a module without asyncio, with its imports sorted and formatted by ruff."""
    for found, instead in WORDS.items():
        text = re.sub(found, instead, text, flags=re.MULTILINE)
    text = _ruff("check", "--fix-only", "--quiet", "--unsafe-fixes", "--select=I,UP028", text=HEADER + text)
    return _ruff("format", "--quiet", text=text)


def _ruff(*arguments: str, text: str) -> str:
    command = [sys.executable, "-m", "ruff", *arguments, f"--stdin-filename={TARGET}", "-"]
    return subprocess.run(command, input=text, capture_output=True, encoding="utf-8", check=True).stdout


if __name__ == "__main__":
    TARGET.write_text(blocking(SOURCE.read_text(encoding="utf-8")), encoding="utf-8")
