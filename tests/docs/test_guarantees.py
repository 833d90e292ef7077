"""Every test that the documentation names as a proof is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROOF = re.compile(r"`(test_\w+\.py)(?:::(test_\w+))?`")


@pytest.mark.parametrize(("page", "least"), [("docs/guarantees.md", 25), ("README.md", 8)])
def test_what_is_named_as_a_proof_is_a_test(page: str, least: int) -> None:
    named = PROOF.findall((ROOT / page).read_text(encoding="utf-8"))

    missing = [
        f"{file}::{name}"
        for file, name in named
        if (f"\ndef {name}(" if name else "") not in (ROOT / "tests/server" / file).read_text(encoding="utf-8")
    ]

    assert missing == []
    assert len(named) >= least
