"""How a command reaches Restate.

By flags, else the environment, else `[tool.durable_fsm]`, else the server of `durable-fsm dev` here, else defaults.
"""

from __future__ import annotations

import os
import re
import ssl
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource

from durable_fsm.cli.dev_folder import DevFolder
from durable_fsm.cli.errors import SERVER, CommandError
from durable_fsm.cli.output import AS_JSON
from durable_fsm.core.operators import secrets_in

if TYPE_CHECKING:
    import httpx

INGRESS = "http://localhost:8080"
ADMIN = "http://localhost:9070"
TABLE = "tool.durable_fsm"
TIMEOUT_SECONDS = 30.0
SERVERS = ("ingress", "admin")
"""The settings that name a server, in order."""

OWN_TABLES = frozenset({"app", "diagrams"})
"""Entries of the table that other commands read."""

SECRETS = "DURABLE_FSM_OPERATOR_SECRETS"
"""Environment variable with the secrets of operators, which a service has, too."""

Command = TypeVar("Command", bound=Callable[..., Any])  # Any: a click command takes what its options say


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach Restate.

    `token` is sent as bearer token to the ingress and to the admin API. `ca` is a PEM file of authorities that are
    trusted instead of the system's; `insecure` checks no certificate. An `operator` signs each call to a machine.
    """

    ingress: str = INGRESS
    admin: str = ADMIN
    token: str | None = None
    ca: Path | None = None
    insecure: bool = False
    operator: str | None = None

    @property
    def secret(self) -> str:
        """The secret with which the operator signs.

        Raises:
            click.UsageError: The environment has none, or one that is too short.
        """
        try:
            return secrets_in(os.environ.get(SECRETS, ""), SECRETS)[0]
        except ValueError as error:
            raise click.UsageError(f"An operator signs with the first secret of {SECRETS}. {error}") from error

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}

    @property
    def verify(self) -> ssl.SSLContext | bool:
        """The argument `verify` of `httpx`.

        Raises:
            click.UsageError: The file of authorities cannot be read.
        """
        if self.insecure or self.ca is None:
            return not self.insecure
        try:
            return ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            raise click.UsageError(f"'{self.ca}' contains no readable certificates: {error}.") from error

    def http(self, timeout: float | None = TIMEOUT_SECONDS) -> httpx.Client:
        """Open a client for the ingress and the admin API; the caller closes it. *timeout* is in seconds, None is for ever."""
        import httpx

        return httpx.Client(headers=self.headers, verify=self.verify, timeout=timeout)


def connected(command: Command) -> Command:
    """Add `--ingress`, `--admin`, `--token`, `--ca` and `--insecure` to a command, which receives `connection`."""

    @wraps(command)
    def with_connection(*arguments: object, **options: Any) -> object:  # Any: as the command takes them
        given = {field.name: options.pop(field.name) for field in fields(Connection)}
        found = connection(given, _origins(click.get_current_context()))
        return command(*arguments, connection=found, **options)

    for decorate in reversed(_OPTIONS):
        decorate(with_connection)
    return cast("Command", with_connection)


def connectable(command: Command) -> Command:
    """Add the same options to a command that needs a server only sometimes. It receives `connect`, and calls it then."""

    @wraps(command)
    def with_connect(*arguments: object, **options: Any) -> object:  # Any: as the command takes them
        given = {field.name: options.pop(field.name) for field in fields(Connection)}
        origins = _origins(click.get_current_context())
        return command(*arguments, connect=lambda: connection(given, origins), **options)

    for decorate in reversed(_OPTIONS):
        decorate(with_connect)
    return cast("Command", with_connect)


_OPTIONS = (
    click.option(
        "--ingress",
        envvar="DURABLE_FSM_INGRESS",
        show_envvar=True,
        metavar="URL",
        help=f"Restate's ingress; default: {INGRESS}.",
    ),
    click.option(
        "--admin",
        envvar="DURABLE_FSM_ADMIN",
        show_envvar=True,
        metavar="URL",
        help=f"Restate's admin API; default: {ADMIN}.",
    ),
    click.option(
        "--token",
        envvar="DURABLE_FSM_TOKEN",
        show_envvar=True,
        metavar="TEXT",
        help="Bearer token for ingress and admin API.",
    ),
    click.option(
        "--ca",
        envvar="DURABLE_FSM_CA",
        show_envvar=True,
        metavar="FILE",
        help="Certificates (PEM) to trust instead of the system's.",
        type=click.Path(path_type=Path),
    ),
    click.option(
        "--insecure/--secure",
        envvar="DURABLE_FSM_INSECURE",
        show_envvar=True,
        default=None,
        help="Do not check certificates.",
    ),
    click.option(
        "--operator",
        envvar="DURABLE_FSM_OPERATOR",
        show_envvar=True,
        metavar="NAME",
        help=f"Sign calls to machines with this name, and with the first secret of {SECRETS}.",
    ),
)


def connection(given: dict[str, Any], origins: Mapping[str, str]) -> Connection:
    """Complete the flags and the environment, and name the server unless `durable-fsm dev` started it here.

    Args:
        given: The values of flags and of the environment; None for those that are missing.
        origins: Where each of them comes from, for people.

    Raises:
        click.UsageError: A value is not valid.
        CommandError: No server is named, and dev does not run here, though it did before.
    """
    path, table = project()
    known = {field.name for field in fields(Connection)}
    unknown = table.keys() - known - OWN_TABLES
    if unknown:
        names = ", ".join(sorted(known | OWN_TABLES))
        raise click.UsageError(f"{path}: [{TABLE}] has an unknown entry '{min(unknown)}'. Known: {names}.")
    found: dict[str, Any] = {name: _typed(path, name, value) for name, value in table.items() if name in known}
    found |= {name: value for name, value in given.items() if value is not None}
    for name in SERVERS:
        if name in found:
            found[name] = _url(name, found[name])
    told = dict.fromkeys(table, path.name) | {name: origin for name, origin in origins.items() if name in given}
    _complete(found, told, DevFolder.around(Path.cwd(), path.parent))
    return Connection(**found)


def _complete(found: dict[str, Any], told: Mapping[str, str], dev: DevFolder | None) -> None:
    """Add the servers that are not named: those of dev if it runs, otherwise the defaults. Name them to a person."""
    here = dev.remembered() if dev is not None and dev.is_running else {}
    named = found.keys() & set(SERVERS)
    if dev is not None and not here and not named:
        folder = dev.path.parent
        raise CommandError(
            f"durable-fsm dev does not run in {folder}. Start it there, or name another server with --ingress and --admin.",
            code=SERVER,
            kind="NotRunning",
        )
    if not named or all(_is_at(found[name], here.get(name)) for name in named):
        found |= {name: here[name] for name in SERVERS if name in here}
    origins = {name: told[name] if name in named else "default" for name in SERVERS}
    found |= {name: url for name, url in {"ingress": INGRESS, "admin": ADMIN}.items() if name not in found}
    if not all(_is_at(found[name], here.get(name)) for name in SERVERS) and not _is_for_a_program():
        servers = ", ".join(f"{name} {found[name]} ({origins[name]})" for name in SERVERS)
        running = f"; durable-fsm dev runs {here['ingress']} here" if here else ""
        click.echo(f"Server: {servers}{running}", err=True)


def _is_at(url: str, of_dev: str | None) -> bool:
    """Whether this is the address of dev, which listens at 127.0.0.1."""
    return of_dev is not None and re.sub(r"//(localhost|\[::1\]):", "//127.0.0.1:", url) == of_dev


def _is_for_a_program() -> bool:
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(AS_JSON))


def _origins(ctx: click.Context) -> dict[str, str]:
    """The origin of each server that a flag or the environment names."""
    words = {ParameterSource.COMMANDLINE: "--{0}", ParameterSource.ENVIRONMENT: "DURABLE_FSM_{1}"}
    sources = {name: ctx.get_parameter_source(name) for name in SERVERS}
    return {
        name: words[source].format(name, name.upper())
        for name, source in sources.items()
        if source is not None and source in words
    }


def project(start: Path | None = None) -> tuple[Path, dict[str, Any]]:
    """Return the nearest pyproject.toml, here or above, and its table `[tool.durable_fsm]`, or an empty one.

    Raises:
        click.UsageError: The file is not valid TOML.
    """
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            try:
                table: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise click.UsageError(f"{path} cannot be read: {error}.") from error
            return path, table.get("tool", {}).get("durable_fsm", {})
    return here / "pyproject.toml", {}


def _typed(path: Path, name: str, value: object) -> object:
    wanted = bool if name == "insecure" else str
    if not isinstance(value, wanted):
        kind = "true or false" if wanted is bool else "a string"
        raise click.UsageError(f"{path}: '{name}' of [{TABLE}] must be {kind}, not {value!r}.")
    return path.parent / str(value) if name == "ca" else value


def _url(name: str, text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise click.UsageError(
            f"'{text}' is not an address for --{name}. Write it as in {INGRESS if name == 'ingress' else ADMIN}."
        )
    return text.rstrip("/")
