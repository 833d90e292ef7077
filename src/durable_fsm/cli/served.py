"""The service of `durable-fsm dev`, run by it as a process of its own: `python -m durable_fsm.cli.served TARGET …`.

With `--describe` it serves nothing: it imports the application and prints what `Described` reads, or why it cannot.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import warnings
from typing import Any

import click

from durable_fsm.cli.errors import CommandError, as_shown
from durable_fsm.core.chart import Chart
from durable_fsm.frontends.locate import locate_object


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM, or describe; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m durable_fsm.cli.served")
    parser.add_argument("target")
    parser.add_argument("--bind", metavar="HOST:PORT")
    parser.add_argument("--describe", action="store_true")
    options = parser.parse_args(arguments)

    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("durable_fsm").setLevel(logging.INFO)
    warnings.showwarning = _tell
    try:
        app = locate_object(options.target)
        if not callable(app):
            raise click.UsageError(f"'{options.target}' is no application. Write app = durable_fsm.app(Chart, …).")
    except Exception as error:  # noqa: BLE001 - shown here, once
        shown = error if isinstance(error, click.ClickException) else as_shown(error)
        sys.stderr.write(f"{shown.message}\n")
        return shown.exit_code if isinstance(shown, CommandError) else 2
    from durable_fsm.restate.app import charts_of

    if options.describe:
        sys.stdout.write(f"{json.dumps([_description(chart) for chart in charts_of(app)])}\n")
        return 0
    from durable_fsm.local.serve import serve
    from durable_fsm.serving import DEFAULT

    return serve(app, options.bind, server=DEFAULT)


def _tell(message: Warning | str, *_where: object, **_more: object) -> None:
    sys.stderr.write(f"Warning: {message}\n")


def _description(chart: Chart) -> dict[str, Any]:  # Any: JSON
    events = {name: chart.events[name] for name in chart.public_events}
    schemas = {name: event.payload.schema() if event.payload else None for name, event in events.items()}
    return {
        "chart": chart.name,
        "states": len(chart.states) - 1,
        "events": [{"event": name, "example": example(schema)} for name, schema in schemas.items()],
    }


# Any: a JSON Schema, and JSON that fits it in common cases
def example(schema: dict[str, Any] | None, whole: dict[str, Any] | None = None) -> Any:
    """A value that fits *schema*, or nearly so: what a person would replace by their own."""
    if not schema:
        return None
    whole = schema if whole is None else whole
    if "$ref" in schema:
        found = whole
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            found = found.get(part, {})
        return example(found, whole)
    for name in ("default", "const"):
        if name in schema:
            return schema[name]
    for name in ("examples", "enum"):
        if schema.get(name):
            return schema[name][0]
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            return example(schema[name][0], whole)
    match schema.get("type"):
        case "object":
            required = schema.get("required", [])
            return {name: example(one, whole) for name, one in schema.get("properties", {}).items() if name in required}
        case "array":
            return [example(schema.get("items"), whole)] if schema.get("minItems") else []
        case "string":
            return "x" * max(1, schema.get("minLength", 1))
        case "integer" | "number":
            least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1 if "exclusiveMinimum" in schema else 1)
            return min(least, schema["maximum"]) if "maximum" in schema else least
        case "boolean":
            return True
        case _:
            return None


if __name__ == "__main__":
    sys.exit(main())
