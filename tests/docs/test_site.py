"""The built site: it needs no other site, its search works from a folder, and assistants can read it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from docs import story
from tests.browsing import GRAVE, NARROW, too_wide
from tests.docs.test_mkdocs import SWITCH

ELSEWHERE = re.compile(r"""<(?:script|link|img|source|iframe)\b[^>]*\b(?:src|href|srcset)=["']?(?:https?:)?//[^>]*>""")
LAYOUT = re.compile(r'<g transform="translate.*?(?=</svg>)', re.DOTALL)
"""What another version of the program that lays out a chart may place elsewhere."""


def test_no_page_loads_anything_from_another_site(site: Path) -> None:
    pages = list(site.rglob("*.html"))

    assert len(pages) > 50
    assert {page.name: found for page in pages if (found := ELSEWHERE.findall(page.read_text("utf-8")))} == {}


@pytest.mark.parametrize(
    "tag",
    [
        '<script src="https://cdn.example/a.js">',
        "<link rel=x href=//cdn.example/a.css>",
        '<img src="http://a.example/b">',
    ],
    ids=["script", "style", "picture"],
)
def test_a_file_of_another_site_is_found(tag: str) -> None:
    assert ELSEWHERE.findall(f'<a href="https://restate.dev">{tag}') == [tag]


@pytest.mark.browser
def test_the_home_page_opens_from_a_folder_with_its_story_and_its_search(site: Path, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto((site / "index.html").as_uri())
    page.get_by_role("textbox", name="Search").first.fill("cron")
    found = page.locator(".md-search-result__item").first.inner_text()
    page.keyboard.press("Escape")
    picture = "document.querySelector('picture img').currentSrc"
    wide = page.evaluate(picture)
    page.set_viewport_size(NARROW)

    assert "cron" in found
    assert too_wide(page) == []
    assert wide.endswith("/kill-9.svg")
    page.wait_for_function(f"{picture}.endsWith('/kill-9-narrow.svg')")
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.browser
def test_the_theme_of_the_site_has_no_serious_fault_for_people_with_disabilities(site: Path, page: Page) -> None:
    page.goto((site / "index.html").as_uri())

    found = Axe().run(page, options={"preload": False}).response["violations"]
    page.evaluate(SWITCH)
    found += Axe().run(page, options={"preload": False, "runOnly": ["color-contrast"]}).response["violations"]

    assert page.locator("body").get_attribute("data-md-color-scheme") == "slate"
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in GRAVE] == []


# ── for assistants ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_page_is_also_markdown_that_its_html_points_to(site: Path) -> None:
    pages = [page for page in site.rglob("*.html") if page.name != "404.html"]

    for page in pages:
        text = page.with_suffix(".md").read_text("utf-8")
        assert re.search(r"^#{1,2} ", text, re.MULTILINE), page
        assert re.findall(r"^ *```fsm|^::: |headerlink|</?div", text, re.MULTILINE) == [], page
        assert f'type="text/markdown" href="{page.stem}.md"' in page.read_text("utf-8")


def test_the_markdown_leads_to_other_markdown(site: Path) -> None:
    pages = {
        page: re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text("utf-8"), flags=re.DOTALL)
        for page in site.rglob("*.md")
    }
    links = {(page, to) for page, text in pages.items() for to in re.findall(r"\]\(([\w./-]+)(?:#[^)]*)?\)", text)}

    assert len(links) > 200
    assert [(page.name, to) for page, to in sorted(links) if not (page.parent / to).exists()] == []


def test_pages_made_from_code_are_filled_in(site: Path) -> None:
    assert "Client(\n    url: str" in (site / "reference" / "client.md").read_text("utf-8")
    assert "```mermaid\nstateDiagram-v2\n" in (site / "index.md").read_text("utf-8")


def test_llms_txt_lists_every_page_of_the_navigation_with_a_line(site: Path) -> None:
    title, paragraph, *rest = (site / "llms.txt").read_text("utf-8").split("\n\n")
    entries = re.findall(r"^- \[(.+?)\]\((.+?)\)(?:: (.+))?$", "\n".join(rest), re.MULTILINE)

    assert title == "# durable_fsm"
    assert re.fullmatch(r"> [^\n]{100,500}", paragraph)
    assert {site / to for _, to, _ in entries} == set(site.rglob("*.md"))
    assert [name for name, _, said in entries if len(said) > 300] == []
    assert sum(bool(said) for _, _, said in entries) > 0.9 * len(entries)
    assert len(re.findall(r"^## ", "\n".join(rest), re.MULTILINE)) > 5


# ── the story ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", story.SHAPES)
def test_the_story_is_that_of_its_script(name: str) -> None:
    kept, drawn = (story.PICTURES / name).read_text("utf-8"), story.picture(story.SHAPES[name])

    assert LAYOUT.sub("", kept) == LAYOUT.sub("", drawn), "run: python -m docs.story"


def test_the_story_is_a_still_picture_for_readers_who_prefer_that() -> None:
    drawn = story.picture(story.SHAPES["kill-9.svg"])

    assert "@media (prefers-reduced-motion:reduce){.story *{animation:none!important}}" in drawn
    assert all(caption in drawn for caption in story.CAPTIONS)
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)|<script|<image|@import", drawn) == []
