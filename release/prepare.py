"""`make release`: make the changes of a release in this checkout, to be read and committed.

The version is set, and the fragments in changes/ become an entry of CHANGELOG.md.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from hatch_build import VERSION

ROOT = Path(__file__).parents[1]
INIT = Path("src/durable_fsm/__init__.py")
BEFORE_THE_FIRST = {
    "CHANGELOG.md": re.compile(r" Nothing is released yet: [^.]*\."),
    "changes/README.md": re.compile(r"Nothing is released yet, .*?\n\n", re.DOTALL),
}
"""Sentences that the first release makes untrue."""


class Unready(Exception):
    """The release cannot be made; the message says why, and what to do."""


def current_version(root: Path = ROOT) -> str:
    """The version of the checkout."""
    [version] = VERSION.findall((root / INIT).read_text("utf-8"))
    return str(version)


def next_version(root: Path = ROOT) -> str:
    """The version that is released next: that of the checkout without `.dev0`."""
    return current_version(root).partition(".dev")[0]


def prepare(root: Path, version: str) -> None:
    """Make the changes of a release in this folder: the version, and the changelog, whose fragments are removed."""
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version):
        raise Unready(f"'{version}' is not a version such as 0.1.0 or 0.2.0rc1.")
    if f"\n## {version} (" in (root / "CHANGELOG.md").read_text("utf-8"):
        raise Unready(f"CHANGELOG.md has an entry for {version} already. Choose the next version.")
    if "\n## " not in (root / "CHANGELOG.md").read_text("utf-8"):
        begun = [path.name for path in sorted((root / "changes").glob("*.*.md")) if not path.stem.endswith(".added")]
        if begun:
            raise Unready(
                f"{version} is the first release, and these fragments tell of changes: {', '.join(begun)}. "
                "Say what is new in the fragment of its topic instead."
            )
    for name, words in BEFORE_THE_FIRST.items():
        page = root / name
        page.write_text(words.sub("", page.read_text("utf-8")), "utf-8")
    path = root / INIT
    path.write_text(VERSION.sub(f'__version__ = "{version}"', path.read_text("utf-8")), "utf-8")
    run("-m", "towncrier", "build", "--yes", "--version", version, cwd=root)
    citation = root / "CITATION.cff"
    citation.write_text(
        re.sub(r"^version: .*$", f"version: {version}", citation.read_text("utf-8"), flags=re.MULTILINE), "utf-8"
    )


def run(*arguments: str | Path, cwd: Path = ROOT) -> str:
    """Run Python with these arguments; what it prints.

    Raises:
        Unready: it failed.
    """
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unready(f"{' '.join(map(str, arguments))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def main(version: str) -> int:
    try:
        prepare(ROOT, version)
    except Unready as problem:
        print(f"Not ready: {problem}", file=sys.stderr)
        return 1
    print(f"The version is {version}, and CHANGELOG.md is complete. CONTRIBUTING.md says how to continue.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or [next_version()]))
