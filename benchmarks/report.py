"""Write the tables of docs/performance.md from the results."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping, Sequence

from benchmarks.figures import Results, by_contender, comparisons, median, samples, slope, spread, told, verdicts
from benchmarks.inside import PARTS
from benchmarks.load import Sample
from benchmarks.serving import FLOOR, OURS, ROOT, XSTATE
from durable_fsm.serving import DEFAULT

RESULTS = ROOT / "benchmarks" / "results" / "speed.json"
PAGE = ROOT / "docs" / "performance.md"
README = ROOT / "README.md"

BLOCK = re.compile(r"(?<=<!-- speed: )(\w+)( -->\n).*?(?=<!-- /speed -->)", re.DOTALL)

Cells = Sequence[str]
Tables = Mapping[str, Callable[[Results], str]]

MEASURES = ("", "events/s", "p50 ms", "p99 ms", "CPU of the service, ms an event", "CPU of Restate")


def in_page(page: str, results: Results, tables: Tables | None = None) -> str:
    """Return the page, with each table between its marks.

    Raises:
        ValueError: the page has no place for a table, or two, or a place for an unknown table.
    """
    tables = TABLES if tables is None else tables
    places = [found[1] for found in BLOCK.finditer(page)]
    if sorted(places) != sorted(tables):
        raise ValueError(f"the page has places for {sorted(places)}; wanted is one for each of {sorted(tables)}")
    return BLOCK.sub(lambda found: f"{found[1]}{found[2]}\n{tables[found[1]](results)}\n\n", page)


def table(head: Cells, rows: Sequence[Cells]) -> str:
    first, *rest = (f"| {' | '.join(cells)} |" for cells in (head, *rows))
    return "\n".join([first, "|" + "---|" * len(head), *rest])


# ── the tables ────────────────────────────────────────────────────────────────────────────────────────────────────────


def measured_on(results: Results) -> str:
    """Say the machine, the versions, and the amount of measurement, in a sentence each."""
    machine, versions = results["machine"], results["versions"]
    client = statistics.median(one.client_cpu_ms for each in by_contender(results).values() for one in each)
    return (
        f"Measured on {results['at']}: {machine['cores']} cores ({machine['processor']}), {machine['system']}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + f". Pairs: {results['rounds']} rounds, {results['seconds']:g} s for each of the two, 16 machines and 16 clients;"
        f" the rest: {results['few']} rounds, seed {results['seed']}. Restate took {results['memory_mib']['Restate']:.0f} MiB"
        f" of memory, the client {client:.2f} ms of CPU an event."
    )


def targets(results: Results) -> str:
    rows = [(one.whom, one.wanted, one.measured, "met" if one.met else "**missed**") for one in verdicts(results)]
    met = sum(cells[-1] == "met" for cells in rows)
    return f"{met} of {len(rows)} are met.\n\n" + table(["", "target", "measured", ""], rows)


def contenders(results: Results) -> str:
    memory = results["memory_mib"]
    rows = [(name, *_measures(each), f"{memory[name]:.0f}") for name, each in by_contender(results).items()]
    return table([*MEASURES, "MiB"], rows)


def ratios(results: Results) -> str:
    rows = [
        (
            f"{one.ours} / {one.other}",
            told(one.throughput),
            told(one.p50),
            f"{one.service_cpu_ms:+.2f}",
            f"{one.restate_cpu_ms:+.2f}",
        )
        for one in comparisons(results)
    ]
    return table(["", "throughput", "p50", "more CPU of the service, ms an event", "of Restate"], rows)


def loads(results: Results) -> str:
    alone, *more = results["loads"].values()
    many = by_contender(results)
    rows = [
        (
            name,
            f"{median(alone[name], 'p50_ms'):.1f}",
            f"{median(alone[name], 'p99_ms'):.1f}",
            f"{median(alone[name], 'throughput'):.0f}",
            f"{statistics.median(one.throughput for one in many[name]):.0f}",
            *(f"{median(load[name], 'throughput'):.0f}" for load in more),
        )
        for name in alone
    ]
    head = ["", "p50 ms, alone", "p99 ms, alone", "events/s: 1 machine", "16 machines", *list(results["loads"])[1:]]
    return table(head, rows)


def ways(results: Results) -> str:
    head = [""]
    for work in results["ways"]:
        head += [f"{work}: per s", "p50 ms, alone"]
    head += ["CPU of the service, ms a pure event", "MiB"]
    pure = next(iter(results["ways"].values()))
    rows = []
    for way in pure:
        cells = [way]
        for loads in results["ways"].values():
            cells.append(_spread([one.throughput for one in samples(loads[way]["many"])], ".0f"))
            cells.append(f"{median(loads[way]['alone'], 'p50_ms'):.1f}")
        cells.append(f"{median(pure[way]['many'], 'service_cpu_ms'):.2f}")
        rows.append([*cells, f"{results['ways_mib'][way]:.0f}"])
    return table(head, rows)


def shapes(results: Results) -> str:
    rows = [(name, *_measures(samples(stored))) for name, stored in results["shapes"].items()]
    return table(MEASURES, rows)


def own_core(results: Results) -> str:
    return table(MEASURES, [(name, *_measures(samples(stored))) for name, stored in results["apart"].items()])


def in_trouble(results: Results) -> str:
    rows = [
        (name, *(_spread(values, ".0f") for values in zip(*stored, strict=True)))
        for name, stored in results["disturbed"].items()
    ]
    return table(["", "events/s", "p50 ms", "p99 ms", "longest ms"], rows)


def growth(results: Results) -> str:
    head = ["", "", "p50 ms, alone", "CPU of the service, ms an event", "CPU of Restate"]
    rows = [
        (
            what,
            f"{int(size):,}",
            f"{median(stored, 'p50_ms'):.2f}",
            f"{median(stored, 'service_cpu_ms'):.2f}",
            f"{median(stored, 'restate_cpu_ms'):.2f}",
        )
        for what, grown in results["growth"].items()
        for size, stored in grown.items()
    ]
    return table(head, rows)


def slopes(results: Results) -> str:
    rows: list[Cells] = []
    for what, grown in results["growth"].items():
        cells = [what]
        for measure in ("service_cpu_ms", "restate_cpu_ms", "p50_ms"):
            found = slope(grown, measure)
            mean, low, high = (f"{value * 1000:+.3g}" for value in found)
            cells.append(f"{mean} ({low} to {high})" + ("" if found.low <= 0 <= found.high else " *"))
        rows.append(cells)
    return table(["one more of", "CPU of the service, µs an event", "CPU of Restate, µs", "p50, µs"], rows)


def startup(results: Results) -> str:
    rows: list[Cells] = [
        (
            name if name.startswith("what") else f"`{name}`",
            _spread(one["ms"], ".0f"),
            ", ".join(f"{name} (if installed)" if name in one["optional"] else name for name in one["packages"])
            or "nothing but the standard library",
        )
        for name, one in results["startup"]["imports"].items()
    ]
    rows += [
        (f"ready with 50 machines, {by}", _spread(times, ".0f"), "")
        for by, times in results["startup"]["ready_ms"].items()
    ]
    return table(["", "ms", "imports"], rows)


def inside(results: Results) -> str:
    """Microseconds of each part, scaled so that they add up to the time without a profiler."""
    played = results["inside"]
    whole = {name: statistics.median(one["us"]) for name, one in played.items()}
    parts = [*PARTS, "the rest"]
    rows: list[Cells] = [
        (part, *(f"{one['shares'].get(part, 0) * whole[name]:.0f}" for name, one in played.items())) for part in parts
    ]
    rows.append(("**all**", *(f"**{_spread(one['us'], '.0f')}**" for one in played.values())))
    return table(["µs of CPU an event", *played], rows)


def in_short(results: Results) -> str:
    """The table of the README: the cost of an event with the default server."""
    many = by_contender(results)
    names = [f"{kind}, {DEFAULT}" for kind in (OURS, FLOOR)] + [XSTATE]
    rows = [
        (
            name,
            f"{statistics.median(one.throughput for one in many[name]):.0f}",
            f"{statistics.median(one.p50_ms for one in many[name]):.1f}",
            f"{statistics.median(one.service_cpu_ms for one in many[name]):.2f}",
        )
        for name in names
    ]
    return table(["", "events/s", "p50 ms", "CPU of the service, ms an event"], rows)


def _measures(each: Sequence[Sample]) -> Cells:
    """The cells below `MEASURES`, without the first."""

    def middle(what: str, form: str) -> str:
        return format(statistics.median(getattr(one, what) for one in each), form)

    return (
        _spread([one.throughput for one in each], ".0f"),
        middle("p50_ms", ".1f"),
        middle("p99_ms", ".1f"),
        middle("service_cpu_ms", ".2f"),
        middle("restate_cpu_ms", ".2f"),
    )


def _spread(values: Sequence[float], form: str) -> str:
    """`1210 (1180 to 1236)`: the median, and the quartiles."""
    middle, low, high = (format(value, form) for value in spread(values))
    return f"{middle} ({low} to {high})"


TABLES: Tables = {
    "machine": measured_on,
    "targets": targets,
    "contenders": contenders,
    "ratios": ratios,
    "loads": loads,
    "ways": ways,
    "shapes": shapes,
    "apart": own_core,
    "disturbed": in_trouble,
    "growth": growth,
    "slopes": slopes,
    "startup": startup,
    "inside": inside,
}
"""The tables, by the names in the page's marks."""

README_TABLES: Tables = {"short": in_short}
"""The tables of the README."""
