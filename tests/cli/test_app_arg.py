"""The application or chart that dev and serve take from a directory, a file or a name."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from durable_fsm.cli.app_arg import find_app
from durable_fsm.restate.app import charts_of
from durable_fsm.serving import Listener, ServeJob

APP = "import durable_fsm\n\napp = durable_fsm.app(Order)\n"
CHART = "class Order(StateChart[Data]):\n    pass\n"
CONFIG = "Door = durable_fsm.TransitionsConfig(\n"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"a.py": CHART}, "a.py:Order"),
        ({"a.py": CONFIG}, "a.py:Door"),
        ({"a.py": CHART, "b.py": APP}, "b.py:app"),
        ({"a.py": CHART, "pyproject.toml": "[tool.durable_fsm]\napp = 'c:app'\n"}, "c:app"),
    ],
    ids=["chart", "configuration", "application first", "project"],
)
def test_a_directory_is_served_by_what_it_has(tmp_path: Path, files: dict[str, str], found: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    app = find_app(str(tmp_path))

    assert app.target.removeprefix(f"{tmp_path}/") == found
    assert app.folder == tmp_path


def test_a_target_below_the_current_directory_is_shown_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.py").write_text(CHART)
    app = find_app(str(tmp_path))
    elsewhere = app.shown

    monkeypatch.chdir(tmp_path)

    assert (elsewhere, app.shown) == (f"{tmp_path}/a.py:Order", "a.py:Order")


def test_a_file_with_one_chart_needs_no_name(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text(CHART)

    assert find_app(str(file)).target == f"{file}:Order"
    assert find_app("order.scxml").target == "order.scxml"


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "has no application"), (CHART + CONFIG, "has more than one application or chart. Name one: ")],
    ids=["nothing", "two"],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "a.py").write_text(text)

    with pytest.raises(click.UsageError, match=problem):
        find_app(str(tmp_path))


def test_a_chart_is_served_as_an_application_of_its_own() -> None:
    job = ServeJob(target=f"{Path(__file__).parent / 'lamp.py'}:Lamp", listener=Listener())

    app, lifespan = job.application()

    assert [chart.name for chart in charts_of(app)] == ["Lamp"]
    assert not lifespan
