"""Show charts in notebooks, in MkDocs and Sphinx pages, and in format strings.

    from durable_fsm.docs import show      # show(Order) at the end of a cell, show(Order).save("order.svg")
    f"{Order:fsm-svg}"                     # once this package is imported

For MkDocs there is the plugin `fsm`, for Sphinx the extension `durable_fsm.docs.sphinx`.
"""

from __future__ import annotations

from durable_fsm.docs import formats
from durable_fsm.docs.drawing import Drawing, show
from durable_fsm.docs.notebook import load_ipython_extension, unload_ipython_extension

__all__ = ["Drawing", "load_ipython_extension", "show", "unload_ipython_extension"]

formats.register()
