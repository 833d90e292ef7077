"""The client is written once: without asyncio it is the same text, word for word."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from durable_fsm import client

HERE = Path(client.__file__).parent
WORDS = [
    (r"asyncio\.sleep", "time.sleep"),
    (r"\basync |\bawait ", ""),
    (r"__a(enter|exit)__", r"__\1__"),
    (r"\baclose\b", "close"),
    (r"httpx\.AsyncClient", "httpx.Client"),
    (r"AsyncIterator", "Iterator"),
    (r"(?<!\.)\b(Client|Machine|NamedMachine|TypedMachine|Sent)\b", r"Sync\1"),
]


def body_of(text: str) -> list[str]:
    """The classes of a module, without comments, docstrings and layout."""
    classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    for node in (node for one in classes for node in ast.walk(one)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Expr(ast.Constant(...))
    return [ast.unparse(one) for one in classes]


def test_the_client_without_asyncio_is_its_twin_with_other_words() -> None:
    text = (HERE / "awaited.py").read_text(encoding="utf-8")
    for found, instead in WORDS:
        text = re.sub(found, instead, text)

    assert body_of(text) == body_of((HERE / "blocking.py").read_text(encoding="utf-8"))
