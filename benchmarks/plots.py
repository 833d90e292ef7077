"""Draw the pictures of docs/performance.md from the results. Each carries a digest of its content.

The content is computed without matplotlib, so that a test can check quickly, with any version of it, whether the pictures
show the results. The same results and the same version give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figures import (
    RULES,
    Results,
    by_contender,
    comparisons,
    samples,
    slope,
    spread,
)
from benchmarks.serving import plain
from durable_fsm.serving import DEFAULT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"

Shown = Any
"""JSON; each picture defines its shape."""

OURS, SAME, OTHERS, INK, FAINT = "#0f766e", "#5eb3a8", "#9aa1ab", "#3c4350", "#e3e6ea"
FAMILY = "Inter, 'Segoe UI', 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif"
"""The fonts a viewer looks for; the text of a picture stays text."""

WIDER = 0.8
"""Points that a character of a label may be wider than in Inter: DejaVu Sans needs 0.6 at this size."""

STYLE = {
    "svg.hashsalt": "durable_fsm",
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.axisbelow": True,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
}


@dataclass(frozen=True)
class Picture:
    """A selection of the results, and a function that draws it."""

    name: str
    shows: Callable[[Results], Shown]
    draw: Callable[[Shown], Figure]

    @property
    def file(self) -> Path:
        return FOLDER / f"performance-{self.name}.svg"

    def digest(self, results: Results) -> str:
        """Return `shows sha256:…`, the description inside the file."""
        shown = json.dumps(self.shows(results), sort_keys=True)
        return f"shows sha256:{hashlib.sha256(shown.encode()).hexdigest()}"

    def svg(self, results: Results) -> str:
        import matplotlib as mpl

        with mpl.rc_context({**STYLE, "font.family": font()}):
            made = io.StringIO()
            about = {"Description": self.digest(results), "Creator": "benchmarks/plots.py", "Date": None}
            self.draw(self.shows(results)).savefig(made, format="svg", metadata=about)
        lines = made.getvalue().replace(f"font-family: '{font()}'", f"font-family: {FAMILY}").splitlines()
        return "\n".join(line.rstrip() for line in lines) + "\n"


def draw_all(results: Results) -> None:
    """Write every picture."""
    for picture in PICTURES:
        picture.file.write_text(picture.svg(results), encoding="utf-8")


def font() -> str:
    """Return Inter, the font of our diagrams, or matplotlib's default if it is not installed."""
    from importlib.util import find_spec

    from matplotlib import font_manager

    found = find_spec("fontpkg_inter")
    if found is None or not found.submodule_search_locations:
        return "DejaVu Sans"
    for file in Path(found.submodule_search_locations[0], "files").glob("Inter[[]*.ttf"):
        font_manager.fontManager.addfont(file)
    return "Inter"


def figure(width: float, height: float, labels: Sequence[str] = ()) -> Figure:
    """Create an empty figure, in inches; the labels at its left fit also in a font wider than Inter."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    left = max(map(len, labels), default=0) * WIDER / 72 / width
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1, rect=(left, 0, 1 - left, 1))
    return Figure(figsize=(width, height), layout=layout)


def colour(name: str) -> str:
    return SAME if name.startswith("ours for the same work") else OURS if name.startswith("ours") else OTHERS


def rows(axes: Axes, names: list[str], gaps: list[int]) -> list[float]:
    """Label the rows of a picture from top to bottom, with some room before those at *gaps*; return their positions."""
    places = [float(-number - 0.6 * sum(gap <= number for gap in gaps)) for number in range(len(names))]
    axes.set_yticks(places, names)
    axes.set_ylim(places[-1] - 0.7, 0.7)
    axes.grid(axis="x")
    axes.spines["bottom"].set_visible(False)
    return places


# ── throughput ────────────────────────────────────────────────────────────────────────────────────────────────────────


def throughput(results: Results) -> Shown:
    return [[name, *spread([one.throughput for one in each])] for name, each in by_contender(results).items()]


def draw_throughput(shown: Shown) -> Figure:
    names = [name for name, *_ in shown]
    drawn = figure(7.2, 3.6, names)
    axes = drawn.subplots()
    places = rows(axes, names, gaps=[3, 6, 9])
    for place, (name, middle, low, high) in zip(places, shown, strict=True):
        axes.barh(place, middle, height=0.68, color=colour(name))
        axes.plot([low, high], [place, place], color=INK, linewidth=1.1, solid_capstyle="butt")
        axes.annotate(f"{middle:,.0f}", (max(high, middle), place), (5, 0), textcoords="offset points", va="center")
    axes.set_xlim(0, max(high for *_, high in shown) * 1.1)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_title("Events per second: median, and the quartiles of the rounds", pad=10)
    return drawn


# ── ratios ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def ratios(results: Results) -> Shown:
    rules = [(rule, "p50" if rule.wanted.startswith("p50") else "throughput") for rule in RULES]
    return [
        {
            "ours": one.ours,
            "other": one.other,
            **{
                measure: {
                    "interval": list(getattr(one, measure)),
                    "aims": [aim for rule, of in rules if of == measure and rule.concerns(one) for aim in rule.aims],
                }
                for measure in ("throughput", "p50")
            },
        }
        for one in comparisons(results)
    ]


def draw_ratios(shown: Shown) -> Figure:
    names = [
        f"{one['ours']} / {one['other'].removesuffix(one['ours'].removeprefix(kind(one['ours'])))}" for one in shown
    ]
    drawn = figure(9.6, 4.6, names)
    panels = drawn.subplots(1, 2, sharey=True)
    titles = {"throughput": "Throughput: more is better", "p50": "p50: less is better"}
    for axes, (measure, title) in zip(panels, titles.items(), strict=True):
        axes.set_xscale("log")
        ticks = [0.5, 0.6, 0.8, 1, 1.25, 1.5, 2]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.axvline(1, color=OTHERS, linewidth=1)
        for place, one in zip(rows(axes, names, gaps=[2, 4, 6, 10]), shown, strict=True):
            mean, low, high = one[measure]["interval"]
            for aim in one[measure]["aims"]:
                axes.plot([aim, aim], [place - 0.4, place + 0.4], color=INK, linewidth=1.2)
            axes.plot([low, high], [place, place], color=colour(one["ours"]), linewidth=2.2, solid_capstyle="butt")
            axes.plot([mean], [place], "o", color=colour(one["ours"]), markersize=5)
        axes.set_title(title, pad=10)
    return drawn


def kind(name: str) -> str:
    return name.partition(",")[0]


# ── ways of serving ───────────────────────────────────────────────────────────────────────────────────────────────────


def ways(results: Results) -> Shown:
    return {
        "default": plain(DEFAULT).name,
        "work": {
            work: [[way, *spread([one.throughput for one in samples(loads["many"])])] for way, loads in by_way.items()]
            for work, by_way in results["ways"].items()
        },
    }


def draw_ways(shown: Shown) -> Figure:
    drawn = figure(8.4, 4.0, [way for by_way in shown["work"].values() for way, *_ in by_way])
    panels = drawn.subplots(1, len(shown["work"]), sharey=True)
    for axes, (work, by_way) in zip(panels, shown["work"].items(), strict=True):
        places = rows(axes, [way for way, *_ in by_way], gaps=[4, 8, 10])
        for place, (way, middle, low, high) in zip(places, by_way, strict=True):
            shade = OURS if way == shown["default"] else OTHERS
            axes.plot([low, high], [place, place], color=shade, linewidth=2.2, solid_capstyle="butt")
            axes.plot([middle], [place], "o", color=shade, markersize=5)
        axes.set_xlim(0, max(high for *_, high in by_way) * 1.08)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_title(work.partition(" ")[2].capitalize(), pad=10)
        axes.set_xlabel("per second")
    return drawn


# ── growth ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def growth(results: Results) -> Shown:
    return {
        what: {
            "sizes": {
                size: list(spread([one.service_cpu_ms for one in samples(each)])) for size, each in grown.items()
            },
            "slope": list(slope(grown, "service_cpu_ms")),
        }
        for what, grown in results["growth"].items()
    }


SHORT = {"events the machine has had": "events had", "machines on the server": "machines"}
"""Titles that fit above a panel."""


def draw_growth(shown: Shown) -> Figure:
    drawn = figure(8.4, 2.5)
    panels = drawn.subplots(1, len(shown), sharey=True)
    for axes, (what, one) in zip(panels, shown.items(), strict=True):
        sizes = [int(size) for size in one["sizes"]]
        for size, (middle, low, high) in zip(sizes, one["sizes"].values(), strict=True):
            axes.plot([size, size], [low, high], color=OURS, linewidth=1.6, solid_capstyle="butt")
            axes.plot([size], [middle], "o", color=OURS, markersize=4.5)
        middle_size = sum(sizes) / len(sizes)
        middle_cpu = sum(middle for middle, *_ in one["sizes"].values()) / len(sizes)
        mean, low, high = one["slope"]
        ends = [0, max(sizes) * 1.06]
        along = [[middle_cpu + each * (size - middle_size) for size in ends] for each in (mean, low, high)]
        axes.fill_between(ends, along[1], along[2], color=OURS, alpha=0.13, linewidth=0)
        axes.plot(ends, along[0], color=OURS, linewidth=1)
        axes.set_xticks([0, max(sizes)], ["0", f"{max(sizes):,}"])
        axes.set_xlim(-0.05 * ends[1], ends[1])
        axes.set_title(SHORT.get(what, what), pad=8)
        axes.grid(axis="y")
    panels[0].set_ylim(bottom=0)
    panels[0].set_ylabel("CPU of the service, ms an event")
    return drawn


PICTURES = (
    Picture("throughput", throughput, draw_throughput),
    Picture("ratios", ratios, draw_ratios),
    Picture("ways", ways, draw_ways),
    Picture("growth", growth, draw_growth),
)
