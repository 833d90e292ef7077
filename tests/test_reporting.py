"""The plugin of tests/reporting.py: a failure is printed in full, once, and as soon as it has happened."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
HEEDFUL = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it"
)


def run(place: Path, tests: str, *options: str) -> str:
    """Run *tests* with the plugin, in a folder of their own, and return what pytest printed.

    The tests find the same text in `output.txt`, while it is written.
    """
    (place / "test_inner.py").write_text(textwrap.dedent(tests))
    (place / "conftest.py").write_text(HEEDFUL)
    above = [f"--rootdir={place}", f"--confcutdir={place}"]  # nothing there is looked through
    isolated = ["-p", "xdist", "-p", "no:cacheprovider", *above, "-c", os.devnull]
    with (place / "output.txt").open("wb") as output:
        subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "tests.reporting", *isolated, *options, "test_inner.py"],
            cwd=place,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "COLUMNS": "100",
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # the others take longer to import than the tests run
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=120,
        )
    return (place / "output.txt").read_text("utf-8")


def test_a_failure_is_printed_before_the_next_test_ends_and_not_again_when_interrupted(tmp_path: Path) -> None:
    printed = run(
        tmp_path,
        """
        import os, signal, time
        from pathlib import Path

        def test_first():
            print("what it said")
            assert "given" == "expected"

        def test_second():
            while "what it said\\n" not in Path("output.txt").read_text():
                time.sleep(0.01)
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(100)
        """,
        *("-n", "1"),
    )

    [title] = [line for line in printed.splitlines() if "FAILED: test_inner.py::test_first" in line]
    assert title.startswith("_")  # not on the line of dots
    assert printed.count("what it said\n") == 1
    assert printed.count("'given' == 'expected'") == 2  # also in the list of names
    assert "KeyboardInterrupt" in printed
    assert printed.splitlines()[-1].startswith("=")
    assert "1 failed in" in printed.splitlines()[-1]


def test_the_end_has_a_list_of_names_only(tmp_path: Path) -> None:
    printed = run(
        tmp_path,
        """
        import pytest

        @pytest.fixture
        def broken():
            raise OSError("no room")

        @pytest.fixture
        def leaves():
            yield
            print("the last words")

        def test_setup(broken): pass
        def test_teardown(leaves): assert not "this"
        def test_passes(): print("unheard")
        """,
    )
    shown, end = printed.split("short test summary info")

    assert "ERROR at setup: test_inner.py::test_setup" in shown
    assert shown.count('raise OSError("no room")') == 1
    assert shown.index("FAILED: test_inner.py::test_teardown") < shown.index("the last words")
    assert "unheard" not in printed
    assert [line.split(" - ")[0] for line in end.splitlines()[1:-1]] == [
        "FAILED test_inner.py::test_teardown",
        "ERROR test_inner.py::test_setup",
    ]
    assert "1 failed, 1 passed, 1 error in" in end


def test_an_error_of_collection_is_printed(tmp_path: Path) -> None:
    printed = run(tmp_path, "import nowhere_to_be_found")

    assert printed.count("No module named 'nowhere_to_be_found'") == 1
    assert "ERROR at collection: test_inner.py" in printed


def test_tb_no_prints_the_names_only(tmp_path: Path) -> None:
    printed = run(tmp_path, "def test_any():\n    print('what it said')\n    assert 1 == 2\n", "--tb=no")

    assert "what it said" not in printed
    assert "FAILED: test_inner.py::test_any" in printed
