"""`durable-fsm hash-password`: make a line for the file of the console's operators."""

from __future__ import annotations

import click


@click.command("hash-password")
@click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for, if not given.")
def hash_password(password: str) -> None:
    """Print the hash of the password of an operator.

    Put the line into the file that `durable-fsm console --operators` reads. The hash is scrypt.

    A password on the command line is seen by other users of the computer: leave it out, and the command asks for it.
    """
    from durable_fsm.cli.console import ensure_installed

    ensure_installed()
    from durable_fsm.console.operators import hash_password as hashed

    if len(password) < 8:
        raise click.UsageError("A password needs at least 8 characters.")
    click.echo(f'password = "{hashed(password)}"')
