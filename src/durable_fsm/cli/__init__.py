"""The command line: parse, call, print. Nothing is decided here."""

from __future__ import annotations

import errno
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
"""Where each is, as `module:function`; imported when it is used."""


class Main(click.Group):
    """Finds commands when they are wanted, and shows errors once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As they are listed by --help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one."""
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"durable_fsm.cli.{module}"), function)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; its errors become messages and exit codes.

        Raises:
            CommandError: in place of every other error.
        """
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
        except Exception as error:  # whatever a command lets out is shown here, once
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # whoever reads has heard enough: click ends quietly
            shown = as_shown(error)
        shown.as_json = bool(ctx.meta.get(AS_JSON))
        raise shown

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), words) for code, words in EXIT_CODES.items()])


def _tell(message: Warning | str, *_where: object, **_more: object) -> None:
    click.echo(f"Warning: {message}", err=True)


@click.group(cls=Main, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(durable_fsm.__version__, prog_name="durable-fsm")
def main() -> None:
    """Statecharts that survive.

    Settings are read from flags, then from the environment, then from [tool.durable_fsm] of the nearest pyproject.toml.
    """
