"""Imports of Restate's SDK leave out two of its parts until they are used: its HTTP client, and its harness for tests.

`import restate` imports both, and with them httpx, hypercorn and whatever they need: half of the time of the import, for
nothing that a service uses. The SDK does without them where their packages are missing, and has no option for it.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any

LEFT_OUT = {
    "create_client": "restate.client",
    "create_test_harness": "restate.harness",
    "test_harness": "restate.harness",
}
"""Functions of those parts that the SDK exports, and their modules."""


class _Lean(MetaPathFinder):
    """Finds the SDK once, as it is found otherwise."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "restate":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        loader: Any = None if spec is None else spec.loader
        if loader is not None:
            loader.exec_module = _executing(loader)
        return spec


def _executing(loader: Any) -> Any:  # Any: a loader's own method
    """How this loader executes the SDK, without the parts that are left out."""
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        del loader.exec_module
        waiting = {home for home in LEFT_OUT.values() if home not in sys.modules}
        modules: dict[str, Any] = sys.modules
        modules.update(dict.fromkeys(waiting))  # None says that a module cannot be imported
        try:
            execute(module)
        finally:
            for home in waiting:
                del modules[home]
        lacking = {name: vars(module).pop(name) for name in LEFT_OUT}  # they say which package is missing

        def later(name: str) -> Any:
            if name not in LEFT_OUT:
                raise AttributeError(f"module 'restate' has no attribute '{name}'")
            try:
                found = getattr(importlib.import_module(LEFT_OUT[name]), name)
            except ImportError:
                found = lacking[name]
            vars(module)[name] = found
            return found

        vars(module)["__getattr__"] = later

    return exec_module


def prepare() -> None:
    """Make the next import of the SDK a lean one; nothing changes if it is imported already."""
    if "restate" not in sys.modules:
        sys.meta_path.insert(0, _Lean())
