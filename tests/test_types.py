"""The types at the surface: everything public says what it takes and gives, and none of it is ``Any``.

That pyright makes the right ones of them is checked by ``assert_type`` in `tests.estimators.test_predictor`.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import get_overloads, get_type_hints

import pytest

import dgmm
from dgmm.data import Chunk, Source
from dgmm.data.types import RowsLike

IS_ANY = re.compile(r"\bAny\b")


def public_functions() -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield the functions of ``dgmm``, and the methods of its classes and of the sources that it opens."""
    for name in dgmm.__all__:
        each = getattr(dgmm, name)
        if inspect.isfunction(each):
            yield name, each
    classes = [getattr(dgmm, name) for name in dgmm.__all__]
    for kind in [each for each in classes if inspect.isclass(each)] + [Source, Chunk]:
        for base in kind.__mro__:
            if not base.__module__.startswith("dgmm"):
                continue
            for name, value in vars(base).items():
                if name.startswith("_") and name != "__init__":
                    continue
                function = (
                    value.fget
                    if isinstance(value, property)
                    else inspect.unwrap(getattr(value, "__func__", value))
                )
                if inspect.isfunction(function) and function.__module__.startswith("dgmm"):
                    yield f"{kind.__name__}.{name}", function


FUNCTIONS = dict(public_functions())


def faults(function: Callable[..., object]) -> Iterator[str]:
    """Yield what of a function's annotations lacks, or is no type."""
    signature = inspect.signature(function)
    for name, parameter in signature.parameters.items():
        if name not in ("self", "cls"):
            given = parameter.annotation
            if given is parameter.empty or IS_ANY.search(str(given)):
                yield f"{name}: {given}"
    if function.__name__ != "__init__":
        given = signature.return_annotation
        if given is signature.empty or IS_ANY.search(str(given)):
            yield f"-> {given}"


def imported_when_used(module: str) -> dict[str, object]:
    """Give what a module imports for type checkers alone, as nothing but a few of its functions needs it."""
    found: dict[str, object] = {}
    for each in ast.walk(ast.parse(inspect.getsource(import_module(module)))):
        if isinstance(each, ast.If) and ast.unparse(each.test) == "TYPE_CHECKING":
            for line in each.body:
                assert isinstance(line, ast.ImportFrom)
                assert line.module is not None
                found |= {name.name: getattr(import_module(line.module), name.name) for name in line.names}
    return found


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_public_function_has_types(name):
    function = FUNCTIONS[name]
    for each in (function, *get_overloads(function)):
        assert [*faults(each)] == []
        get_type_hints(each, localns=imported_when_used(each.__module__))  # all names are there, then or now


def test_what_is_found():
    expected = {"load", "open_dataset", "fingerprint", "GaussianMixture.fit", "GaussianMixture.predict"}
    expected |= {"GaussianMixtureSweep.sample", "BayesianGaussianMixture.to_sklearn", "Source.spans"}
    assert expected <= FUNCTIONS.keys()
    assert get_type_hints(FUNCTIONS["GaussianMixture.fit"])["X"] == RowsLike


def test_a_fault_is_seen():
    def of_anything(X, y: "list[Any]" = []) -> int:  # noqa: B006, F821  # pyright: ignore
        return 0

    assert [*faults(of_anything)] == ["X: <class 'inspect._empty'>", "y: list[Any]"]


@pytest.mark.parametrize("name", ["GaussianMixture", "BayesianGaussianMixture", "GaussianMixtureSweep"])
def test_attributes_have_types(name):
    kind = getattr(dgmm, name)
    for base in kind.__mro__:
        if base.__module__.startswith("dgmm"):
            public = {key: text for key, text in inspect.get_annotations(base).items() if key[0] != "_"}
            assert [key for key, text in public.items() if IS_ANY.search(str(text))] == []
