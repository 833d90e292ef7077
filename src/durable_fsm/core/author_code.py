"""Exceptions of an author's code, and how they are reported.

A callback, a guard, a migration, a decoder or a validator of a data type may raise anything, and not only an `Exception`:
`sys.exit()` raises `SystemExit`, an extension that panics a `BaseException` of its own. None of them may get past the call
of the author's function. A `SystemExit` in the event loop ends the process with all its machines, and an invocation that
ends without an answer is run again, for ever. So a plain function of an author is called within

    try:
        ...
    except ANYTHING as error:

Nothing of Restate's is caught by that: a plain function cannot await, and Restate raises only where the host awaits.
A coroutine of an author's can: see `restate.activities.author_calls`.
"""

from __future__ import annotations

from durable_fsm.core.codec import plain
from durable_fsm.core.values import Json
from durable_fsm.errors import DurableFSMError

ANYTHING = BaseException
"""Any exception of a plain function of an author's."""


def words_of(error: BaseException) -> str:
    """The exception's own words; empty if it finds none."""
    try:
        return error.what if isinstance(error, DurableFSMError) else str(error)
    except ANYTHING:  # its author's code too
        return ""


def named(error: BaseException) -> str:
    """`ValueError: too few`: the exception as part of a message."""
    words = words_of(error)
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def metadata_of(error: BaseException) -> Json:
    """The `metadata` of an exception, if that is plain."""
    try:
        return plain(getattr(error, "metadata", None))
    except ANYTHING:  # its author's code too
        return None
