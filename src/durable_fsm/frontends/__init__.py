"""Front-ends: a user's definition in, a `Chart` out.

Each front-end is the only place that knows its library. It refuses, at import, everything that cannot be made durable,
with the reason and a remedy.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durable_fsm.core.chart import Chart

__all__ = ["chart_from", "reads"]


def chart_from(definition: object, *, trusted: bool = False) -> Chart:
    """Turn a definition into a chart; the same class gives the same chart object.

    Args:
        definition: a python-statemachine `StateChart` or `StateMachine` class, a `TransitionsConfig` or a `Machine` of
            transitions, a model that makes its own machine, or the class of such models, an `XStateConfig`, a function
            with `@compiled`, the path of an .scxml, .json or .yaml document, or a chart, which is returned as it is.
        trusted: evaluate the expressions of a document as Python. Only for authors you trust as your own code.

    Raises:
        DefinitionError: the definition has problems; the error lists every one.
        TypeError: no front-end reads such an object.
    """
    from durable_fsm.core.chart import Chart

    if isinstance(definition, Chart):
        return definition
    if _is_class(definition):
        from durable_fsm.frontends import statemachine

        return statemachine.chart_from(definition, chart_from)
    if _is_path(definition):
        from durable_fsm.frontends import documents

        return documents.chart_from(definition, trusted=trusted)
    if _is_xstate(definition):
        from durable_fsm.frontends import xstate

        return xstate.chart_from(definition, chart_from)
    if _is_configured(definition):
        from durable_fsm.frontends import transitions

        return transitions.chart_from(definition, chart_from)
    if _is_compiled(definition):
        from durable_fsm.frontends import compiled

        return compiled.chart_from(definition, chart_from)
    raise TypeError(
        f"{definition!r} is not a statechart: expected a python-statemachine class, a TransitionsConfig, a transitions"
        " Machine, an XStateConfig, or the path of a document."
    )


def reads(definition: object) -> bool:
    """Whether this is a definition in Python that a front-end reads; it may have problems."""
    from durable_fsm.core.chart import Chart

    if isinstance(definition, Chart):
        return True
    return _is_class(definition) or _is_configured(definition) or _is_xstate(definition) or _is_compiled(definition)


def _is_class(definition: object) -> bool:
    from durable_fsm.frontends import statemachine

    return statemachine.reads(definition)


def _is_path(definition: object) -> bool:
    from durable_fsm.frontends import documents

    return documents.reads(definition)


def _is_configured(definition: object) -> bool:
    if "transitions" not in sys.modules:  # then the definition is not from there; the library may not be installed
        return False
    from durable_fsm.frontends import transitions

    return transitions.reads(definition)


def _is_xstate(definition: object) -> bool:
    if "durable_fsm.frontends.xstate" not in sys.modules:  # then nothing is one of its configurations
        return False
    from durable_fsm.frontends import xstate

    return xstate.reads(definition)


def _is_compiled(definition: object) -> bool:
    if "durable_fsm.frontends.compiled" not in sys.modules:  # then nothing is one of its functions
        return False
    from durable_fsm.frontends import compiled

    return isinstance(definition, compiled.CompiledCharts)
