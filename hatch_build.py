"""Gives the package the README as its description, such that it can be read on PyPI; hatchling calls it for every build.

Pictures and links in the README are relative to the repository. A package index shows the text elsewhere, so they become
absolute: below the address `Source` of `project.urls` in pyproject.toml, at the tag of the version. Without that address
pictures are left out, and links become plain text. And readers there install the package, not a checkout.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
PLACE = r"(?P<place>(?![a-z]+:|#|//)[^)\"\s]+)"
PICTURE = re.compile(
    rf"(?P<before>!\[[^\]]*\]\(){PLACE}(?P<after>\))|(?P<tag><img[^>]*? src=\"){PLACE.replace('place', 'file')}(?P<rest>\"[^>]*>)"
)
LINK = re.compile(rf"(?<!!)\[(?P<text>[^\]]*)\]\({PLACE}\)")
CLONE = "<this repository>"
FROM_CHECKOUT = re.compile(r"pip install (?P<quote>'?)\.(?=\[| )")


class ReadmeHook(MetadataHookInterface):
    """Adds `readme` to the metadata of the project."""

    def update(self, metadata: dict[str, Any]) -> None:
        root = Path(self.root)
        [version] = VERSION.findall((root / "src" / "durable_fsm" / "__init__.py").read_text("utf-8"))
        text = (root / "README.md").read_text("utf-8")
        source = metadata.get("urls", {}).get("Source", "")
        metadata["readme"] = {"content-type": "text/markdown", "text": described(text, source, version)}


def described(text: str, source: str, version: str) -> str:
    """The README for readers outside of the repository.

    Args:
        source: the address of the repository, at a host with the paths of GitHub; empty if it has none.
        version: its tag is `v` and this.
    """

    def picture(found: re.Match[str]) -> str:
        place = found["place"] or found["file"]
        before, after = (found["before"], found["after"]) if found["place"] else (found["tag"], found["rest"])
        return f"{before}{source}/raw/v{version}/{place}{after}" if source else ""

    def link(found: re.Match[str]) -> str:
        return f"[{found['text']}]({source}/blob/v{version}/{found['place']})" if source else found["text"]

    source = source.rstrip("/")
    text = LINK.sub(link, PICTURE.sub(picture, text))
    text = FROM_CHECKOUT.sub(r"pip install \g<quote>durable-fsm", text)
    return text.replace(CLONE, source) if source else text
