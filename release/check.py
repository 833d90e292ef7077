"""`make release-check`: rehearse the release of the next version, in a copy of the checkout and without the network.

Everything that can fail on the day is done here: the changelog is built from the fragments, the version is set, source
distribution and wheel are built and checked, the README is rendered as PyPI does, licences are compared, and the software
bill of materials is written. The results stay in build/release. Nothing is tagged, committed or uploaded.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from readme_renderer import markdown

from release import licences
from release.bill import bill
from release.prepare import ROOT, Unready, current_version, next_version, prepare, run

PLACE = ROOT / "build" / "release"


def copied(place: Path) -> None:
    """Copy the files that git does not ignore, as they are now, into a new repository."""
    shutil.rmtree(place, ignore_errors=True)
    list_files = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(list_files, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unready(f"This is not a checkout of git: {error}") from error
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    for command in (["init", "--quiet"], ["add", "--all"]):  # towncrier removes fragments with git
        subprocess.run(["git", *command], cwd=place, check=True)


def built(tree: Path, place: Path) -> tuple[Path, Path]:
    """Build the source distribution, and the wheel from it, as an installer would."""
    shutil.rmtree(place, ignore_errors=True)
    run("-m", "hatchling", "build", "--target", "sdist", "--directory", place, cwd=tree)
    [source] = place.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(place, filter="data")
    [unpacked] = (one for one in place.iterdir() if one.is_dir())
    run("-m", "hatchling", "build", "--target", "wheel", "--directory", place, cwd=unpacked)
    shutil.rmtree(unpacked)
    [wheel] = place.glob("*.whl")
    return source, wheel


def description(wheel: Path) -> str:
    """The README in the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as content:
        [name] = [name for name in content.namelist() if name.endswith(".dist-info/METADATA")]
        return content.read(name).decode("utf-8").partition("\n\n")[2]


def check(version: str) -> None:
    """Rehearse the release, and print what was checked.

    Raises:
        Unready: something is missing.
    """
    tree, dist = PLACE / "tree", PLACE / "dist"
    copied(tree)
    if version != current_version():  # otherwise this is the commit of the release
        prepare(tree, version)
    entry = (tree / "CHANGELOG.md").read_text("utf-8").partition(f"\n## {version} (")[2].partition("\n## ")[0]
    if not entry:
        raise Unready(f"CHANGELOG.md has no entry for {version}. Run `make release` before you set the version.")
    (PLACE / "changes.md").write_text(f"## {version} ({entry}", "utf-8")
    print(f"changelog    {len(re.findall('^- ', entry, re.MULTILINE))} changes, to be read in build/release/changes.md")

    source, wheel = built(tree, dist)
    run("-m", "twine", "check", "--strict", source, wheel)
    run("-m", "check_wheel_contents", wheel)
    print(f"packages     {source.name}, {wheel.name}: accepted by twine and check-wheel-contents")

    text = description(wheel)
    html = markdown.render(text)
    if html is None:
        raise Unready("PyPI could not render README.md.")
    (PLACE / "readme.html").write_text(f"<!doctype html><meta charset='utf-8'><article>{html}</article>", "utf-8")
    if "Source" in licences.project().get("urls", {}):
        print("README       rendered into build/release/readme.html; pictures and links are absolute")
    else:
        print("README       rendered into build/release/readme.html. pyproject.toml has no address of the repository")
        print("             (project.urls, Source), so its pictures are left out and its links are plain text")

    if licences.PAGE.read_text("utf-8") != licences.page():
        raise Unready("THIRD_PARTY.md is stale. Run `python -m release.licences`.")
    needed = licences.packages()
    if bad := [one.name for one in needed if licences.refused(one.licence)]:
        raise Unready(f"The licences of {', '.join(bad)} are not among those that we accept; see release/licences.py.")
    print(f"licences     {len(needed)} packages, as in THIRD_PARTY.md")

    (PLACE / "sbom.cdx.json").write_text(bill(version) + "\n", "utf-8")
    print("materials    build/release/sbom.cdx.json, valid CycloneDX 1.6")
    shutil.rmtree(tree)


def main(version: str) -> int:
    try:
        check(version)
    except Unready as problem:
        print(f"Not ready: {problem}", file=sys.stderr)
        return 1
    print(f"\nReady to be released as {version}. CONTRIBUTING.md says how.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or [next_version()]))
