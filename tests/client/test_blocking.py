"""The client is written once: without asyncio it is generated, and never edited."""

from __future__ import annotations

import ast

import pytest

from tests.client.unasync import COMMAND, HEADER, SOURCE, TARGET, blocking


def test_the_client_without_asyncio_is_generated_from_the_other() -> None:
    written = TARGET.read_text(encoding="utf-8")

    assert written.startswith(HEADER)
    assert written == blocking(SOURCE.read_text(encoding="utf-8")), f"run {COMMAND}, or make format"


def test_nothing_in_it_needs_an_event_loop() -> None:
    tree = ast.parse(TARGET.read_text(encoding="utf-8"))

    kinds = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, kinds)] == []
    assert "asyncio" not in {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }


@pytest.mark.parametrize(
    ("awaited", "instead"),
    [
        pytest.param("async def f() -> None:\n    await g()", "def f() -> None:\n    g()", id="calls"),
        pytest.param("async with Client() as client:\n    ...", "with SyncClient() as client:\n    ...", id="blocks"),
        pytest.param("async def __aenter__(self): ...", "def __enter__(self): ...", id="methods"),
        pytest.param("http = httpx.AsyncClient()", "http = httpx.Client()", id="other libraries"),
        pytest.param("await asyncio.sleep(1)", "time.sleep(1)", id="pauses"),
        pytest.param("import asyncio\nimport time", "import time", id="imports"),
        pytest.param(
            '"""Made by `Client.machine`, with asyncio."""',
            '"""Made by `SyncClient.machine`, without asyncio."""',
            id="prose",
        ),
    ],
)
def test_words_of_asyncio_have_others_instead(awaited: str, instead: str) -> None:
    assert blocking(f"{awaited}\n").removeprefix(HEADER).strip() == instead
