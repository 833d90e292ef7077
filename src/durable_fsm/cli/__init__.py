"""The command line: parse, call, print."""

from __future__ import annotations

import difflib
import errno
import logging
import warnings
from importlib import import_module
from textwrap import shorten

import click

import durable_fsm
from durable_fsm.cli.errors import EXIT_CODES, INTERRUPTED, CommandError, as_shown
from durable_fsm.cli.output import AS_JSON

__all__ = ["main"]

COMMANDS = {
    "new": ("new:new", "Write a chart called NAME into DIRECTORY, or into ./NAME."),
    "dev": ("dev:dev", "Run Restate and your service here, until Ctrl-C."),
    "serve": ("serve:serve", "Serve an application in production."),
    "register": ("register:register", "Tell Restate the address of a service."),
    "check": ("check:check", "Print every problem and warning of charts."),
    "events": ("machines:events", "List the events that CHART/KEY accepts now."),
    "send": ("sending:send", "Send EVENT to CHART/KEY and print the answer."),
    "show": ("machines:show_machine", "Show the states and data of CHART/KEY."),
    "watch": ("machines:watch", "Print each step of CHART/KEY as it happens."),
    "list": ("survey:list_machines", "List the machines of CHART, or those of all charts."),
    "history": ("machines:history", "Show the history of CHART/KEY, oldest first."),
    "wait": ("acting:wait", "Wait until CHART/KEY meets a condition."),
    "cancel": ("acting:cancel", "Cancel an activity of CHART/KEY."),
    "delete": ("acting:delete", "Delete CHART/KEY and free its key."),
    "repair": ("acting:repair", "Repair CHART/KEY by hand."),
    "doctor": ("survey:doctor", "Find problems, and print a remedy for each."),
    "console": ("console:console", "Show every machine of a server on live pages, until Ctrl-C."),
    "hash-password": ("hash_password:hash_password", "Print the hash of the password of an operator."),
    "plan": ("plan:plan", "Report what a build would do with each stored machine."),
    "migrate": ("migrate:migrate", "Migrate the machines of CHART as a plan says."),
    "export": ("transfer:export", "Write the machines of CHART as lines of JSON."),
    "import": ("transfer:import_machines", "Copy exported machines to this server."),
    "openapi": ("openapi:openapi", "Write the OpenAPI document of a chart."),
    "diagram": ("diagram:diagram", "Draw the charts of TARGETS."),
    "explore": ("explore:explore", "Find bugs: explore every state that machines can reach."),
    "simulate": ("simulate:simulate", "Run a machine of TARGET in memory, step by step."),
    "story": ("story:story", "Print a story in words, or as a test."),
    "kafka": ("kafka:kafka", "Create the Kafka subscriptions of charts."),
    "completion": ("completion:completion", "Print the completion script of SHELL."),
}
"""By name: the command function, as `module:function`, and the first sentence of its help.

A module is imported when its command is used, so `--help` imports none.
"""


class Main(click.Group):
    """Imports a command when it is used, and shows its errors once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of --help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"durable_fsm.cli.{module}"), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Add the commands to --help, as click does, without importing them."""
        width = formatter.width - 6 - max(map(len, COMMANDS))
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, shorten(words, width, placeholder="...")) for name, (_, words) in COMMANDS.items()]
            )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest the nearest."""
        close = difflib.get_close_matches(args[0], COMMANDS, n=1) if args and args[0] not in COMMANDS else []
        if close:
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{close[0]}'?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command, and turn its errors into messages and exit codes.

        Raises:
            CommandError: Instead of every other error.
        """
        # Only `serve` shows the log of an application. Without this handler Python would print its warnings here.
        logging.getLogger("durable_fsm").addHandler(logging.NullHandler())
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _tell
                return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except (click.exceptions.Exit, click.Abort):
            raise
        except CommandError as error:
            shown = error
        except click.ClickException:
            raise
        except Exception as error:  # every error of a command is shown here, once
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # the reader closed the pipe: click ends quietly
            shown = as_shown(error)
        shown.as_json = bool(ctx.meta.get(AS_JSON))
        raise shown

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Add the exit codes to --help."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), words) for code, words in EXIT_CODES.items()])


def _tell(message: Warning | str, *_where: object, **_more: object) -> None:
    click.echo(f"Warning: {message}", err=True)


@click.group(cls=Main, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(durable_fsm.__version__, prog_name="durable-fsm")
def main() -> None:
    """Declare a statechart once, and run it durably on Restate.

    A setting comes from its flag, from the environment, or from [tool.durable_fsm] in the nearest pyproject.toml, in
    this order. Start with `durable-fsm new NAME`.
    """
