"""Import an application and print what it hosts, as JSON: `python -m durable_fsm.cli.describe TARGET`.

`durable-fsm dev` runs it as a process of its own before it replaces the service.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from typing import Any

from durable_fsm.cli.errors import as_shown
from durable_fsm.core.chart import Chart
from durable_fsm.frontends.locate import TargetNotFound, locate_object


def main(arguments: list[str] | None = None) -> int:
    """Print a list of charts, or why the application cannot be imported; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m durable_fsm.cli.describe")
    parser.add_argument("target")
    options = parser.parse_args(arguments)
    warnings.showwarning = _show_warning
    try:
        app = locate_object(options.target)
        if not callable(app):
            raise TargetNotFound(f"'{options.target}' is not an application. Write app = durable_fsm.app(Chart, …).")
    except Exception as error:  # noqa: BLE001 - the error is shown here, once
        shown = as_shown(error)
        print(shown.message, file=sys.stderr)
        return shown.exit_code
    from durable_fsm.restate.app import charts_of

    print(json.dumps([_description(chart) for chart in charts_of(app)]))
    return 0


def _show_warning(message: Warning | str, *_where: object, **_more: object) -> None:
    print(f"Warning: {message}", file=sys.stderr)


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
    """Return a value that fits *schema* in common cases, for a person to replace."""
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
