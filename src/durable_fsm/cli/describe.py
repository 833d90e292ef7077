"""Import an application and print what it hosts, as JSON: `python -m durable_fsm.cli.describe TARGET`.

`durable-fsm dev` runs it as a process of its own before it replaces the service.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import warnings
from dataclasses import asdict
from typing import Any

from durable_fsm.cli.errors import as_shown
from durable_fsm.cli.requests import requests_of
from durable_fsm.core.chart import Chart
from durable_fsm.core.sources import Webhook
from durable_fsm.frontends.locate import locate
from durable_fsm.restate.app import app
from durable_fsm.restate.names import webhooks_name


def main(arguments: list[str] | None = None) -> int:
    """Print the charts and where they are mounted, or why the application cannot be imported; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m durable_fsm.cli.describe")
    parser.add_argument("target")
    options = parser.parse_args(arguments)
    warnings.showwarning = _show_warning
    logging.getLogger("durable_fsm").addHandler(logging.NullHandler())  # the service says the same when it starts
    logging.getLogger("durable_fsm").propagate = False
    try:
        found = locate(options.target)
        if found.application is None:
            app(*found.charts)
    except Exception as error:  # noqa: BLE001 - the error is shown here, once
        shown = as_shown(error)
        print(f"Error: {shown.message}", file=sys.stderr)
        return shown.exit_code
    print(json.dumps({"charts": [_description(chart) for chart in found.charts], "mounts": found.mounts}))
    return 0


def _show_warning(message: Warning | str, *_where: object, **_more: object) -> None:
    print(f"Warning: {message}", file=sys.stderr)


def _description(chart: Chart) -> dict[str, Any]:  # Any: JSON
    return {
        "chart": chart.name,
        "states": len(chart.states) - 1,
        "events": len(chart.public_events),
        "requests": [asdict(one) for one in requests_of(chart)],
        "webhooks": [_webhook(chart, webhook) for webhook in chart.hosting.webhooks],
    }


def _webhook(chart: Chart, webhook: Webhook) -> dict[str, str]:
    signature = webhook.signature
    secret = getattr(signature, "secret", "")
    signed = f"signed with {secret}" if secret else "signed" if signature is not None else "not signed"
    unset = "" if not secret or os.environ.get(secret) else f", and {secret} is not set"
    return {"name": webhook.name, "path": f"/{webhooks_name(chart)}/{webhook.name}", "note": signed + unset}


if __name__ == "__main__":
    sys.exit(main())
