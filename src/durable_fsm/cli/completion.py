"""`durable-fsm completion`: print the script with which a shell completes commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of SHELL.

    \b
      bash   eval "$(durable-fsm completion bash)"       in ~/.bashrc
      zsh    eval "$(durable-fsm completion zsh)"        in ~/.zshrc
      fish   durable-fsm completion fish | source        in ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    program = click.get_current_context().find_root().command
    click.echo(kind(program, {}, "durable-fsm", "_DURABLE_FSM_COMPLETE").source())
