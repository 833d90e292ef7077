"""`durable-fsm openapi`: write the OpenAPI document of a chart."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from durable_fsm.cli.errors import DIFFERS
from durable_fsm.frontends.locate import locate_chart


@click.command()
@click.argument("target")
@click.option("--server", default="http://localhost:8080", show_default=True, metavar="URL", help="Restate's ingress.")
@click.option("--api-version", metavar="TEXT", help="Version of the interface; default: the chart's.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file; default: standard output.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if the file differs.")
def openapi(target: str, *, server: str, api_version: str | None, output: Path | None, check: bool) -> None:
    """Write the OpenAPI document of a chart.

    TARGET is 'module:Name', 'file.py:Name' or the path of an .scxml, .json or .yaml document; Name is a chart, or an
    application with one. The document (OpenAPI 3.1, JSON) has every public event with its payload, and every answer with
    its status, for client generators and viewers.

    \b
    Example:
      durable-fsm openapi shop.orders:Order -o order.json
    """
    from durable_fsm.restate.http.openapi import openapi as document

    text = (
        json.dumps(
            document(locate_chart(target).chart, server=server, version=api_version), indent=2, ensure_ascii=False
        )
        + "\n"
    )
    if check and output is None:
        raise click.UsageError("--check compares with a file: name the file with --output.")
    if output is None:
        click.echo(text, nl=False)
    elif check:
        if not output.is_file() or output.read_text("utf-8") != text:
            click.echo(f"{output} is stale. Update it: durable-fsm openapi {target} -o {output}", err=True)
            sys.exit(DIFFERS)
        click.echo(f"{output} is fresh.")
    else:
        output.write_text(text, encoding="utf-8")
        click.echo(f"Wrote {output}.")
