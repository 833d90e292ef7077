"""The command line: parse, call, print. Nothing is decided here."""

from __future__ import annotations

import click

import durable_fsm
from durable_fsm.cli.diagram import diagram
from durable_fsm.cli.kafka import kafka
from durable_fsm.cli.simulate import simulate

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(durable_fsm.__version__, prog_name="durable-fsm")
def main() -> None:
    """Statecharts that survive."""


main.add_command(diagram)
main.add_command(kafka)
main.add_command(simulate)
