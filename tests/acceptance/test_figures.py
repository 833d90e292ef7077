"""The figures at the end of a run: those of all processes, one line for each application and kind of server."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.acceptance import figures
from tests.acceptance.figures import Figures


def test_the_figures_of_workers_are_added_and_shown_by_application(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "FIGURES", Figures())
    worker = Figures()
    worker.counted.update({("greeter", "awake", "success"): 7, ("greeter", "replaying", "failure"): 2})
    worker.versions.add("1.7.12")

    for workeroutput in ({"figures": worker.sent()}, {"figures": worker.sent()}, {}):
        figures.pytest_testnodedown(SimpleNamespace(workeroutput=workeroutput))

    assert figures.FIGURES.versions == {"1.7.12"}
    assert [line.split() for line in figures.FIGURES.lines()] == [
        ["success", "failure", "not", "completed"],
        ["R03", "greeter", "awake", "14", "0", "0"],
        ["R03", "greeter", "replaying", "0", "4", "0"],
    ]
