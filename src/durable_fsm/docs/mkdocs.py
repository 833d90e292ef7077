"""The MkDocs plugin `fsm`: it replaces a fence that names a chart by its picture, in the colours of the page.

```fsm
shop.orders:Order
active: on_hold
caption: An order that waits for another card
```
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.config import base
from mkdocs.config import config_options as kinds
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import BasePlugin, get_plugin_logger
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from durable_fsm.docs.figure import NoFigure, complaint, drawable, figure, style_sheet, table_html, tables

FENCES = "pymdownx.superfences"
STYLES = "assets/durable_fsm.css"

log = get_plugin_logger("fsm")


class PluginOptions(base.Config):  # type: ignore[no-untyped-call]
    """Options of the plugin. `paths`: directories with modules, relative to mkdocs.yml."""

    paths = kinds.ListOfItems(kinds.Type(str), default=["."])


class Plugin(BasePlugin[PluginOptions]):  # type: ignore[no-untyped-call]
    """Adds the fence, and the style sheet to every page."""

    def __init__(self) -> None:
        super().__init__()
        self.page = ""
        self.drawn = 0
        self.paths: list[Path] = []

    def on_config(self, config: MkDocsConfig) -> MkDocsConfig:
        root = Path(config.config_file_path or "mkdocs.yml").resolve().parent
        self.paths = [root / path for path in self.config.paths]
        if FENCES not in config.markdown_extensions:
            config.markdown_extensions.append(FENCES)
        settings: Any = config  # Any: mkdocs does not type these lists
        fences = settings.mdx_configs.setdefault(FENCES, {}).setdefault("custom_fences", [])
        fences.append({"name": "fsm", "class": "fsm", "validator": _takes_all, "format": self.fence})
        settings.extra_css.insert(0, STYLES)  # first, so that style sheets of the site can override ours
        return config

    def on_files(self, files: Files, *, config: MkDocsConfig) -> Files:
        files.append(File.generated(config, STYLES, content=style_sheet()))
        return files

    def on_page_markdown(self, markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
        self.page, self.drawn = page.file.src_uri, 0
        return markdown

    def fence(self, source: str, language: str, css_class: str, options: dict[str, str], md: Any, **_: Any) -> str:
        """Draw a fence. If that fails, warn, so that `mkdocs build --strict` fails, and write the reason into the page.

        The signature is that of a superfence, https://facelessuser.github.io/pymdown-extensions/extensions/superfences/
        """
        self.drawn += 1
        try:
            target, own = _read(source)
            asked = figure(target, {**options, **own})
            found = drawable(asked, self.paths)
            shown = [found.html(f"fsm{self.drawn}-"), *(map(table_html, tables(found.chart)) if asked.table else ())]
        except NoFigure as problem:
            log.warning("%s: %s", self.page, problem)
            return complaint(problem)
        return "\n".join(shown)


def _takes_all(language: str, inputs: dict[str, str], options: dict[str, str], attrs: Any, md: Any) -> bool:
    """Accept every option. `fence` reports unknown ones; superfences would silently drop the fence."""
    options.update(inputs)
    return True


def _read(source: str) -> tuple[str, dict[str, str]]:
    """Read the target on the first line and the options on the others."""
    first, *rest = [line.strip() for line in source.strip().splitlines()] or [""]
    options: dict[str, str] = {}
    for line in filter(None, rest):
        name, colon, value = line.partition(":")
        if not colon:
            raise NoFigure(first, f"'{line}' is not an option; write 'name: value'.")
        options[name.strip()] = value
    return first, options
