"""Tables of the reference that are made from the code while MkDocs builds the site, so they are never stale.

A page asks for one by a line of its own: `<!-- generated: errors -->`. MkDocs runs `on_page_markdown` of this file for
every page, see `hooks` in mkdocs.yml.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from datetime import timedelta
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import click
import griffe

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:  # for machines/ and tests/
    sys.path.insert(0, str(ROOT))

import durable_fsm
from durable_fsm import errors
from durable_fsm.cli import main as program
from durable_fsm.cli import settings as cli_settings
from durable_fsm.cli.errors import BRANCHES, EXIT_CODES, exit_code_of
from durable_fsm.diagram.words import duration
from durable_fsm.errors import DurableFSMError
from durable_fsm.errors.statuses import STATUS
from durable_fsm.frontends.declare import durable
from durable_fsm.frontends.options import ClassChartOptions, ClassOptions
from durable_fsm.restate.http.openapi import WHY, openapi
from durable_fsm.restate.settings import Settings
from machines.order import Order
from tests.errors.samples import SAMPLES

LINE = re.compile(r"^<!-- generated: (?P<name>[\w-]+) -->$", re.MULTILINE)
REMEDY = "Remedy: "


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put each table in the place of its line."""
    return LINE.sub(lambda found: TABLES[found["name"]](), markdown)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown; cells are Markdown, and bars in them are escaped."""
    lines = [list(head)]
    lines += [["---"] * len(lines[0]), *map(list, rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def one_line(text: str) -> str:
    """A text without its line breaks, as a cell needs it; its first letter is large."""
    text = " ".join(text.split())
    return text[:1].upper() + text[1:] if text else text


def arguments_of(function: Callable[..., object]) -> dict[str, str]:
    """The descriptions of a function's arguments, from its docstring."""
    parsed = griffe.Docstring(inspect.getdoc(function) or "", parser="google").parse(warnings=False)
    return {
        argument.name: one_line(argument.description)
        for section in parsed
        if section.kind in (griffe.DocstringSectionKind.parameters, griffe.DocstringSectionKind.attributes)
        for argument in section.value
    }


def shown(value: object) -> str:
    """A default as an author writes it."""
    match value:
        case timedelta():
            return f"`{duration(value)}`"
        case type() | None | () | {}:
            return "none"
        case _ if is_dataclass(value) and value == type(value)():
            return f"`{type(value).__name__}()`"
        case _:
            return f"`{value!r}`"


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────────────────

BRANCH_TITLES = {
    errors.DefinitionError: "For the author: the definition",
    errors.ActionError: "For the author: callbacks",
    errors.UnknownWork: "For the author: callbacks",
    errors.EventError: "For the sender of an event",
    errors.MachineError: "For the operator",
    errors.CallError: "For the caller: no machine has answered",
    errors.TerminalError: "In activities",
}
"""The people who can act on the errors of a branch."""


def public_errors() -> list[type[DurableFSMError]]:
    """The exceptions that have a status, branch by branch."""
    kinds = [kind for name in errors.__all__ if isinstance(kind := getattr(errors, name), type)]
    found = [kind for kind in kinds if issubclass(kind, DurableFSMError) and kind in STATUS]
    order = list(BRANCH_TITLES)
    return sorted(found, key=lambda kind: (order.index(branch_of(kind)), STATUS[kind], kind.__name__))


def branch_of(kind: type[DurableFSMError]) -> type[DurableFSMError]:
    return next(branch for branch in BRANCHES if issubclass(kind, branch))


def told(kind: type[DurableFSMError]) -> tuple[str, str]:
    """The cause and the remedy of an error, from its docstring."""
    cause, _, remedy = (inspect.getdoc(kind) or "").partition(REMEDY)
    return cause.strip(), one_line(remedy)


def errors_overview() -> str:
    """One row for each error."""
    rows = [
        [f"[`{kind.__name__}`](#{anchor(kind)})", f"{STATUS[kind]} / {exit_code_of(kind)}", first_line(kind)]
        for kind in sorted(public_errors(), key=lambda kind: (STATUS[kind], kind.__name__))
    ]
    return table(["error", "status / exit", "cause"], rows)


def first_line(kind: type[DurableFSMError]) -> str:
    return one_line(told(kind)[0].partition("\n\n")[0])


def anchor(kind: type[DurableFSMError]) -> str:
    return f"{errors.__name__}.{kind.__name__}"


def errors_in_detail() -> str:
    """A section for each error: status, exit code, cause, remedy, facts and an example."""
    samples = {type(sample): sample for sample in SAMPLES}
    parts: list[str] = []
    title = ""
    for kind in public_errors():
        if (branch := BRANCH_TITLES[branch_of(kind)]) != title:
            title = branch
            parts.append(f"## {title}\n")
        cause, remedy = told(kind)
        facts = [name for name in kind.__dataclass_fields__ if name not in ("chart", "key")]
        parts += [
            f"### `{kind.__name__}` {{ #{anchor(kind)} }}\n",
            f"HTTP status **{STATUS[kind]}**, exit code **{exit_code_of(kind)}**.\n",
            f"**Cause.** {cause}\n",
            f"**Remedy.** {remedy}\n",
            f"```text\n{textwrap.fill(str(samples[kind]), 96) if kind not in MANY_LINES else samples[kind]}\n```\n",
            f"Attributes: {', '.join(f'`{name}`' for name in facts)}.\n" if facts else "",
        ]
    return "\n".join(parts)


MANY_LINES = (errors.DefinitionError,)
"""Errors whose message has lines of its own."""


def exit_codes() -> str:
    return table(["code", "meaning"], [[f"`{code}`", meaning] for code, meaning in EXIT_CODES.items()])


def statuses() -> str:
    return table(["status", "meaning"], [[f"`{status}`", linked(why)] for status, why in WHY.items()])


def linked(text: str) -> str:
    """A text whose errors are links."""

    def link(found: re.Match[str]) -> str:
        return f"[{found[0]}](errors.md#{errors.__name__}.{found[1]})" if found[1] in errors.__all__ else found[0]

    return re.sub(r"`(\w+)`", link, text)


# ── configuration ─────────────────────────────────────────────────────────────────────────────────────────────────────


def chart_options() -> str:
    """The options of `durable`, and of the configurations of other front-ends."""
    defaults, meanings = ClassChartOptions(), arguments_of(durable)
    rows = [[f"`{name}`", shown(getattr(defaults, name)), meanings[name]] for name in ClassOptions.__annotations__]
    return table(
        ["option", "default", "meaning"], sorted(rows, key=lambda row: list(meanings).index(row[0].strip("`")))
    )


def options_of(function: Callable[..., object], skipped: Iterable[str] = ()) -> str:
    """The arguments of a function that have defaults."""
    meanings = arguments_of(function)
    rows = [
        [f"`{name}`", shown(parameter.default), meanings[name]]
        for name, parameter in inspect.signature(inspect.unwrap(function)).parameters.items()
        if parameter.default is not parameter.empty and name not in skipped
    ]
    return table(["argument", "default", "meaning"], rows)


def retry_options() -> str:
    """The policy that holds if an activity names none."""
    meanings, policy = arguments_of(durable_fsm.Retry), durable_fsm.Retry()
    rows = [[f"`{name}`", shown(getattr(policy, name)), meanings[name]] for name in policy.__dataclass_fields__]
    return table(["argument", "default", "meaning"], rows)


SERVICE_VARIABLES = {
    "DURABLE_FSM_PARK_FIRST_SECONDS": "park_first",
    "DURABLE_FSM_CHECK_FIRST_SECONDS": "check_first",
    "DURABLE_FSM_THREADS": "threads",
    "DURABLE_FSM_PAYLOAD_CHECKS": "compare_payloads",
    "DURABLE_FSM_SHORT_WAY": "short_way",
    "DURABLE_FSM_RECORD": "record",
    "DURABLE_FSM_OPERATOR_SECRETS": "operator_secrets",
}
"""The environment variables that `Settings` reads, and its fields."""

OTHER_VARIABLES = {
    "DURABLE_FSM_IDENTITY_KEYS": (
        "the service",
        "every caller is accepted",
        "Public keys of the Restate servers that may call the service, separated by commas or spaces.",
    ),
    "DURABLE_FSM_CRASH_DIR": (
        "the service",
        "a directory of this service in the system's directory for temporary files",
        "Where processes note what they run: an activity that kills its process again and again is refused. Empty: no notes.",
    ),
    "DURABLE_FSM_CONSOLE_INVITATION": (
        "`console`",
        "set by `dev`",
        "A token: the first person who comes with it may do everything in the console.",
    ),
    "DURABLE_FSM_DOT": (
        "diagrams",
        "graphviz-pure, else `dot` on the PATH",
        "The Graphviz program that lays out diagrams.",
    ),
    "DURABLE_FSM_EFFECTS_URL": ("tests", "set by the fixture `effects`", "Where services write their effects."),
    "RESTATE_SERVER": ("`dev`, tests", "one on the PATH, else one from npm", "The Restate server to run."),
    "XDG_CACHE_HOME": ("`dev`, tests", "`~/.cache`", "Where a Restate server from npm is kept."),
    "NO_COLOR": ("commands", "colours on a terminal", "Any value turns colours off."),
}
"""Variables that other parts read: who reads it, its default, its meaning."""


def service_variables() -> str:
    """Every environment variable, except those of commands."""
    meanings, defaults = arguments_of(Settings), Settings()
    rows = [
        [f"`{name}`", "the service", variable_text(getattr(defaults, field)), meanings[field]]
        for name, field in SERVICE_VARIABLES.items()
    ]
    rows += [[f"`{name}`", *about] for name, about in OTHER_VARIABLES.items()]
    return table(["variable", "read by", "default", "meaning"], rows)


def variable_text(value: object) -> str:
    """A default as it is written into a variable."""
    match value:
        case timedelta():
            return f"`{value.total_seconds():g}`"
        case ():
            return "none"
        case bool():
            return "on; `0` turns it off" if value else "off; `1` turns it on"
        case _:
            return f"`{value}`"


def connection_settings() -> str:
    """How commands reach Restate: flags, variables and entries of pyproject.toml, which all have the same defaults."""

    @click.command()
    @cli_settings.connected
    def command(**_: object) -> None: ...

    rows = [
        [
            f"`{' / '.join([*option.opts, *option.secondary_opts])}`",
            f"`{option.envvar}`",
            f"`{option.name}`",
            str(option.help),
        ]
        for option in command.params
        if isinstance(option, click.Option)
    ]
    return table(["flag", "environment", "`[tool.durable_fsm]`", "meaning"], rows)


def flags_of(name: str) -> str:
    """The flags of a command that are not those of every command."""
    command = program.get_command(click.Context(program), name)
    assert command is not None
    rows = [
        [f"`{' / '.join([*option.opts, *option.secondary_opts])}`", flag_default(option), str(option.help)]
        for option in command.params
        if isinstance(option, click.Option) and option.envvar is None and option.name not in ("help", "as_json")
    ]
    return table(["flag", "default", "meaning"], rows)


def flag_default(option: click.Option) -> str:
    """A default as a person writes it; none for a flag that is off, and for what the help explains."""
    default = option.default
    if option.is_flag:
        return f"`{option.opts[0]}`" if default is True else "off"
    simple = isinstance(default, str | int | float) and not isinstance(default, bool)
    return f"`{default}`" if simple and default != "" else "none"


# ── HTTP ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def document() -> Mapping[str, Any]:
    """The OpenAPI document of the chart that the page shows."""
    return openapi(durable_fsm.chart_from(Order))


def http_api() -> str:
    """The OpenAPI document, operation by operation."""
    schemas = document()["components"]["schemas"]
    life = [event for edge in durable_fsm.chart_from(Order).transitions for event in edge.events]

    def place(path: str) -> int:
        name = path.split("/")[3]
        return life.index(name) if name in life else len(life)

    paths = sorted(document()["paths"].items(), key=lambda entry: place(entry[0]))
    return "\n".join(part for path, item in paths for part in operation(path, item["post"], schemas))


def operation(path: str, item: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    """The section of an operation. One that is sent one way is a sentence only."""
    if item["operationId"].endswith("_one_way"):
        yield f"One way: `POST {path}` answers with 202 at once; `?delay=30s` sends it later.\n"
        return
    yield f"### `POST {path}` {{ #{item['operationId']} data-toc-label='{path.rpartition('/')[2]}' }}\n"
    yield one_line(item["description"]) + "\n"
    if "requestBody" in item:
        yield from body("Body", item["requestBody"]["content"]["application/json"]["schema"], schemas)
    answers = item["responses"]
    failures = ", ".join(f"`{status}`" for status in answers if status != "200")
    yield f"Answers with {answer_of(answers['200'])}. Errors: {failures}.\n"


def answer_of(response: Mapping[str, Any]) -> str:
    schema = response["content"]["application/json"]["schema"]
    if "$ref" in schema:
        return f"`200` and a [receipt](#{schema['$ref'].rpartition('/')[2].lower()})"
    members = ", ".join(f"`{name}`" for name in schema.get("required", ()))
    return f"`200` and an object with {members}" if members else "`200` and the value"


def body(title: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    """The members of an object as a table, or what else the body is."""
    found = resolved(schema, schemas)
    if not found.get("properties"):
        yield f"{title}: {kind_of(schema, schemas)}.\n"
        return
    yield members(found, schemas)


def members(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    needed = schema.get("required", ())
    rows = [
        [f"`{name}`", kind_of(member, schemas), "yes" if name in needed else "", note_of(resolved(member, schemas))]
        for name, member in schema["properties"].items()
    ]
    return table(["member", "type", "required", "notes"], rows)


def resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema behind a reference, with what is said beside the reference."""
    if "$ref" not in schema:
        return schema
    return {**schemas[schema["$ref"].rpartition("/")[2]], **{name: it for name, it in schema.items() if name != "$ref"}}


def kind_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """The type of a schema in words: `array of Item`, `string or null`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(kind_of(one, schemas) for one in options)
    if "enum" in schema or "const" in schema:
        values = [f"`{json.dumps(value)}`" for value in schema.get("enum", [schema.get("const")])]
        return ("one of " if len(values) > 1 else "") + ", ".join(values)
    kinds = schema.get("type", "any JSON")
    if isinstance(kinds, list):
        return " or ".join(map(str, kinds))
    return f"array of {kind_of(schema.get('items', {}), schemas)}" if kinds == "array" else str(kinds)


BOUNDS = {
    "minLength": "{} characters or more",
    "maxLength": "{} characters or fewer",
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "pattern": "pattern `{}`",
}


def note_of(schema: Mapping[str, Any]) -> str:
    notes = [one_line(schema["description"]).rstrip(".")] if "description" in schema else []
    notes += [f"default `{json.dumps(schema['default'])}`"] if schema.get("default") is not None else []
    notes += [text.format(schema[name]) for name, text in BOUNDS.items() if schema.get(name) is not None]
    return one_line(escape("; ".join(notes), quote=False))


def http_schemas() -> str:
    """The objects that answers and bodies of the example are made of."""
    schemas: Mapping[str, Any] = document()["components"]["schemas"]
    parts = [
        f"### {name}\n\n{one_line(schema.get('description', ''))}\n\n{members(schema, schemas)}"
        for name, schema in schemas.items()
        if schema.get("properties")
    ]
    return "\n".join(parts)


# ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

PAGES = ROOT / "docs" / "reference"
NAMED = re.compile(r"^::: (durable_fsm[\w.]*)$", re.MULTILINE)


def names() -> str:
    """Every documented name, and where."""
    pages = {page: NAMED.findall(page.read_text("utf-8")) for page in sorted(PAGES.glob("*.md"))}
    rows = [
        [f"[`{name.rpartition('.')[2]}`]({page.name}#{name})", f"`{name.rpartition('.')[0]}`", title_of(page)]
        for page, listed in pages.items()
        for name in listed
    ]
    return table(["name", "import from", "page"], sorted(rows, key=lambda row: row[0].strip("[`").lower()))


def title_of(page: Path) -> str:
    return page.read_text("utf-8").partition("\n")[0].removeprefix("# ")


TABLES: dict[str, Callable[[], str]] = {
    "errors-overview": errors_overview,
    "errors": errors_in_detail,
    "exit-codes": exit_codes,
    "statuses": statuses,
    "chart-options": chart_options,
    "activity-options": lambda: options_of(durable_fsm.activity),
    "retry-options": retry_options,
    "app-options": lambda: options_of(durable_fsm.app),
    "variables": service_variables,
    "connection": connection_settings,
    "serve-flags": lambda: flags_of("serve"),
    "dev-flags": lambda: flags_of("dev"),
    "console-flags": lambda: flags_of("console"),
    "http-api": http_api,
    "http-schemas": http_schemas,
    "names": names,
}
