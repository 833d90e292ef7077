"""Find the processes of this computer by their working directory."""

from __future__ import annotations

from pathlib import Path


def processes_in(folder: Path) -> list[int]:
    """Return the pids of processes whose working directory is *folder*, or below it."""
    found: list[int] = []
    for process in Path("/proc").iterdir():
        try:
            place = (process / "cwd").readlink() if process.name.isdigit() else None
        except OSError:
            continue
        if place is not None and place.is_relative_to(folder):
            found.append(int(process.name))
    return found
