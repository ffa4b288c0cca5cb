"""Mutation testing: it lists faults that no test would notice.

A mutant is the package with one small fault: a comparison with its border moved, a sum for a difference, a
number that is another, an ``and`` for an ``or``, a negation that is lost, a call that is not made, a result
that is None. Tests kill it if one of them fails; survivors are faults that nobody would see.

    python benchmarks/mutation.py dgmm/model --sample 100 --seed 0

draws mutants at random from the files of a folder and runs, for each, the tests of its module and then, if
it has survived, those of the whole folder. Nothing is written to the package: each mutant lives in a process
of its own, which has imported the libraries already, and compiles the one module with the fault in it. NumPy
does all work there, as compiled code would have to be compiled anew for every mutant; what only Numba runs is
not mutated.

Not mutated either: docstrings and messages, annotations, and constants of modules (a benchmark, not a test,
says what those should be that tune).
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import importlib.machinery
import io
import math
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILED = ("compiled", "intrinsic", "overload")
"""Decorators of functions that only Numba runs."""
ONLY_NUMBA = ("tiles.py", "factors.py")
"""Modules whose functions are compiled, all of them."""
OF_NUMBA = ("compiled.py", "jit.py")
"""Modules that do nothing without Numba: for their mutants it works."""
SMALLEST_TIMEOUT, PATIENCE = 30.0, 5.0
"""A mutant hangs that takes so many seconds, and so many times as long as the tests without it."""

BORDERS: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
}
LIBRARIES = (
    "numpy",
    "scipy.linalg",
    "scipy.special",
    "sklearn.mixture",
    "sklearn.cluster",
    "hypothesis",
    "dask.array",
    "distributed",
    "zarr",
    "pyarrow.parquet",
    "pandas",
)
"""What the tests import; not the package itself."""


@dataclass(frozen=True)
class Mutant:
    """One fault: the node of a module's tree with this number, replaced by its variant with this number."""

    path: Path
    node: int
    variant: int
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.before}  ->  {self.after}"

    @property
    def name(self) -> str:
        """Of the module."""
        return ".".join(self.path.relative_to(ROOT).with_suffix("").parts)

    def tree(self) -> ast.Module:
        """Give the module with the fault."""
        tree = ast.parse(self.path.read_text())
        node = list(ast.walk(tree))[self.node]
        Replaced(node, variants(node)[self.variant]).visit(tree)
        return ast.fix_missing_locations(tree)


class Replaced(ast.NodeTransformer):
    """Puts another node in the place of one."""

    def __init__(self, node: ast.AST, other: ast.AST):
        self.node, self.other = node, other

    def visit(self, node: ast.AST) -> ast.AST:
        """Give the other one for the one, and look further below all others."""
        return self.other if node is self.node else self.generic_visit(node)


def variants(node: ast.AST) -> list[ast.AST]:  # noqa: PLR0911 - a table of cases
    """Give what a node could be by mistake."""
    match node:
        case ast.Compare(ops=[operator]):
            return [changed(node, ops=[other()]) for other in BORDERS[type(operator)]]
        case ast.BinOp() | ast.AugAssign() if type(node.op) in ARITHMETIC:
            return [changed(node, op=ARITHMETIC[type(node.op)]())]
        case ast.BoolOp():
            return [changed(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())]
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            return [node.operand]
        case ast.Constant(value=bool(value)):
            return [changed(node, value=not value)]
        case ast.Constant(value=int(value)):
            return [changed(node, value=value + 1)]
        case ast.Constant(value=float(value)):
            return [changed(node, value=2.0 * value or 1.0)]
        case ast.Return(value=ast.expr() as value) if not is_none(value):
            return [changed(node, value=ast.Constant(None))]
        case (
            ast.If(test=ast.Name() | ast.Attribute() | ast.Call())
            | ast.IfExp(test=ast.Name() | ast.Attribute() | ast.Call())
        ):
            return [changed(node, test=ast.UnaryOp(ast.Not(), node.test))]
        case ast.Expr(value=ast.Call()):
            return [ast.copy_location(ast.Pass(), node)]
    return []


def changed(node: ast.AST, **fields: object) -> ast.AST:
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Give all mutants of a file."""
    tree = ast.parse(path.read_text())
    left = set(map(id, unmutated(tree)))
    for number, node in enumerate(ast.walk(tree)):
        if id(node) in left:
            continue
        for variant, other in enumerate(variants(node)):
            before, after = (ast.unparse(each).splitlines()[0] for each in (node, other))
            yield Mutant(path, number, variant, getattr(node, "lineno", 0), before, after)


def unmutated(tree: ast.Module) -> Iterator[ast.AST]:
    """Give the nodes that are no behaviour that a test could see, or that do not run here."""
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.Import, ast.ImportFrom)):
            yield from ast.walk(node)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            for decorator in node.decorator_list:
                yield from ast.walk(decorator)
        if isinstance(node, ast.FunctionDef):
            if any(ast.unparse(each).startswith(COMPILED) for each in node.decorator_list):
                yield from ast.walk(node)
            if node.returns is not None:
                yield from ast.walk(node.returns)
        if isinstance(node, (ast.AnnAssign, ast.arg)) and node.annotation is not None:
            yield from ast.walk(node.annotation)
        if isinstance(node, (ast.Raise, ast.JoinedStr)):
            yield from ast.walk(node)


class Planted(importlib.machinery.SourceFileLoader):
    """Loads a module with a fault in it."""

    def __init__(self, mutant: Mutant):
        super().__init__(mutant.name, str(mutant.path))
        self.mutant = mutant

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        """Compile the module with the fault."""
        return compile(self.mutant.tree(), str(self.mutant.path), "exec")

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        """Find the module, and no other."""
        if name != self.mutant.name:
            return None
        return importlib.machinery.ModuleSpec(name, self, origin=str(self.mutant.path))


def run_tests(tests: Path, mutant: Mutant | None, with_numba: bool, timeout: float) -> str:
    """Run tests in a process of their own: ``passed``, ``failed`` or ``hung``."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os._exit(_run_here(tests, mutant, with_numba))
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "passed" if os.waitstatus_to_exitcode(status) == 0 else "failed"
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


def _run_here(tests: Path, mutant: Mutant | None, with_numba: bool) -> int:
    import pytest  # noqa: PLC0415

    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    os.environ["DGMM_COMPILED"] = "1" if with_numba else "0"
    if not with_numba:
        sys.modules["numba"] = None  # type: ignore[assignment]  # as where it is not installed
    if mutant is not None:
        sys.meta_path.insert(0, Planted(mutant))  # type: ignore[arg-type]
    with contextlib.redirect_stdout(io.StringIO()):
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", str(tests)])
    return int(code)


def tests_of(path: Path) -> list[Path]:
    """Give the tests of a module: its twin, if it has one, and then those of its folder."""
    part = path.relative_to(ROOT / "dgmm")
    twin = ROOT / "tests" / part.parent / f"test_{part.name}"
    folder = ROOT / "tests" / part.parts[0]
    return [twin, folder] if twin.exists() else [folder]


def files_of(places: list[Path]) -> list[Path]:
    files = [
        each for place in places for each in (sorted(place.rglob("*.py")) if place.is_dir() else [place])
    ]
    return [file.resolve() for file in files if file.name not in ("__init__.py", *ONLY_NUMBA)]


class Judge:
    """Runs the tests of mutants, and knows how long they take without."""

    def __init__(self) -> None:
        self.seconds: dict[tuple[Path, bool], float] = {}

    def kills(self, mutant: Mutant) -> str | None:
        """Give what killed a mutant, or None."""
        with_numba = mutant.path.name in OF_NUMBA
        for tests in tests_of(mutant.path):
            longest = max(SMALLEST_TIMEOUT, PATIENCE * self.taken_by(tests, with_numba))
            result = run_tests(tests, mutant, with_numba, longest)
            if result != "passed":
                return f"{result} in {tests.relative_to(ROOT)}"
        return None

    def taken_by(self, tests: Path, with_numba: bool) -> float:
        """Give the seconds that tests take without a fault; they must pass."""
        key = tests, with_numba
        if key not in self.seconds:
            started = time.monotonic()
            if run_tests(tests, None, with_numba, 3600.0) != "passed":
                sys.exit(f"{tests.relative_to(ROOT)} fails without a fault")
            self.seconds[key] = time.monotonic() - started
        return self.seconds[key]


def main() -> None:
    """Draw mutants, run their tests, and list who survives."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("places", nargs="*", type=Path, default=[ROOT / "dgmm/model", ROOT / "dgmm/fitting"])
    parser.add_argument("--sample", type=int, default=100, help="mutants to draw; 0 for all (default: 100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="end early: what was drawn is a sample"
    )
    arguments = parser.parse_args()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they want to be imported before the libraries
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    for library in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)

    every = [mutant for file in files_of(arguments.places) for mutant in mutants_of(file)]
    size = min(arguments.sample or len(every), len(every))
    drawn = random.Random(arguments.seed).sample(every, size)
    judge, survivors, ends, number = Judge(), [], time.monotonic() + 60.0 * arguments.minutes, 0
    for number, mutant in enumerate(drawn, 1):
        killer = judge.kills(mutant)
        print(f"{number}/{size} {killer or 'SURVIVED'}: {mutant}", flush=True)
        if killer is None:
            survivors.append(mutant)
        if time.monotonic() > ends:
            break
    killed = number - len(survivors)
    print(f"\n{number} of {len(every)} mutants, seed {arguments.seed}: {killed} killed", end=" ")
    print(f"({killed / max(number, 1):.1%}). Survivors:\n")
    for mutant in sorted(survivors, key=str):
        print(f"- {mutant}")


if __name__ == "__main__":
    main()
