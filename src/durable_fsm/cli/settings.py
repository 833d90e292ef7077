"""How a command reaches Restate: by flags, else the environment, else `[tool.durable_fsm]`, else defaults."""

from __future__ import annotations

import ssl
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    import httpx

INGRESS = "http://localhost:8080"
ADMIN = "http://localhost:9070"
TABLE = "tool.durable_fsm"
TIMEOUT_SECONDS = 30.0
OWN_TABLES = frozenset({"app", "diagrams"})
"""Entries of the table that other commands read."""

Command = TypeVar("Command", bound=Callable[..., Any])  # Any: a click command takes what its options say


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach Restate.

    `token` is sent as bearer token to the ingress and to the admin API. `ca` is a PEM file of authorities that are
    trusted instead of the system's; `insecure` checks no certificate.
    """

    ingress: str = INGRESS
    admin: str = ADMIN
    token: str | None = None
    ca: Path | None = None
    insecure: bool = False

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
        return command(*arguments, connection=connection(given), **options)

    for decorate in reversed(_OPTIONS):
        decorate(with_connection)
    return cast("Command", with_connection)


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
        "--token", envvar="DURABLE_FSM_TOKEN", show_envvar=True, metavar="TEXT", help="Bearer token for both of them."
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
)


def connection(given: dict[str, Any]) -> Connection:
    """Complete the flags and the environment from the nearest pyproject.toml and from defaults.

    Raises:
        click.UsageError: A value is not valid.
    """
    path, table = project()
    known = {field.name for field in fields(Connection)}
    unknown = table.keys() - known - OWN_TABLES
    if unknown:
        names = ", ".join(sorted(known | OWN_TABLES))
        raise click.UsageError(f"{path}: [{TABLE}] has an unknown entry '{min(unknown)}'. Known: {names}.")
    found: dict[str, Any] = {name: _typed(path, name, value) for name, value in table.items() if name in known}
    found |= {name: value for name, value in given.items() if value is not None}
    for name in ("ingress", "admin"):
        if name in found:
            found[name] = _url(name, found[name])
    return Connection(**found)


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
