"""Mutation testing: it lists faults that no test would notice.

A mutant is the package with one small fault: a comparison with its border moved, a sum for a difference, a
number that is another, an ``and`` for an ``or``, a negation that is lost, a call that is not made, a result
that is None. Tests kill it if one of them fails; survivors are faults that nobody would see.

    python benchmarks/mutation.py dgmm/model --sample 100 --seed 0

draws mutants at random from the files of a folder and runs, for each, the tests that run the mutated
line, the fastest first, until one fails; a run of all tests without a fault says beforehand which these are.
Nothing is written to the package: each mutant lives in a process of its own, which has imported the libraries
already, and compiles the one module with the fault in it. NumPy does all work there, as compiled code would
have to be compiled anew for every mutant; what only Numba runs is not mutated.

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
import pickle
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage

ROOT = Path(__file__).resolve().parent.parent
COMPILED = ("compiled", "intrinsic", "overload")
"""Decorators of functions that only Numba runs."""
ONLY_NUMBA = ("tiles.py", "factors.py")
"""Modules whose functions are compiled, all of them."""
OF_NUMBA = ("compiled.py", "jit.py")
"""Modules that do nothing without Numba: for their mutants it works."""
SMALLEST_TIMEOUT, PATIENCE = 30.0, 5.0
"""A mutant hangs that takes so many seconds more than so many times what its tests take without it."""
LONGEST_TEST, LONGEST_MUTANT = 5.0, 60.0
"""Seconds: tests that take longer are left out, unless there is no other; and of all tests of a mutant."""
EXAMPLES = 20
"""Of Hypothesis, for tests that do not say how many."""
PLACES = {"model": ["tests/model", "tests/kernels"]}
"""Where the tests of a folder are, if not in the one of that name."""

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
    lines: tuple[int, ...]
    is_of_import: bool
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.before}  ->  {self.after}"

    @property
    def name(self) -> str:
        """Of the module."""
        return ".".join(self.path.relative_to(ROOT).with_suffix("").parts)

    def tree(self) -> ast.Module:
        """Return the module with the fault."""
        tree = ast.parse(self.path.read_text())
        node = list(ast.walk(tree))[self.node]
        Replaced(node, variants(node)[self.variant]).visit(tree)
        return ast.fix_missing_locations(tree)


class Replaced(ast.NodeTransformer):
    """Puts another node in the place of one."""

    def __init__(self, node: ast.AST, other: ast.AST):
        self.node, self.other = node, other

    def visit(self, node: ast.AST) -> ast.AST:
        """Return the other one for the one, and look further below all others."""
        return self.other if node is self.node else self.generic_visit(node)


def variants(node: ast.AST) -> list[ast.AST]:  # noqa: PLR0911 - a table of cases
    """Return what a node could be by mistake."""
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
    """Yield all mutants of a file."""
    tree = ast.parse(path.read_text())
    left = set(map(id, unmutated(tree)))
    statements = {id(node): where for node, where in statements_of(tree)}
    for number, node in enumerate(ast.walk(tree)):
        if id(node) in left:
            continue
        for variant, other in enumerate(variants(node)):
            before, after = (ast.unparse(each).splitlines()[0] for each in (node, other))
            lines, is_of_import = statements[id(node)]
            line = getattr(node, "lineno", 0)
            yield Mutant(path, number, variant, line, lines, is_of_import, before, after)


def statements_of(tree: ast.Module) -> Iterator[tuple[ast.AST, tuple[tuple[int, ...], bool]]]:
    """Give, for each node, the lines of its statement without those within it, and if importing runs it."""

    def below(
        node: ast.AST, lines: tuple[int, ...], is_of_import: bool
    ) -> Iterator[tuple[ast.AST, tuple[tuple[int, ...], bool]]]:
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
            lines = tuple(range(node.lineno, end + 1))
        yield node, (lines, is_of_import)
        inside = set(map(id, node.body)) if isinstance(node, ast.FunctionDef) else set()
        for child in ast.iter_child_nodes(node):
            yield from below(child, lines, is_of_import and id(child) not in inside)

    yield from below(tree, (), True)


def unmutated(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes that are no behaviour that a test could see, or that do not run here."""
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


class Session:
    """What pytest does for a mutant: some tests, the fastest first, and no search for simpler examples."""

    def __init__(self, tests: list[str] | None = None):
        self.tests = tests

    def pytest_sessionstart(self) -> None:
        """Take the examples of the tests' own profile, but few of them."""
        from hypothesis import Phase, settings  # noqa: PLC0415

        phases = [Phase.explicit, Phase.generate]
        settings.register_profile("mutants", settings(), phases=phases, max_examples=EXAMPLES)
        settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Leave the tests that were asked for, in that order."""
        if self.tests is not None:
            found = {item.nodeid: item for item in items}
            items[:] = [found[test] for test in self.tests]


class Recorder(Session):
    """What pytest does without a fault: it notes which lines each test runs, and for how long."""

    def __init__(self, coverage: Any):
        super().__init__()
        self.coverage = coverage
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Generator[None, object, object]:
        """Measure a test."""
        started = time.monotonic()
        result = yield
        self.seconds[item.nodeid] = time.monotonic() - started
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: Any) -> Generator[None, object, object]:
        """Fixtures may be for several tests: their lines are run by all tests of the file."""
        self.coverage.switch_context(item.nodeid.split("::")[0])
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: Any) -> Generator[None, object, object]:
        """The lines of a test are its own."""
        self.coverage.switch_context(item.nodeid)
        return (yield)


@dataclass(frozen=True)
class Reach:
    """Which tests run which lines.

    Attributes
    ----------
    seconds : dict
        Of each test, in the order of the tests.
    tests : dict
        Of each file, which tests run each line.
    """

    seconds: dict[str, float]
    tests: dict[str, dict[int, list[str]]]

    def of(self, mutant: Mutant) -> list[str]:
        """Give the tests that run the statement of a mutant, the fastest first, as many as there is time for.

        What runs when the module is imported is for all tests that run anything of the file.
        """
        of_file = self.tests.get(str(mutant.path), {})
        contexts = {context for line in mutant.lines for context in of_file.get(line, [])}
        if mutant.is_of_import:
            contexts = {context for each in of_file.values() for context in each}
        chosen = [test for test in self.seconds if test in contexts or test.split("::")[0] in contexts]
        chosen.sort(key=self.seconds.__getitem__)
        fast = [test for test in chosen if self.seconds[test] < LONGEST_TEST] or chosen[:1]
        ends = accumulate(map(self.seconds.__getitem__, fast))
        return [test for test, end in zip(fast, ends, strict=True) if end < LONGEST_MUTANT] or fast[:1]


def in_a_process(work: Callable[[], object], timeout: float) -> object:
    """Do something in a process of its own, and give what it gives; None if that takes too long."""
    with tempfile.TemporaryFile() as file:
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            result = work()
            pickle.dump(result, file)
            file.flush()
            os._exit(0)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                file.seek(0)
                return pickle.load(file) if status == 0 else "crashed"
            time.sleep(0.005)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return None


def run_pytest(tests: Iterable[str], session: Session, with_numba: bool) -> int:
    """Run tests here, silently, up to the first that fails."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    os.environ["DGMM_COMPILED"] = "1" if with_numba else "0"
    if not with_numba:
        sys.modules["numba"] = None  # type: ignore[assignment]  # as where it is not installed
    with contextlib.redirect_stdout(io.StringIO()):
        return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests], plugins=[session]))


def recorded(places: list[str], with_numba: bool) -> Reach:
    """Run all tests of some places without a fault, here."""
    coverage = Coverage(data_file=None, source=[str(ROOT / "dgmm")], config_file=False)
    recorder = Recorder(coverage)
    coverage.start()
    code = run_pytest(places, recorder, with_numba)
    coverage.stop()
    data = coverage.get_data()
    files = sorted(data.measured_files())
    return Reach({} if code else recorder.seconds, {file: data.contexts_by_lineno(file) for file in files})


def files_of(places: list[Path]) -> list[Path]:
    files = [
        each for place in places for each in (sorted(place.rglob("*.py")) if place.is_dir() else [place])
    ]
    return [file.resolve() for file in files if file.name not in ("__init__.py", *ONLY_NUMBA)]


class Judge:
    """Runs the tests of mutants, and knows which they are."""

    def __init__(self, tests: list[str]):
        self.places = tests
        self.reaches: dict[tuple[str, ...], Reach] = {}

    def kills(self, mutant: Mutant) -> str | None:
        """Return what killed a mutant, or None."""
        with_numba = mutant.path.name in OF_NUMBA
        reach = self.reach(places_of(mutant.path, self.places), with_numba)
        tests = reach.of(mutant)
        if not tests:
            return None

        def work() -> int:
            sys.meta_path.insert(0, Planted(mutant))  # type: ignore[arg-type]
            files = dict.fromkeys(test.split("::")[0] for test in tests)
            return run_pytest(files, Session(tests), with_numba)

        timeout = SMALLEST_TIMEOUT + PATIENCE * sum(reach.seconds[test] for test in tests)
        result = in_a_process(work, timeout)
        return None if result == 0 else "hung" if result is None else "killed"

    def reach(self, places: list[str], with_numba: bool) -> Reach:
        """Return which tests run which lines; they must pass without a fault."""
        key = tuple(places)
        if key not in self.reaches:
            reach = in_a_process(lambda: recorded(places, with_numba), 7200.0)
            if not isinstance(reach, Reach) or not reach.seconds:
                sys.exit(f"{' '.join(places)}: a test fails without a fault")
            print(f"{len(reach.seconds)} tests of {' '.join(places)}: {sum(reach.seconds.values()):.0f} s")
            self.reaches[key] = reach
        return self.reaches[key]


def places_of(path: Path, places: list[str]) -> list[str]:
    """Give where the tests of a module are: for what Numba runs, its twin alone, as compiling takes long."""
    part = path.relative_to(ROOT / "dgmm")
    if path.name in OF_NUMBA:
        return [str(Path("tests") / part.parent / f"test_{part.name}")]
    return places or PLACES.get(part.parts[0], [f"tests/{part.parts[0]}"])


def main() -> None:
    """Draw mutants, run their tests, and list who survives."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("places", nargs="*", type=Path, default=[ROOT / "dgmm/model", ROOT / "dgmm/fitting"])
    parser.add_argument("--sample", type=int, default=100, help="mutants to draw; 0 for all (default: 100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tests", nargs="*", default=[], help="where the tests are (default: as the folder)")
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
    judge, survivors, ends, number = (
        Judge(arguments.tests),
        [],
        time.monotonic() + 60.0 * arguments.minutes,
        0,
    )
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
