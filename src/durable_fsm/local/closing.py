"""Base classes of what a `with` statement closes."""

from __future__ import annotations

from typing import Self


class Closing:
    """Closed at the end of its `with` block."""

    __slots__ = ()

    def close(self) -> None:
        """Release everything. Calling it again changes nothing."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class Starting(Closing):
    """Started by its `with` statement, and closed even if the start fails."""

    __slots__ = ()

    def start(self) -> Self:
        """Start it, and return when it is ready."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise
