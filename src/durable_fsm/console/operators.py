"""Operators: the people who may act through the console, by name. Without any, the console only shows.

Their file is TOML:

    [[operator]]
    name = "ann"
    password = "scrypt$16384$8$1$…"      # from `durable-fsm hash-password`
    roles = ["send", "repair"]           # of send, repair, bulk, delete; all of them if it is left out
    charts = ["Order"]                   # all of them if it is left out
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeAlias, get_args

import msgspec

OperatorRole: TypeAlias = Literal["send", "repair", "bulk", "delete"]
ROLES: tuple[OperatorRole, ...] = get_args(OperatorRole)

COST, BLOCK, PARALLEL = 16_384, 8, 1
"""Parameters of scrypt: some 50 milliseconds, and 16 MiB."""


class Operator(NamedTuple):
    """A person who is logged in.

    Attributes:
        roles: what they may do: `send`, `repair`, `bulk`, `delete`.
        charts: the charts on which they may do it; empty for all.
    """

    name: str
    roles: frozenset[str] = frozenset()
    charts: frozenset[str] = frozenset()

    def may(self, role: str, chart: str) -> bool:
        return role in self.roles and (not self.charts or chart in self.charts)

    @classmethod
    def of_everything(cls, name: str) -> Operator:
        """An operator who may do all."""
        return cls(name, frozenset(ROLES))


class OperatorEntry(msgspec.Struct, forbid_unknown_fields=True):
    """An operator as the file has it."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
    password: str = ""
    roles: tuple[OperatorRole, ...] = ROLES
    charts: tuple[str, ...] = ()


class OperatorFile(msgspec.Struct, forbid_unknown_fields=True):
    """The file of the operators."""

    operator: Annotated[list[OperatorEntry], msgspec.Meta(min_length=1)]


class OperatorBook:
    """The operators of a file, and the hashes of their passwords."""

    def __init__(self, operators: Mapping[str, tuple[Operator, str]]) -> None:
        self._operators = dict(operators)
        self._decoy = hash_password("")

    @classmethod
    def read(cls, path: Path) -> OperatorBook:
        """Read a file of operators.

        Raises:
            ValueError: it cannot be read, or says something that makes no sense.
        """
        try:
            found = msgspec.toml.decode(path.read_bytes(), type=OperatorFile)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} cannot be read: {error}.") from error
        operators: dict[str, tuple[Operator, str]] = {}
        for one in found.operator:
            if one.password and _parts_of(one.password) is None:
                problem = "its password must be a line that `durable-fsm hash-password` has printed"
                raise ValueError(f"{path}: operator '{one.name}': {problem}.")
            if one.name in operators:
                raise ValueError(f"{path}: two operators are called '{one.name}'.")
            operators[one.name] = (Operator(one.name, frozenset(one.roles), frozenset(one.charts)), one.password)
        return cls(operators)

    def named(self, name: str) -> Operator | None:
        """The operator of this name."""
        found = self._operators.get(name)
        return None if found is None else found[0]

    def admitted(self, name: str, password: str) -> Operator | None:
        """The operator of this name, if the password is theirs. An unknown name takes as long as a wrong password."""
        operator, known = self._operators.get(name, (None, self._decoy))
        return operator if fits(password, known) else None


# ── passwords ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def hash_password(password: str, *, cost: int = COST) -> str:
    """The line to keep of a password: parameters, salt and hash."""
    salt = os.urandom(16)
    found = hashlib.scrypt(password.encode(), salt=salt, n=cost, r=BLOCK, p=PARALLEL)
    return "$".join(("scrypt", str(cost), str(BLOCK), str(PARALLEL), _text(salt), _text(found)))


def fits(password: str, known: str) -> bool:
    """Whether a line was made of this password."""
    parts = _parts_of(known)
    if parts is None:
        return False
    cost, block, parallel, salt, wanted = parts
    found = hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=parallel, dklen=len(wanted))
    return hmac.compare_digest(found, wanted)


def _parts_of(line: str) -> tuple[int, int, int, bytes, bytes] | None:
    try:
        kind, cost, block, parallel, salt, wanted = line.split("$")
        numbers = int(cost), int(block), int(parallel)
        texts = base64.b64decode(salt, validate=True), base64.b64decode(wanted, validate=True)
    except ValueError:
        return None
    is_known = kind == "scrypt" and 2 <= numbers[0] <= 2**20 and numbers[1] <= 16 and numbers[2] <= 4
    return (*numbers, *texts) if is_known and len(texts[1]) >= 16 else None


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
