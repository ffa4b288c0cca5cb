"""Everything public has a place: what no page names comes under "More", so that nothing is forgotten.

- The page of the API is written from `GROUPS`, and all other names of `dgmm.__all__`.
- ``@listed@`` in a table of contents is what the page's own table lists: the first link of each of its lines.
- ``@more@`` in guide.md is what is beside it and that no table of contents names; what these name and is not
  there yet is left out.
- Of classes only what dgmm's own code defines is shown, not what they have of scikit-learn.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import dgmm

if TYPE_CHECKING:
    from sphinx.application import Sphinx

GROUPS = {
    "Mixtures": ["GaussianMixture", "BayesianGaussianMixture", "GaussianMixtureSweep", "load"],
    "Before a mixture, and with one": ["PCA", "MixtureOutlierDetector", "MixtureImputer"],
    "Rows": ["open_dataset", "fingerprint"],
    "Fits that go on": ["Checkpoint"],
    "Warnings and errors": [
        "DataWarning",
        "MixtureWarning",
        "CheckpointWarning",
        "CheckpointError",
        "ClusterLostError",
        "SingularInformationError",
    ],
}
PICTURES = "dgmm.plotting"
ELSEWHERE = {"dgmm/DESIGN.md": "about/architecture.md", "SECURITY.md": "about/security.md"}
"""Pages of the site that have files from outside docs/."""
LINK = re.compile(r"(?<!!)\[([^]]*)\]\((\.\./[\w./-]+)((?:#[\w-]+)?)\)")
LISTED = re.compile(r"^\| \[([^]]+)\]\(([\w./-]+)\.md\)", flags=re.MULTILINE)
TABLE = re.compile(r"^```{toctree}\n.*?^```$", flags=re.DOTALL | re.MULTILINE)


def public_names() -> dict[str, list[str]]:
    """Give the full names of everything public, by their group."""
    groups = {group: [name for name in names if name in dgmm.__all__] for group, names in GROUPS.items()}
    placed = {name for names in groups.values() for name in names} | {"__version__"}
    groups["More"] = [name for name in dgmm.__all__ if name not in placed]
    found = {group: [f"dgmm.{name}" for name in names] for group, names in groups.items() if names}
    return found | {"Within xarray": ["dgmm.xarray.Accessor"], "Pictures": functions_of(PICTURES)}


def functions_of(module: str) -> list[str]:
    """Give the public functions that a module or the modules of a package define."""
    room = importlib.import_module(module)
    names = getattr(room, "__all__", None) or [
        name
        for name, value in inspect.getmembers(room, inspect.isfunction)
        if value.__module__.startswith(module) and not name.startswith("_")
    ]
    return [f"{module}.{name}" for name in names]


def write_api(app: Sphinx, config: object) -> None:
    """Write the page of the API, if it is not there as it should be."""
    lines = ["API", "===", "", "Everything public.", ""]
    for group, names in public_names().items():
        lines += [
            group,
            "-" * len(group),
            "",
            ".. autosummary::",
            "   :toctree: generated",
            "   :nosignatures:",
            "",
        ]
        lines += [f"   {name}" for name in names] + [""]
    page, text = Path(app.srcdir, "reference", "api.rst"), "\n".join(lines)
    if not page.exists() or page.read_text() != text:
        page.write_text(text)


def place(app: Sphinx, docname: str, source: list[str]) -> None:
    """Name in guide.md the pages that are there, and lead links out of docs/ to the page of that file."""
    folder = Path(app.srcdir)
    source[0] = with_listed(source[0])
    if docname == "guide":
        source[0] = with_the_rest(source[0], folder)
    here = Path(app.srcdir, docname).parent
    source[0] = LINK.sub(lambda link: within_the_site(link, here, folder), source[0])


def within_the_site(link: re.Match[str], here: Path, folder: Path) -> str:
    """Lead a link out of docs/ to the page of that file; name the file where there is none."""
    text, target, anchor = link.groups()
    file = Path(os.path.normpath(here / target))
    if file.is_relative_to(folder):
        return link[0]
    name = file.relative_to(folder.parent).as_posix()
    page = ELSEWHERE.get(name) or (f"gallery/{file.stem}.rst" if "gallery/" in name else None)
    if page is not None:
        return f"[{text}](/{page}{anchor})"
    return f"{text} (`{name}`)" if file.suffix == ".md" else link[0]


def with_listed(page: str) -> str:
    """Put what a page lists in its table of contents."""
    lines = [f"{title} <{target}>" for title, target in LISTED.findall(page)]
    return TABLE.sub(lambda table: table[0].replace("@listed@", "\n".join(lines)), page)


def contents(page: str) -> list[str]:
    """Name the pages in the tables of contents of a page, as they are called without folders."""
    lines = [line for table in TABLE.findall(with_listed(page)) for line in table.splitlines()]
    return [Path(line.split("<")[-1].strip("> ")).stem for line in lines if line and line[0] not in "`:@"]


def with_the_rest(guide: str, folder: Path) -> str:
    """Leave out of the tables of contents what is not there yet; ``@more@`` is what none of them names."""
    pages = {page.stem for page in folder.glob("*.md")}
    named = {name for page in folder.rglob("*.md") for name in contents(page.read_text())}
    there = TABLE.sub(
        lambda table: "\n".join(
            line for line in table[0].splitlines() if line[:1] in {"`", ":", "", "@"} or line in pages
        ),
        guide,
    )
    return there.replace("@more@", "\n".join(sorted(pages - named - {"index"})))


def escape_underscores(  # noqa: PLR0917 - Sphinx's event
    app: Sphinx, kind: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Keep shapes such as (n_features_in_,) from being taken for references, before numpydoc sees them."""
    lines[:] = [re.sub(r"(?<=\w)_(?=[,)])", r"\\_", line) if "shape (" in line else line for line in lines]


def skip_what_is_not_ours(  # noqa: PLR0917 - Sphinx's event
    app: Sphinx, kind: str, name: str, value: object, skip: bool, options: object
) -> bool | None:
    """Leave out what classes have of scikit-learn."""
    module = getattr(value, "__module__", None) or getattr(getattr(value, "fget", None), "__module__", None)
    return True if module is None or not module.startswith("dgmm") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to what Sphinx does."""
    app.connect("config-inited", write_api)  # before autosummary looks for names
    app.connect("source-read", place)
    app.connect("autodoc-process-docstring", escape_underscores, priority=100)
    app.connect("autodoc-skip-member", skip_what_is_not_ours)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
