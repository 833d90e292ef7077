"""docs/glossary.md: it has every word of our vocabulary, in order, and each of its links leads to a heading."""

from __future__ import annotations

import re
from pathlib import Path

from markdown.extensions.toc import slugify

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "glossary.md").read_text("utf-8")
ROW = re.compile(r"^\| \*\*(.+?)\*\* \| (.+?) \| \[.+?\]\((.+?)\) \|$", re.MULTILINE)
VOCABULARY = [
    "chart",
    "machine",
    "key",
    "configuration",
    "data",
    "event",
    "guard",
    "action",
    "effect",
    "activity",
    "raise_",
    "send",
    "microstep",
    "macrostep",
    "step",
    "snapshot",
    "receipt",
    "history",
    "transaction",
    "outcome",
]
TWO_WORDS = ("history state", "deferred event", "parked delivery")
TERMS = {term: (meaning, target) for term, meaning, target in ROW.findall(PAGE)}


def test_every_word_of_the_vocabulary_is_explained() -> None:
    assert TERMS.keys() >= {*VOCABULARY, *TWO_WORDS}


def test_terms_are_in_alphabetical_order_and_each_is_told_in_a_sentence() -> None:
    assert list(TERMS) == sorted(TERMS)
    assert len(TERMS) > 50
    assert [term for term, (meaning, _) in TERMS.items() if not meaning.endswith(".") or len(meaning) > 140] == []


def test_the_link_of_each_term_leads_to_a_heading() -> None:
    broken: list[str] = []
    for term, (_, target) in TERMS.items():
        page, _, anchor = target.partition("#")
        if anchor and anchor not in headings((DOCS / page).read_text("utf-8")):
            broken.append(f"{term}: {target}")

    assert broken == []


def headings(text: str) -> set[str]:
    """The anchors of a page: those that its headings name, as in `## Wait { #waiting }`, and those made of their words."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+?)(?: \{ #([\w.-]+) \})?$", outside, re.MULTILINE)
    return {anchor or slugify(re.sub(r"\[([^\]]*)\]\([^)]*\)|`", r"\1", title), "-") for title, anchor in titles}
