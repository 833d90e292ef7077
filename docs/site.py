"""A hook of MkDocs that adds to the site: llms.txt, each page as Markdown beside its HTML, and a name for the search dialog.

MkDocs calls the functions `on_…` of this file, see `hooks` in mkdocs.yml. The Markdown is for people who ask their
assistant: `tutorial.md` is the source of `tutorial.html`, with charts as Mermaid, and with pages of the reference filled in.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import dirname, relpath
from typing import Literal

from markdownify import markdownify
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

from durable_fsm.diagram.exports import to_mermaid
from durable_fsm.frontends.locate import locate_chart

FENCE = re.compile(r"^(?P<indent> *)```fsm\n(?P<lines>.*?)^ *```$", re.MULTILINE | re.DOTALL)
MADE_FROM_CODE = re.compile(r"^::: ", re.MULTILINE)
LAYOUT = re.compile(r"^</?(?:div|picture|source)\b.*>\n", re.MULTILINE)
HEADER_LINK = re.compile(r'<a [^>]*class="headerlink".*?</a>', re.DOTALL)
PARAMETER = re.compile(r"\n +\)\n +–\n\n +|\n +–\n\n +")
DIALOG = 'data-md-component="search" role="dialog"'

LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
NOT_A_PARAGRAPH = ("#", "|", "-", "*", "<", "!", ">", ":::", "```", "    ")

pages: dict[str, str] = {}
"""Each page as Markdown, by the path of its HTML."""
navigation: Navigation | None = None


def on_startup(*, command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:
    """Look for no garbage while the site is built: that takes a fifth of the time, and finds little."""
    gc.disable()


def on_nav(nav: Navigation, *, config: MkDocsConfig, files: Files) -> None:
    """Remember the navigation: its sections are those of llms.txt."""
    global navigation  # noqa: PLW0603 -- MkDocs hands hooks nothing to keep things in
    navigation = nav
    pages.clear()


@event_priority(-100)  # after the hooks that write parts of a page
def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> None:
    """Keep the source of a page."""
    pages[page.file.dest_uri] = LAYOUT.sub("", FENCE.sub(mermaid, markdown))


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> None:
    """Keep a page whose text is made from code as it was made."""
    if MADE_FROM_CODE.search(pages[page.file.dest_uri]):
        pages[page.file.dest_uri] = from_html(html)


def on_post_page(output: str, *, page: Page, config: MkDocsConfig) -> str:
    """Point to the Markdown, and give the search dialog a name for screen readers."""
    name = beside(page.file.dest_uri).rpartition("/")[2]
    # With a space, since the theme takes every other `alternate` for a site in another language, and asks for its sitemap.
    link = f'<link rel="alternate " type="text/markdown" href="{name}">'
    return output.replace("</head>", f"{link}</head>", 1).replace(DIALOG, f'{DIALOG} aria-label="Search"', 1)


def on_post_build(*, config: MkDocsConfig) -> None:
    """Write the Markdown and llms.txt."""
    folder = Path(config.site_dir)
    for place, text in pages.items():
        (folder / beside(place)).write_text(text, "utf-8")
    (folder / "llms.txt").write_text("\n".join(listed(config)) + "\n", "utf-8")
    gc.enable()


def beside(place: str) -> str:
    """The path of a page's Markdown."""
    return place.removesuffix(".html") + ".md"


def from_html(html: str) -> str:
    """The content of a page as Markdown."""
    text = markdownify(
        HEADER_LINK.sub("", html),
        heading_style="ATX",
        bullets="-",
        escape_asterisks=False,
        escape_underscores=False,
    )
    text = PARAMETER.sub(lambda found: ") – " if ")" in found.group() else " – ", LINK.sub(to_markdown, text))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def to_markdown(found: re.Match[str]) -> str:
    """A link of a page to another page, as a link to its Markdown."""
    return re.sub(r"(\]\((?![a-z]+:)[^)#]*)\.html", r"\1.md", found.group())


def mermaid(found: re.Match[str]) -> str:
    """A fence that draws a chart, as the same chart in Mermaid."""
    chart = locate_chart(found["lines"].split("\n", 1)[0].strip()).chart
    lines = ["```mermaid", *to_mermaid(chart).text.strip().splitlines(), "```"]
    return "\n".join(found["indent"] + line for line in lines)


def listed(config: MkDocsConfig) -> Iterator[str]:
    """The lines of llms.txt, in the form of https://llmstxt.org: a title, a paragraph, and a list for each section."""
    assert navigation is not None
    yield f"# {config.site_name}"
    yield f"\n> {opening(pages[navigation.homepage.file.dest_uri] if navigation.homepage else '')}"
    yield "\nEach page is Markdown. The same path with .html is the page for people.\n"
    section = ""
    for page in navigation.pages:
        above = next((str(one.title) for one in page.ancestors), "")
        if above != section:
            section = above
            yield f"\n## {section}\n"
        place = page.file.dest_uri
        said = str(page.meta.get("description") or sentence(opening(pages[place])))
        yield f"- [{page.title}]({relpath(beside(place), dirname('llms.txt') or '.')})" + (f": {said}" if said else "")


def opening(markdown: str) -> str:
    """The first paragraph of a page, as plain text."""
    blocks = re.sub(r"^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL).split("\n\n")
    for block in blocks:
        text = block.strip("\n")
        if text and not text.startswith(NOT_A_PARAGRAPH):
            return re.sub(r"[*`]", "", LINK.sub(r"\1", " ".join(text.split())))
    return ""


def sentence(text: str) -> str:
    """The first sentence of a text."""
    return re.split(r"(?<=[.?!:]) (?=[A-Z])", text, maxsplit=1)[0].rstrip(":")
