"""How many mistakes in one line the tests find.

    python benchmarks/mutants.py [--number 30] [--seed 1] [--in core --in restate]

Each round changes one line of a copy of the committed sources: a comparison, a condition, a constant, a returned value, or
a statement that goes. The lines are drawn at random, with a seed. The quick tests run on the copy first, then all others;
the first failure ends the round. It is printed with its reason: a test that failed for a reason of its own has found
nothing. A mutant that no test notices survives and is printed with its line. Run it while the machine is quiet; thirty
mutants take about an hour on two cores.

Not changed are docstrings, annotations, imports, decorators, options of classes, and expressions of several lines.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = Path("src/durable_fsm")

OTHER_OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
}

STAGES = (
    ("0.1", ["-m", "not server and not long", "--ignore=tests/server"]),
    ("1", ["tests/server", "machines", "tests/client", "tests/restate", "tests/acceptance"]),
    ("1", []),
)
"""SCALE and the arguments of pytest: the quick tests, those on the server, all tests."""


@dataclass(frozen=True)
class Mutant:
    """One line of one file, and the line in its place."""

    file: Path
    line: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}\n    - {self.old.strip()}\n    + {self.new.strip()}"


def mutants_of(file: Path) -> Iterator[Mutant]:
    """Every mutant of a file, in the order of its lines."""
    text = (ROOT / file).read_text()
    lines = text.splitlines()
    for node in mutable_nodes(ast.parse(text)):
        if node.lineno != node.end_lineno:
            continue
        old = lines[node.lineno - 1].encode()
        for replaced in replacements(node):
            new = (old[: node.col_offset] + ast.unparse(replaced).encode() + old[node.end_col_offset :]).decode()
            if is_valid(lines, node.lineno, new):
                yield Mutant(file, node.lineno, old.decode(), new)


def mutable_nodes(tree: ast.AST) -> Iterator[ast.stmt | ast.expr]:
    """The statements and expressions that run, without the parts of f-strings."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Import | ast.ImportFrom | ast.JoinedStr | ast.arg):
            continue
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        if isinstance(child, ast.AnnAssign):
            if child.value:
                yield from mutable_nodes(ast.Expression(child.value))
            continue
        if isinstance(child, ast.ClassDef):
            yield from mutable_nodes(ast.Module(child.body, []))
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in (*child.args.defaults, *(one for one in child.args.kw_defaults if one), *child.body):
                yield from mutable_nodes(ast.Module([part], []))  # type: ignore[list-item]
            continue
        if isinstance(child, ast.stmt | ast.expr) and hasattr(child, "lineno"):
            yield child
        yield from mutable_nodes(child)


def replacements(node: ast.stmt | ast.expr) -> Iterator[ast.AST]:
    """Mistakes that could be made at a node."""
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=right):
            yield ast.Compare(left, [OTHER_OPERATORS[type(operator)]()], right)  # type: ignore[list-item]
        case ast.BoolOp(op=operator, values=values):
            yield ast.BoolOp(OTHER_OPERATORS[type(operator)](), values)  # type: ignore[arg-type]
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as operator, right=one):
            yield ast.BinOp(left, OTHER_OPERATORS[type(operator)](), one)  # type: ignore[arg-type]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield ast.Return(ast.Constant(None))
        case (
            ast.Expr(value=ast.Call() | ast.Await())
            | ast.AugAssign()
            | ast.Assign(targets=[ast.Attribute() | ast.Subscript()])
        ):
            yield ast.Pass()
        case _:
            pass


def is_valid(lines: list[str], number: int, new: str) -> bool:
    changed = [*lines[: number - 1], new, *lines[number:]]
    try:
        compile("\n".join(changed), "mutant", "exec")
    except SyntaxError:
        return False
    return new != lines[number - 1]


def survives(mutant: Mutant, tree: Path) -> str:
    """Run the tests on the tree with one line changed; return the test that failed and its reason, or nothing."""
    target = tree / mutant.file
    original = target.read_text()
    lines = original.splitlines()
    lines[mutant.line - 1] = mutant.new
    target.write_text("\n".join(lines) + "\n")
    try:
        for scale, chosen in STAGES:
            failed = run_tests(tree, scale, chosen)
            if failed:
                return failed
    finally:
        target.write_text(original)
    return ""


def run_tests(tree: Path, scale: str, chosen: list[str]) -> str:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-n",
        "2",
        "--dist",
        "worksteal",
        "-p",
        "no:cacheprovider",
        *chosen,
    ]
    environment = {**os.environ, "SCALE": scale, "PYTHONPATH": f"{tree / 'src'}:{tree}"}
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=3_600, check=False
        )
    except subprocess.TimeoutExpired:
        return "a test that never ended"
    if done.returncode == 0:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    if found is None:
        return (done.stdout + done.stderr).strip().splitlines()[-1]
    reason = re.search(r"^E +(.*)", done.stdout, re.MULTILINE)
    return f"{found.group(1)}: {reason.group(1)[:200]}" if reason else found.group(1)


def copy_of_the_commit(place: Path) -> Path:
    """The committed tree, and the environment that runs it."""
    tree = place / "tree"
    tree.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "x"], cwd=tree, input=archive, check=True)
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)  # some tests ask git which files there are
    subprocess.run(["git", "add", "."], cwd=tree, check=True)
    (tree / ".venv").symlink_to((ROOT / ".venv").resolve())
    return tree


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=30, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1, help="which ones")
    parser.add_argument(
        "--in", dest="rooms", action="append", help="a folder of src/durable_fsm; core and restate by default"
    )
    options = parser.parse_args()
    rooms = options.rooms or ["core", "restate"]
    files = sorted(file.relative_to(ROOT) for room in rooms for file in (ROOT / PACKAGE / room).rglob("*.py"))
    every = [mutant for file in files for mutant in mutants_of(file)]
    chosen = random.Random(options.seed).sample(every, options.number)
    print(f"{options.number} of {len(every)} mutants of {len(files)} files, seed {options.seed}", flush=True)
    place = Path(tempfile.mkdtemp(prefix="mutants-"))
    survivors = 0
    try:
        tree = copy_of_the_commit(place)
        if failed := run_tests(tree, *STAGES[0]):
            sys.exit(f"{failed} fails without any change")
        for number, mutant in enumerate(chosen, 1):
            began = time.monotonic()
            failed = survives(mutant, tree)
            survivors += not failed
            verdict = f"found by {failed}" if failed else "SURVIVES"
            print(f"{number}. {mutant}\n    {verdict}, {time.monotonic() - began:.0f} s", flush=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(f"{survivors} of {options.number} survived")


if __name__ == "__main__":
    main()
