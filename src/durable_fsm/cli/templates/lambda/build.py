"""Build build/lambda.zip: this project and its packages, as AWS Lambda needs them, without Docker.

    python build.py            # the versions in requirements.lock; the newest if there is no such file, and writes it
    python build.py --upgrade  # the newest versions, and writes requirements.lock again

pip fetches packages that were compiled for Lambda's system. The same versions give the same bytes, so a deployment
replaces the function only if something has changed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

LOCK = Path("requirements.lock")
PACKAGES = Path("build/packages")
ASSET = Path("build/lambda.zip")
MOST_MB = 250
"""Lambda's limit for everything in the zip, unpacked."""

PYTHON_ON_ARM64 = [
    "--python-version=3.13",
    "--implementation=cp",
    "--platform=manylinux_2_28_aarch64",  # packages for glibc 2.28 and older; Lambda has 2.34
    "--platform=manylinux2014_aarch64",
    "--only-binary=:all:",
]
NOT_NEEDED = {"bin", "__pycache__", "RECORD", "REQUESTED"}
"""Files and folders that differ from one installation to the next."""


def main() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))
    if LOCK.exists() and "--upgrade" not in sys.argv:
        install("--no-deps", *LOCK.read_text("utf-8").splitlines())
    else:
        install(*project["project"]["dependencies"])
        LOCK.write_text(pip("freeze", f"--path={PACKAGES}"), "utf-8")
    pack(["handler.py", *project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]])


def install(*requirements: str) -> None:
    """Install packages into `PACKAGES`, and nothing else."""
    shutil.rmtree(PACKAGES, ignore_errors=True)
    pip("install", "--quiet", "--no-compile", f"--target={PACKAGES}", *PYTHON_ON_ARM64, *requirements)


def pack(modules: list[str]) -> None:
    """Put modules of this project, and the installed packages, into `ASSET`."""
    files = {name: Path(name) for name in modules}
    for path in PACKAGES.rglob("*"):
        inside = path.relative_to(PACKAGES)
        if path.is_file() and NOT_NEEDED.isdisjoint(inside.parts):
            files[inside.as_posix()] = path
    size = sum(path.stat().st_size for path in files.values()) / 2**20
    if size > MOST_MB:
        sys.exit(f"{size:.0f} MB is too much: Lambda takes {MOST_MB} MB. Remove a package from pyproject.toml.")
    with ZipFile(ASSET, "w") as asset:
        for name in sorted(files):
            entry = ZipInfo(name)  # dated 1980, whenever the file was written
            entry.compress_type, entry.external_attr = ZIP_DEFLATED, 0o644 << 16
            asset.writestr(entry, files[name].read_bytes())
    print(f"{ASSET}: {ASSET.stat().st_size / 2**20:.0f} MB, {size:.0f} MB unpacked, {len(files)} files.")


def pip(*arguments: str) -> str:
    """Run pip; return what it prints."""
    ran = subprocess.run([sys.executable, "-m", "pip", *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if ran.returncode:
        sys.exit(f"pip failed with exit code {ran.returncode}; its message is above.")
    return ran.stdout


if __name__ == "__main__":
    main()
