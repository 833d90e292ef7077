"""The tour, as a reader follows it: every command of its pages is run, and every output is compared as a whole.

`DURABLE_FSM_WRITE_GOLDEN=1 pytest tests/docs/test_tour.py` writes the outputs and the changes into the pages again. Only
installations, which are in blocks `sh`, are left out: the test has an environment of its own.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from durable_fsm.cli.app_arg import find_app
from durable_fsm.testing import NotObserved, free_port, wait_until
from tests.docs.reader import FIRST, PATIENCE, Block, Reader, blocks_of, commands_of, here
from tests.processes import processes_in

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "docs" / "tour"
CHAPTERS = sorted(path for path in TOUR.glob("[0-9][0-9]") if path.is_dir())
PAGES = [ROOT / "docs" / "tour.md", *(path.with_suffix(".md") for path in CHAPTERS)]
WRITE = bool(os.environ.get("DURABLE_FSM_WRITE_GOLDEN"))

OUTSIDE = 9090
MOST_CHANGES = 40
READY = "Ready. Ctrl-C ends it."

VARYING = {
    "reading": r"^As of \d\d:\d\d:\d\d, read in \d+(?:\.\d+)? m?s",
    "link": r"http://127\.0\.0\.1:\d+/enter\?token=[\w-]+",
    "clock": r"^\d\d:\d\d:\d\d(?= )",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)?",
    "attempts": r"\b(?:attempt \d+|\d+ attempts)\b",
    "duration": r"\b\d+(?:\.\d+)? ?m?s\b",
    "invocation": r"\binv_\w+",
    "callback": r"\bsign_[\w-]+",
    "life": r"\b[0-9a-f]{12,32}\b",
    "address": r"\b127\.0\.0\.1:\d+",
}
"""The parts of an output that differ from run to run. A page may show any value of the same kind."""

ANY = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in VARYING.items()))


# ── the changes of each chapter ───────────────────────────────────────────────────────────────────────────────────────


def files_of(chapter: Path) -> dict[str, list[str]]:
    return {path.name: path.read_text("utf-8").splitlines() for path in sorted(chapter.glob("*.py"))}


def changes_of(before: Path, after: Path) -> dict[str, list[str]]:
    """The changes of each file, with two lines around each, below the class or function that they are in."""
    old, new = files_of(before), files_of(after)
    found: dict[str, list[str]] = {}
    for name in sorted({*old, *new}):
        lines = old.get(name, [])
        for line in [*difflib.unified_diff(lines, new.get(name, []), n=2, lineterm="")][2:]:
            place = re.match(r"@@ -(\d+)", line)
            found.setdefault(name, []).append(f"@@ {heading(lines, int(place[1]))}".rstrip() if place else line)
    return found


def write(page: Path, files: Mapping[str, tuple[str, list[str]]]) -> None:
    """Fill the blocks that show these files."""
    text = page.read_text("utf-8")
    for name, (language, lines) in files.items():
        head = f'```{language} title="{name}"\n'
        before, found, rest = text.partition(head)
        _, end, after = f"\n{rest}".partition("\n```\n")
        if found:
            text = before + head + "\n".join(lines) + end + after
    page.write_text(text, "utf-8")


def heading(lines: list[str], place: int) -> str:
    """The class or function in which a line is, as git names it."""
    return next((line for line in reversed(lines[: place - 1]) if re.match(r"(class|def|async def) ", line)), "")


STEPS = list(pairwise(CHAPTERS))


@pytest.mark.parametrize(("before", "after"), STEPS, ids=[after.name for _, after in STEPS])
def test_a_chapter_shows_its_few_changes(before: Path, after: Path) -> None:
    page = after.with_suffix(".md")
    changes = changes_of(before, after)
    if WRITE:
        write(page, {name: ("diff", lines) for name, lines in changes.items()})

    shown = {one.title: one.text.splitlines() for one in blocks_of(page.read_text("utf-8")) if one.language == "diff"}

    assert shown == changes
    assert 0 < sum(line[0] in "+-" for lines in changes.values() for line in lines) <= MOST_CHANGES


def test_the_first_chapter_shows_its_whole_file() -> None:
    if WRITE:
        write(PAGES[1], {name: ("python", lines) for name, lines in files_of(CHAPTERS[0]).items()})

    shown = [one for one in blocks_of(PAGES[1].read_text("utf-8")) if one.language == "python"]

    assert {one.title: one.text.splitlines() for one in shown} == files_of(CHAPTERS[0])


def test_each_chapter_has_a_picture_of_its_own_code_and_leads_to_the_next_one() -> None:
    listed = re.findall(r"^\| \d+ \| \[.*\]\(tour/(\d\d)\.md\)", PAGES[0].read_text("utf-8"), re.MULTILINE)
    assert listed == [chapter.name for chapter in CHAPTERS]
    for chapter, following in zip(CHAPTERS, [*CHAPTERS[1:], None], strict=True):
        text = chapter.with_suffix(".md").read_text("utf-8")
        assert f"```fsm\ndocs/tour/{chapter.name}/theatre.py:" in text
        assert following is None or f"]({following.name}.md)" in text.rstrip().splitlines()[-1]


def test_dev_finds_the_application_of_each_chapter_in_its_directory() -> None:
    found = [Path(find_app(str(chapter)).target).relative_to(TOUR) for chapter in CHAPTERS]

    *before, last = CHAPTERS
    assert [str(target) for target in found] == [
        *(f"{chapter.name}/theatre.py:app" for chapter in before),
        f"{last.name}/service.py:app",
    ]


# ── the commands ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Program:
    """A program that runs in a further terminal, and how far its output was read."""

    process: subprocess.Popen[bytes]
    screen: Path
    read: int = 0


@dataclass
class Visitor:
    """A reader of the tour. It learns the ids and addresses that its own run has instead of those on the pages."""

    reader: Reader
    checkout: Path
    learnt: dict[str, str] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)
    read: int = 0
    done: int = 0

    def follow(self, page: Path) -> None:
        """Do what the page says, and compare all that it shows; or write it."""
        text = page.read_text("utf-8")
        new: list[tuple[Block, str]] = []
        try:
            for block in blocks_of(text):
                if block.language == "console":
                    new.append((block, "".join(self.run(block))))
                elif block.language == "text":
                    new.append((block, "".join(f"{line}\n" for line in self.watch(block))))
                else:
                    assert block.language in ("diff", "fsm", "python", "sh"), (
                        f"{page.name}: {block.language} is not run"
                    )
        finally:
            if WRITE:
                for block, shown in reversed(new):
                    text = text[: block.start] + shown + text[block.start + len(block.text) :]
                page.write_text(text, "utf-8")

    def run(self, block: Block) -> Iterator[str]:
        """Run the commands of a block; yields each with its output, as the page is to show it."""
        folder = self.reader.place
        for command, shown in commands_of(block.text):
            self.done += 1
            if block.title == FIRST:
                self.reader.begin(command)
                printed = self.started()
            elif not block.title:
                printed = self.reader.type(self.translated(command)).splitlines()
            elif command.startswith("cd "):
                folder = (folder / command.removeprefix("cd ")).resolve()
                printed = []
            else:
                self.start(block.title, command, folder)
                printed = self.shown_by(self.programs[block.title], shown) if shown else []
            yield "".join(f"{line}\n" for line in (f"$ {command}", *self.compared(command, shown, printed)))

    def watch(self, block: Block) -> list[str]:
        """Wait until a terminal shows the lines of a block, one below the other; or type them into it."""
        lines = block.text.splitlines()
        if block.title.startswith("type in the "):
            program = self.programs[block.title.removeprefix("type in the ")].process
            assert program.stdin is not None
            program.stdin.write(block.text.encode())
            program.stdin.flush()
            return lines
        if block.title == FIRST:
            seen, self.read = self.found(self.reader.screen, self.read, lines)
        else:
            program = self.programs[block.title]
            seen, program.read = self.found(program.screen, program.read, lines)
        return self.compared(block.title, lines, seen)

    # ── terminals ─────────────────────────────────────────────────────────────────────────────────────────────────

    def started(self) -> list[str]:
        """All that `dev` prints until it serves."""
        screen = self.reader.screen
        wait_until(lambda: READY in screen.read_text() or not self.alive, PATIENCE, "dev to serve")
        self.read = len(screen.read_text().partition(READY)[0] + READY)
        return screen.read_text()[: self.read].splitlines()

    @property
    def alive(self) -> bool:
        return self.reader.dev is not None and self.reader.dev.poll() is None

    def start(self, title: str, command: str, folder: Path) -> None:
        screen = self.checkout.parent / f"screen of the {title}"
        with screen.open("wb") as output:
            process = subprocess.Popen(
                self.translated(command).split(),
                cwd=folder,
                env=self.reader.env | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.programs[title] = Program(process, screen)

    def shown_by(self, program: Program, shown: list[str]) -> list[str]:
        """The first lines that a program prints, as many as the page shows."""

        def lines() -> list[str]:
            return program.screen.read_text().splitlines()

        wait_until(lambda: len(lines()) >= len(shown) or program.process.poll() is not None, PATIENCE, "its output")
        program.read = len("".join(f"{line}\n" for line in lines()[: len(shown)]))
        return lines()[: len(shown)]

    def found(self, screen: Path, read: int, wanted: list[str]) -> tuple[list[str], int]:
        """Wait until lines like these are on a screen, one below the other; returns them, and the place after them.

        A line `…` on the page is for any lines in between.
        """
        seen: list[str] = []
        for part in "\n".join(wanted).split("\n…\n"):
            lines, read = self.found_together(screen, read, part.splitlines())
            seen += [*(["…"] if seen else []), *lines]
        return seen, read

    def found_together(self, screen: Path, read: int, wanted: list[str]) -> tuple[list[str], int]:
        kinds = [without_clock(line) for line in wanted]

        def place() -> tuple[list[str], int] | None:
            new = screen.read_text()[read:].splitlines(keepends=True)
            for first in range(len(new)):
                seen = new[first : first + len(kinds)]
                if [without_clock(self.as_on_page(line)) for line in seen] == kinds:
                    return [line.rstrip() for line in seen], read + sum(map(len, new[: first + len(kinds)]))
            return None

        try:
            found = wait_until(place, PATIENCE)
        except NotObserved:
            pytest.fail("\n".join([*wanted, "is not on the screen:", screen.read_text()[read:]]))
        assert found is not None
        return found

    def end(self) -> None:
        self.reader.end()
        for program in self.programs.values():
            program.process.kill()
            program.process.communicate()
        wait_until(lambda: not processes_in(self.checkout), PATIENCE, "the end of everything")

    # ── outputs ───────────────────────────────────────────────────────────────────────────────────────────────────

    def translated(self, command: str) -> str:
        """A command of a page, for this run."""
        for told, real in self.learnt.items():
            command = command.replace(told, real)
        return here(command, self.reader.ports)

    def as_on_page(self, line: str) -> str:
        """A line of this run with the ports of the page."""
        for usual, port in self.reader.ports.items():
            line = line.replace(str(port), str(usual))
        return line.rstrip()

    def compared(self, command: str, shown: list[str], printed: list[str]) -> list[str]:
        """The output for the page, which must be what the page shows; varying parts stay as they are there."""
        told = "\n".join(map(self.as_on_page, printed)).rstrip().splitlines()
        same = [skeleton(line) for line in shown] == [skeleton(line) for line in told]
        if WRITE and not same:
            return told
        assert same, f"{command}\n" + "\n".join(difflib.unified_diff(shown, told, "the page", "this run", lineterm=""))
        self.learn(shown, told)
        return shown

    def learn(self, shown: list[str], told: list[str]) -> None:
        for ours, theirs in zip(shown, told, strict=True):
            pairs = zip(ANY.finditer(ours), ANY.finditer(theirs), strict=True)
            self.learnt |= {one[0]: other[0] for one, other in pairs if one[0] != other[0]}


def skeleton(line: str) -> str:
    """A line with the kind of each varying part in its place; a column may be wider."""
    return re.sub(r"  +", "  ", ANY.sub(lambda found: f"‹{found.lastgroup}›", line.rstrip()))


def without_clock(line: str) -> str:
    return skeleton(line).removeprefix("‹clock› ")


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Visitor]:
    """A visitor in an empty directory, next to a checkout whose files name the ports of this test."""
    place, checkout = tmp_path / "theatre", tmp_path / "durable_fsm"
    place.mkdir()
    reader = Reader(place)
    reader.ports[OUTSIDE] = free_port()
    for path in [*TOUR.glob("*/*.py"), *TOUR.glob("*.py")]:
        copy = checkout / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(here(path.read_text("utf-8"), reader.ports), "utf-8")
    (checkout / "machines").symlink_to(ROOT / "machines")
    visitor = Visitor(reader, checkout)
    yield visitor
    visitor.end()


@pytest.mark.first
def test_the_commands_of_the_tour_print_what_it_shows(visitor: Visitor) -> None:
    for page in PAGES:
        visitor.follow(page)

    assert visitor.done > 80


@pytest.mark.parametrize(
    ("page", "run"),
    [
        ("due at 2030-01-01T12:00:00.000+00:00", "due at 2031-02-03T04:05:06.789+00:00"),
        ("inv_1aB  running", "inv_9zZ2   running"),
        ("2 passed in 0.05s", "2 passed in 1.20s"),
    ],
)
def test_outputs_are_the_same_but_for_their_varying_parts(page: str, run: str) -> None:
    assert skeleton(page) == skeleton(run)


@pytest.mark.parametrize("run", ["2 passed", "3 passed in 0.05s", "2 passed in 0.05s, or more", "2 Passed in 0.05s"])
def test_an_output_that_differs_is_found(run: str) -> None:
    assert skeleton("2 passed in 0.05s") != skeleton(run)
