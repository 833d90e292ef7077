"""The projects that `durable-fsm new` writes: files of `templates/`, in which words are replaced.

A template consists of layers, each a directory: a later one adds files, or replaces files of an earlier one. So several
templates share a chart, and each adds what it needs to be hosted. A file has the name and the text that it will have,
except that `{{Name}}` and the other words of `words_of` are replaced, and that a `.gitignore` is called `gitignore`: the
tools that build a package would obey it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Literal, get_args

from durable_fsm.errors import quoted

Flavour = Literal["python-statemachine", "transitions"]
FLAVOURS: tuple[Flavour, ...] = get_args(Flavour)

REQUIREMENTS: Mapping[Flavour, str] = {
    "python-statemachine": "durable-fsm",
    "transitions": "durable-fsm[transitions]",
}
HIDDEN = {"gitignore": ".gitignore"}
ROOT = resources.files("durable_fsm.cli") / "templates"


@dataclass(frozen=True, slots=True)
class Template:
    """A project that `new` can write.

    `layers` are directories. A layer that is written differently with another library has a second one beside it, as
    `greeter-transitions`. `chart` is the file whose chart is drawn; `start` are the commands to begin with.
    """

    purpose: str
    layers: tuple[str, ...]
    flavours: tuple[Flavour, ...] = FLAVOURS
    chart: str = "machine.py"
    start: tuple[str, ...] = ("pytest", "durable-fsm dev")

    @property
    def picture(self) -> str:
        """The file into which the chart is drawn."""
        return self.chart.replace(".py", ".svg")


DEFAULT = Template("", ("seats",))
"""The machine that the documentation begins with."""

GREETER = ("notifications", "greeter")
"""The flow that templates have in common, and a service for it to call."""
GREET = ("pytest", "python notifications.py &", "durable-fsm dev")

TEMPLATES: Mapping[str, Template] = {
    "plain": Template("in a container, over HTTP/2: Docker, Kubernetes, Knative", (*GREETER, "plain"), start=GREET),
    "http1": Template("where there is HTTP/1.1 only, or requests must be short", (*GREETER, "http1"), start=GREET),
    "single-file": Template(
        "wherever uv is: one script, which names its packages",
        ("notifications", "single-file"),
        flavours=("python-statemachine",),
        chart="app.py",
        start=(
            "uv run --with-requirements app.py --with pytest pytest",
            "uv run notifications.py &",
            "uv run app.py",
        ),
    ),
    "edge": Template("behind a Cloudflare Worker, in a container or elsewhere", (*GREETER, "edge"), start=GREET),
    "lambda": Template("on AWS Lambda, deployed with CDK", (*GREETER, "lambda"), start=GREET),
}
"""By name; the purpose says where such a project runs."""


class NoSuchTemplate(ValueError):
    """There is no template of this name, or not for this library. The message says which there are."""


def template_called(name: str | None, flavour: Flavour) -> Template:
    """Return the template; without a name, the one that the documentation begins with.

    Raises:
        NoSuchTemplate: There is none, or not in this flavour.
    """
    if name is None:
        return DEFAULT
    if name not in TEMPLATES:
        close = difflib.get_close_matches(name.lower(), TEMPLATES, 1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise NoSuchTemplate(f"There is no template '{name}'. There are {quoted(TEMPLATES)}.{hint}")
    found = TEMPLATES[name]
    if flavour not in found.flavours:
        raise NoSuchTemplate(
            f"The template '{name}' is not written with {flavour}, but with {quoted(found.flavours)}."
            " Leave out --flavour, or choose another template."
        )
    return found


def words_of(name: str, chart: str, flavour: Flavour) -> dict[str, str]:
    """The words that the files of a project have in place of `{{…}}`. *name* is that of a Python module."""
    return {
        "{{Name}}": chart,
        "{{name}}": name.replace("_", " "),
        "{{project}}": name,
        "{{slug}}": name.replace("_", "-").lower(),
        "{{requirement}}": REQUIREMENTS[flavour],
    }


def files_of(template: Template, flavour: Flavour, words: Mapping[str, str]) -> dict[str, str]:
    """The files of a project, by their path in it: their texts."""
    found: dict[str, str] = {}
    for layer in template.layers:
        for directory in (layer, f"{layer}-{flavour}"):
            _read(ROOT / directory, "", found)
    in_order = sorted(found, key=lambda path: (path.startswith("."), path.lower()))
    return {path: _filled(found[path], words) for path in in_order}


def _filled(text: str, words: Mapping[str, str]) -> str:
    return reduce(lambda filled, word: filled.replace(*word), words.items(), text)


def _read(directory: Traversable, place: str, found: dict[str, str]) -> None:
    """Add the files of *directory*, and of those in it, to *found*."""
    if not directory.is_dir():
        return
    for entry in sorted(directory.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir() and entry.name != "__pycache__":
            _read(entry, f"{place}{entry.name}/", found)
        elif entry.is_file():
            found[place + HIDDEN.get(entry.name, entry.name)] = entry.read_text("utf-8")
