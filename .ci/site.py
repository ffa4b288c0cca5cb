"""What the built site must be: all that is public is there, links lead somewhere, no other machine is asked.

python .ci/site.py docs/_build/html
"""

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

import dgmm
from dgmm.cli import main

FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
"""Which attribute of an element a browser fetches by itself."""
LEAST_EXAMPLES = 12
FURNITURE = {"genindex", "search"}
"""Pages that are the theme's."""


@dataclass
class Page(HTMLParser):
    """What a page fetches, links to, and can be linked at."""

    fetched: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    places: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at an element."""
        given = {name: value or "" for name, value in attrs}
        self.places.add(given.get("id", ""))
        if tag == "a":
            self.links.append(given.get("href", ""))
        elif tag in FETCHED and given.get("rel") != "canonical":
            self.fetched.append(given.get(FETCHED[tag], ""))


def read(path: Path) -> Page:
    """Read a page."""
    page = Page()
    page.feed(path.read_text())
    return page


def leads_away(target: str) -> bool:
    """Whether a target is on another machine."""
    return re.match(r"([a-z]+:)?//", target) is not None


def dead_links(path: Path, pages: dict[Path, Page]) -> list[str]:
    """Give the targets within the site that are not there."""
    dead = []
    for target in (*pages[path].links, *pages[path].fetched):
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        at_page = file in pages and parts.fragment and path.stem not in FURNITURE
        if not file.exists() or (at_page and unquote(parts.fragment) not in pages[file].places):
            dead.append(target)
    return dead


def check_site(site: Path) -> None:
    """Fail with what is missing, leads nowhere, or would leave the machine."""
    pages = {path: read(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    asked = {str(path): [each for each in page.fetched if leads_away(each)] for path, page in pages.items()}
    for sheet in site.rglob("*.css"):
        targets = re.findall(r"(?:url\(|@import )['\"]?([^'\")]+)", sheet.read_text())
        asked[str(sheet)] = [each for each in targets if leads_away(each)]
    assert not any(asked.values()), {name: found for name, found in asked.items() if found}

    dead = {str(path): dead_links(path, pages) for path in pages}
    assert not any(dead.values()), {name: found for name, found in dead.items() if found}

    api = [f"dgmm.{name}" for name in dgmm.__all__ if name != "__version__"]
    missing = [name for name in api if not (site / "reference" / "generated" / f"{name}.html").exists()]
    assert not missing, f"the reference lacks {missing}"
    commands = main.list_commands(click.Context(main))
    there = pages[site / "reference" / "commands.html"].places
    lacking = [name for name in commands if f"dgmm-{name}" not in there]
    assert not lacking, f"the reference lacks the commands {lacking}"

    examples = [path for path in (site / "gallery").glob("*.html") if path.stem != "index"]
    bare = [path.stem for path in examples if "sphx_glr_" + path.stem not in path.read_text()]
    assert not bare, f"without a picture: {bare}"
    assert len(examples) >= LEAST_EXAMPLES, len(examples)
    print(f"{len(pages)} pages, {len(api)} names, {len(commands)} commands, {len(examples)} examples")


check_site(Path(sys.argv[1]).resolve())
