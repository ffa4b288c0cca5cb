"""Every page and every public name has a place in the documentation, and links out of it lead somewhere.

The site itself is built by `.ci/run site`, and looked at by `.ci/site.py`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import dgmm

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def places() -> ModuleType:
    spec = importlib.util.spec_from_file_location("places", DOCS / "_ext" / "places.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_in_the_reference_once(places: ModuleType):
    names = [name for group in places.public_names().values() for name in group]
    assert len(names) == len(set(names))
    assert {f"dgmm.{name}" for name in dgmm.__all__} - {*names} == {"dgmm.__version__"}
    assert "dgmm.plotting.plot_mixture" in names


def test_every_page_is_in_one_table_of_contents(places: ModuleType):
    guide = places.with_the_rest((DOCS / "guide.md").read_text(), DOCS)
    others = [page.read_text() for page in DOCS.rglob("*.md") if page.name != "guide.md"]
    named = [name for text in [guide, *others] for name in places.contents(text)]
    pages = {page.stem for page in DOCS.glob("*.md")} - {"index"}
    assert {page: named.count(page) for page in pages} == dict.fromkeys(pages, 1)


def test_a_table_of_contents_has_what_its_page_lists(places: ModuleType):
    page = (
        "| [One](a/one.md) | [more](no.md) |\n| [Two](../two.md) | |\n\n```{toctree}\n@listed@\nthree\n```\n"
    )
    assert "One <a/one>\nTwo <../two>\nthree\n" in places.with_listed(page)
    assert places.contents(page) == ["one", "two", "three"]


def test_pages_that_are_not_there_are_left_out_and_new_ones_are_named(places: ModuleType, tmp_path: Path):
    for name in ("index", "guide", "here", "new"):
        (tmp_path / f"{name}.md").write_text("```{toctree}\nGuide <guide>\n```" if name == "index" else "")
    guide = "```{toctree}\n:hidden:\n\nhere\nto-come\n@more@\n```\n"
    (tmp_path / "guide.md").write_text(guide)
    assert places.with_the_rest(guide, tmp_path) == "```{toctree}\n:hidden:\n\nhere\nnew\n```\n"


@pytest.mark.parametrize(
    ("link", "led"),
    [
        ("[a](../SECURITY.md)", "[a](/about/security.md)"),
        ("[a](../dgmm/DESIGN.md#layers)", "[a](/about/architecture.md#layers)"),
        ("[a](../examples/gallery/stars.py)", "[a](/gallery/stars.rst)"),
        ("[a](../README.md)", "a (`README.md`)"),
        ("[a](../examples/tutorial.py)", "[a](../examples/tutorial.py)"),
        ("[a](../docs/limits.md)", "[a](../docs/limits.md)"),
    ],
)
def test_links_out_of_the_documentation(places: ModuleType, link: str, led: str):
    assert places.LINK.sub(lambda found: places.within_the_site(found, DOCS, DOCS), link) == led
