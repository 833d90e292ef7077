"""The tutorial, as a reader follows it: write its files, run its commands, compare the output."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.reader import FIRST, Reader, blocks_of, commands_of, plain

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    place = tmp_path / "locker"
    place.mkdir()
    reader = Reader(place)
    yield reader
    reader.end()


@pytest.mark.first
def test_the_commands_of_the_tutorial_print_exactly_what_it_shows(reader: Reader) -> None:
    done = 0
    for block in blocks_of(PAGE.read_text("utf-8")):
        match block.language:
            case "python":
                (reader.place / block.title).write_text(block.text, "utf-8")
            case "text":
                assert block.title == FIRST
                for line in block.text.splitlines():
                    reader.sees(line)
            case "console":
                for command, expected in commands_of(block.text):
                    if block.title == FIRST:
                        reader.begin(command)
                        for line in expected:
                            reader.sees(line)
                    else:
                        assert plain(reader.type(command)).splitlines() == reader.shown("\n".join(expected)), command
                    done += 1
            case _:
                assert block.language == "sh", f"nobody runs {block.language}"

    assert done >= 20
    svg = (reader.place / "locker.svg").read_text()
    assert svg.startswith("<svg")
    assert "Overdue" in svg


def test_the_picture_of_the_tutorial_is_up_to_date(tmp_path: Path) -> None:
    *_, locker = [block for block in blocks_of(PAGE.read_text("utf-8")) if block.title == "locker.py"]
    (tmp_path / "locker.py").write_text(locker.text, "utf-8")
    command = [
        sys.executable,
        "-m",
        "durable_fsm.cli",
        "diagram",
        str(tmp_path / "locker.py:Locker"),
        "--theme",
        "auto",
    ]
    drawn = ROOT / "docs" / "pictures" / "locker.svg"

    checked = subprocess.run(
        [*command, "-o", str(drawn), "--check"], capture_output=True, text=True, check=False, timeout=300
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
