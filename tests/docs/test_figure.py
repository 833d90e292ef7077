"""The style sheet that the pictures of a site share."""

from __future__ import annotations

from durable_fsm.docs.figure import DARK_PAGES, FOLLOWING_PAGES, style_sheet


def test_a_page_without_a_colour_scheme_follows_the_browser() -> None:
    sheet = style_sheet()
    following = sheet.index("@media (prefers-color-scheme:dark){" + FOLLOWING_PAGES)

    assert sheet.index(":root,") < sheet.index(DARK_PAGES) < following
