"""The questions of docs/questions.md: each is answered where it says, near the home page, and the search finds it.

The search is the theme's own: its worker, with the index of the site, in Chromium.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from posixpath import dirname, normpath
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.docs.conftest import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROW = re.compile(
    r"^\| (?P<words>[^|]+) \| (?P<question>[^|]+\?) \| .*?\]\((?P<page>[^)#]+)\.md#(?P<heading>[^)]+)\)", re.MULTILINE
)
LINK = re.compile(r'href="([^"#:]+\.html)[^"]*"')
HOME = "index.html"
FIRST = 5
"""How many results a reader sees without scrolling."""

SEARCH = """async ([source, index, queries]) => {
  const worker = new Worker(URL.createObjectURL(new Blob([source], {type: "text/javascript"})));
  const ask = request => new Promise((done, failed) => {
    worker.onmessage = message => done(message.data);
    worker.onerror = error => failed(error.message);
    worker.postMessage(request);
  });
  await ask({type: 0, data: {...index, options: {suggest: false}}});
  const found = {};
  for (const query of queries)
    found[query] = (await ask({type: 2, data: query})).data.items.map(page => page[0].location.split("#")[0]);
  return found;
}"""
"""The requests that the theme sends to its worker: 0 is the set-up, 2 a query; each result is a page with its sections."""


class Question(NamedTuple):
    """A row of the page: the words to search for, the question, and where the answer is."""

    words: str
    question: str
    page: str
    heading: str

    @property
    def file(self) -> str:
        return f"{self.page}.html"


QUESTIONS = [Question(*found.groups()) for found in ROW.finditer((ROOT / "docs" / "questions.md").read_text("utf-8"))]


@cache
def links_of(page: Path, name: str) -> frozenset[str]:
    """The pages of the site that a page links."""
    return frozenset(normpath(f"{dirname(name)}/{link}").lstrip("/") for link in LINK.findall(page.read_text("utf-8")))


def test_there_are_thirty_questions_and_all_differ() -> None:
    assert len(QUESTIONS) >= 30
    assert len({question.words for question in QUESTIONS}) == len(QUESTIONS)


def test_each_question_is_answered_below_a_heading_of_its_page(site: Path) -> None:
    missing = [
        question.question
        for question in QUESTIONS
        if not re.search(rf'<h[1-6] id="{re.escape(question.heading)}"', (site / question.file).read_text("utf-8"))
    ]

    assert missing == []


def test_every_page_is_at_most_two_clicks_from_home(site: Path) -> None:
    near = links_of(site / HOME, HOME) | {HOME}
    near |= {page for name in near for page in links_of(site / name, name)}

    pages = {str(path.relative_to(site)) for path in site.rglob("*.html")} - {"404.html"}

    assert pages - near == set()
    assert len(pages) > 60


@pytest.mark.browser
def test_the_search_of_the_site_finds_the_answer_among_the_first_results(site: Path, started_browser: Browser) -> None:
    [worker] = (site / "assets" / "javascripts" / "workers").glob("search.*.js")
    index: Any = json.loads((site / "search" / "search_index.json").read_text("utf-8"))  # Any: of the theme

    with started_browser.new_context() as context:
        words = [question.words for question in QUESTIONS]
        found = context.new_page().evaluate(SEARCH, [worker.read_text("utf-8"), index, words])

    lost = {
        question.words: (question.file, found[question.words][:FIRST])
        for question in QUESTIONS
        if question.file not in found[question.words][:FIRST]
    }
    assert lost == {}, (
        "name it in the title of its page, or in a heading; docs/search_order.py says which pages come later"
    )
