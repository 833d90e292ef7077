"""The bad hour, from the first failure of an activity until its code is corrected: everything that an operator asks says why.

`bad_hour.txt` holds everything that is printed; `DURABLE_FSM_WRITE_GOLDEN=1 pytest tests/cli/test_bad_hour.py` writes it
again. Numbers of attempts and times differ from run to run, and are left out.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner

from durable_fsm.cli import main
from durable_fsm.testing import RestateServer, Served, wait_until

pytestmark = pytest.mark.server

HERE = Path(__file__).parent
GOLDEN = HERE / "bad_hour.txt"
WRONG, RIGHT = 'answer["receipt"]', 'answer["receipt_number"]'

UNSTEADY = [
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d+)?(\+00:00)?", "<time>"),
    (r"^ *[~^]+\n", ""),  # Python 3.11 draws them, and others draw them otherwise
    (r"attempt \d+", "attempt <n>"),
    (r"up to \d+ attempts", "up to <n> attempts"),
    (r"https?://[\d.]+:\d+", "<address>"),
    (r"dp_\w+", "<id>"),
    (r"Next in [\d.]+ s", "Next in <n> s"),
    (r"\} \d+$", "} <n>"),
    (r" +$", ""),
    (r"  +", "  "),
]


def steady(text: str, folder: Path) -> str:
    text = text.replace(f"{folder}/", "")
    for pattern, name in UNSTEADY:
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return text


def test_the_bad_hour(tmp_path: Path) -> None:
    shutil.copytree(HERE / "bad_hour", tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    log, counters, code = tmp_path / "service.log", tmp_path / "counters", tmp_path / "shop.py"
    env = {"SHOP_METRICS": str(counters), "PYTHONDONTWRITEBYTECODE": "1"}
    told: list[str] = []

    with (
        RestateServer() as server,
        Served.begin("service:app", server, log=log, app_dir=tmp_path, env=env) as served,
        ExitStack() as ending,
    ):
        places = ["--ingress", server.ingress_url, "--admin", server.admin_url]

        def run(line: str) -> str:
            command, *arguments = shlex.split(line)
            return CliRunner().invoke(main, [command, *places, *arguments]).stdout

        def tell(line: str) -> None:
            told.append(f"$ durable-fsm {line}\n{run(line)}")

        def failing(key: str) -> int:
            steps = json.loads(run(f"show {key} --json"))["activities"][0].get("failing", [{"attempt": 0}])
            return int(steps[0]["attempt"])

        def retried() -> bool:
            return all(failing(f"Order/o-{number}") > 1 for number in (17, 18))

        tell("send Order/o-17 checkout 500")
        wait_until(lambda: failing("Order/o-17") > 0, what="the first activity to fail")
        run("send Order/o-18 checkout 700")
        wait_until(retried, what="both activities to be tried again")
        for line in ("show Order/o-17", "history Order/o-17", "list Order", "doctor"):
            tell(line)
        told.append("The log:\n" + _traceback(log) + "".join(line for line in _lines(log) if "o-17: attempt 2" in line))
        wait_until(lambda: "retries" in counters.read_text(), what="the retries to be counted")
        told.append("The counters:\n" + [line for line in _lines(counters) if "retries" in line][-1])

        assert len(run("list Order --failing").splitlines()) == 3
        assert run("doctor --attempts 1000 --failing-for 1d") == "Nothing is wrong.\n"

        beside = tmp_path / "beside"
        shutil.copytree(HERE / "bad_hour", beside, ignore=shutil.ignore_patterns("__pycache__"))
        corrected = code.read_text().replace(WRONG, RIGHT)
        (beside / "shop.py").write_text(corrected)
        newer = ending.enter_context(Served.begin("service:app", server, log=log, app_dir=beside, env=env))
        assert newer.deployment.id != served.deployment.id
        told.append("The corrected code is deployed at another address.\n")
        tell("doctor")

        watching = ending.enter_context(_watching("Order/o-17", *places))
        told.append(f"$ durable-fsm watch Order/o-17\n{watching.readline()}{watching.readline()}")
        code.write_text(corrected)
        served.restart()
        wait_until(lambda: run("list Order --status done").count("paid") == 2, what="all to heal")
        told.append("The corrected code is deployed in the same place.\n")
        wait_until(lambda: "no invocations left" in run("doctor"), what="the older deployment to have no work left")
        for line in ("show Order/o-17", "history Order/o-17", "list Order", "doctor"):
            tell(line)
    text = steady("\n".join(told), tmp_path)

    if os.environ.get("DURABLE_FSM_WRITE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text("utf-8")


def _traceback(log: Path) -> str:
    """The traceback in the log, from the line that introduces it to that of the exception."""
    lines = _lines(log)
    begin = next(place for place, line in enumerate(lines) if line.startswith("Traceback"))
    end = next(place for place, line in enumerate(lines[begin:], begin) if line.startswith("KeyError"))
    return "".join(lines[begin - 1 : end + 1])


def test_the_page_for_operators_shows_what_is_really_printed() -> None:
    page = (HERE.parents[1] / "docs" / "operating.md").read_text("utf-8")
    section = page.partition("## An activity keeps failing")[2].partition("\n## ")[0]
    golden = GOLDEN.read_text("utf-8")

    shown = re.findall(r"```text\n(.*?)```", section, flags=re.DOTALL)

    assert len(shown) == 4
    for text in shown:
        assert steady(text, HERE) in golden


@contextmanager
def _watching(*arguments: str) -> Iterator[IO[str]]:
    """The output of `durable-fsm watch`, as long as the block lasts."""
    command = [sys.executable, "-m", "durable_fsm.cli", "watch", *arguments, "--interval", "50ms"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.kill()


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True)
