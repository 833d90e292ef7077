"""A release: the README on PyPI, the licences of what we need, and the files that a repository shows to strangers."""

from __future__ import annotations

import json
import re
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml

from durable_fsm import __version__
from hatch_build import described
from release import licences
from release.prepare import Unready, next_version, prepare

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
SOURCE = "https://host.example/us/durable_fsm"
SCHEMAS = files("check_jsonschema") / "builtin_schemas" / "vendor"


# ── the README on PyPI ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "with_source", "without"),
    [
        ("[why](docs/why.md#x)", f"[why]({SOURCE}/blob/v1.2.3/docs/why.md#x)", "why"),
        ("![a door](docs/door.svg)", f"![a door]({SOURCE}/raw/v1.2.3/docs/door.svg)", ""),
        (
            '<img src="docs/door.svg" alt="a door" width="9">',
            f'<img src="{SOURCE}/raw/v1.2.3/docs/door.svg" alt="a door" width="9">',
            "",
        ),
        ("[it](https://restate.dev)", "[it](https://restate.dev)", "[it](https://restate.dev)"),
        ("[below](#install)", "[below](#install)", "[below](#install)"),
        ("git clone <this repository>", f"git clone {SOURCE}", "git clone <this repository>"),
        ("pip install .    # it", "pip install durable-fsm    # it", "pip install durable-fsm    # it"),
        ("pip install '.[node]'", "pip install 'durable-fsm[node]'", "pip install 'durable-fsm[node]'"),
    ],
    ids=["link", "picture", "tag", "elsewhere", "anchor", "clone", "install", "extra"],
)
def test_links_and_pictures_become_absolute_or_plain_text(text: str, with_source: str, without: str) -> None:
    assert described(text, f"{SOURCE}/", "1.2.3") == with_source
    assert described(text, "", "1.2.3") == without


def test_nothing_of_the_readme_stays_relative_and_every_file_exists() -> None:
    text = described(README, SOURCE, "1.2.3")
    places = re.findall(rf"{SOURCE}/(?:raw|blob)/v1\.2\.3/([^)\"\s]+)", text)

    assert re.findall(r"\]\((?!https?:|#)|src=\"(?!https:)|pip install '?\.", text) == []
    assert len(places) > 8
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_without_an_address_the_readme_keeps_its_words() -> None:
    text = described(README, "", "1.2.3")

    assert re.findall(r"\]\((?!https?:|#)|<img", text) == []
    assert "All guarantees lists the others" in text


# ── licences ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_table_of_third_party_packages_is_up_to_date() -> None:
    locked = licences.locked()
    elsewhere = {one.name: one.version for one in licences.packages() if locked[one.name] != one.version}
    if elsewhere:
        pytest.skip(f"The table is for the versions of constraints.txt; here are others: {elsewhere}.")

    assert licences.PAGE.read_text("utf-8") == licences.page(), "run: python -m release.licences"


def test_every_licence_lets_users_keep_theirs() -> None:
    assert [(one.name, one.licence) for one in licences.packages() if licences.refused(one.licence)] == []


@pytest.mark.parametrize(
    ("expression", "refused"),
    [
        ("MIT", False),
        ("MIT OR GPL-2.0-only", False),
        ("Apache-2.0 AND LGPL-2.1-only", True),
        ("EPL-2.0 AND OFL-1.1 AND MIT", False),
        ("(MIT OR GPL-3.0-only) AND GPL-2.0-only", True),
    ],
)
def test_one_refused_licence_that_must_hold_is_too_many(expression: str, refused: bool) -> None:
    assert licences.refused(expression) is refused


def test_a_licence_without_metadata_is_known_by_its_text() -> None:
    assert licences.licence_of(metadata.distribution("resvg-py")) == "MIT"
    assert list(licences.licences_in(["Redistributions in\nbinary form"])) == ["BSD-2-Clause"]
    assert list(licences.licences_in(["All rights reserved."])) == []


# ── the version ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_next_version_is_that_of_the_package_without_its_suffix() -> None:
    assert next_version() == __version__.partition(".dev")[0]


@pytest.mark.parametrize("version", ["next", "1.0", "0.1.0.dev0"])
def test_a_release_needs_a_version_that_can_be_released(version: str, tmp_path: Path) -> None:
    with pytest.raises(Unready, match="is not a version such as"):
        prepare(tmp_path, version)


def test_a_version_is_released_once(tmp_path: Path) -> None:
    (tmp_path / "CHANGELOG.md").write_text("# Changes\n\n## 0.1.0 (2026-01-01)\n", "utf-8")

    with pytest.raises(Unready, match=r"has an entry for 0\.1\.0 already"):
        prepare(tmp_path, "0.1.0")


def test_a_first_release_has_changed_nothing(tmp_path: Path) -> None:
    (tmp_path / "CHANGELOG.md").write_text("# Changes\n", "utf-8")
    (tmp_path / "changes").mkdir()
    (tmp_path / "changes" / "clock.fixed.md").write_text("The clock no longer stops.\n", "utf-8")

    with pytest.raises(Unready, match=r"these fragments tell of changes: clock\.fixed\.md\."):
        prepare(tmp_path, "0.1.0")


# ── what strangers read ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_citation_names_version_and_licence_of_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))

    assert citation["version"] == __version__
    assert citation["license"] == licences.project()["license"]


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        ("CITATION.cff", "citation-file-format"),
        (".github/ISSUE_TEMPLATE/bug.yml", "github-issue-forms"),
        (".github/ISSUE_TEMPLATE/config.yml", "github-issue-config"),
        (".github/ISSUE_TEMPLATE/idea.yml", "github-issue-forms"),
    ],
    ids=["citation", "bug", "config", "idea"],
)
def test_a_file_for_the_host_has_the_form_that_the_host_expects(file: str, schema: str) -> None:
    rules = json.loads((SCHEMAS / f"{schema}.json").read_text("utf-8"))

    jsonschema.validate(yaml.safe_load((ROOT / file).read_text("utf-8")), rules)


@pytest.mark.parametrize("page", ["SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "changes/README.md"])
def test_every_link_of_a_page_at_the_root_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")

    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        assert "://" in target or ((ROOT / page).parent / target).exists(), f"{target} is not there"


def test_the_image_is_built_from_every_file_that_the_build_reads() -> None:
    image = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
    [copied] = [line.split()[1:-1] for line in image.splitlines() if line.startswith("COPY pyproject.toml ")]

    assert {"pyproject.toml", "hatch_build.py", "README.md", "LICENSE"} <= set(copied)
