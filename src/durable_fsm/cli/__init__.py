"""The command line: parse, call, print."""

from __future__ import annotations

import difflib
import errno
import logging
import warnings
from importlib import import_module

import click

import durable_fsm
from durable_fsm.cli.errors import EXIT_CODES, INTERRUPTED, CommandError, as_shown
from durable_fsm.cli.output import AS_JSON

__all__ = ["main"]

COMMANDS = {
    "new": "new:new",
    "dev": "dev:dev",
    "serve": "serve:serve",
    "register": "register:register",
    "check": "check:check",
    "events": "machines:events",
    "send": "sending:send",
    "show": "machines:show_machine",
    "watch": "machines:watch",
    "list": "survey:list_machines",
    "history": "machines:history",
    "wait": "machines:wait",
    "cancel": "machines:cancel",
    "delete": "machines:delete",
    "repair": "machines:repair",
    "doctor": "survey:doctor",
    "export": "transfer:export",
    "import": "transfer:import_machines",
    "openapi": "openapi:openapi",
    "diagram": "diagram:diagram",
    "simulate": "simulate:simulate",
    "kafka": "kafka:kafka",
    "completion": "completion:completion",
}
"""The command functions, as `module:function`; a module is imported when its command is used."""


class Main(click.Group):
    """Imports a command when it is used, and shows its errors once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of --help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"durable_fsm.cli.{module}"), function)
        return command

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
    """Statecharts that survive.

    A setting comes from its flag, else from the environment, else from [tool.durable_fsm] in the nearest pyproject.toml.
    """
