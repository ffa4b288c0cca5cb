"""What the built site must be: everything public is there, no other machine is asked, examples have pictures.

python .ci/site.py docs/_build/html
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import click

import dgmm
from dgmm.cli import main

FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
"""Which attribute of an element a browser fetches by itself."""
LEAST_EXAMPLES = 12


class Requests(HTMLParser):
    """What a browser that shows a page would ask other machines for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at an element."""
        target = dict(attrs).get(FETCHED.get(tag, "")) or ""
        if re.match(r"(https?:)?//", target) and dict(attrs).get("rel") != "canonical":
            self.found.append(target)


def requests_of(page: Path) -> list[str]:
    """Give what a page or a style sheet asks other machines for."""
    text = page.read_text(errors="replace")
    if page.suffix == ".css":
        return re.findall(r"(?:url\(|@import )['\"]?((?:https?:)?//[^'\")]+)", text)
    parser = Requests()
    parser.feed(text)
    return parser.found


def check_site(site: Path) -> None:
    """Fail with what is missing, or what would leave the machine."""
    asked = {page: requests_of(page) for page in (*site.rglob("*.html"), *site.rglob("*.css"))}
    assert not any(asked.values()), {str(page): found for page, found in asked.items() if found}

    api = [f"dgmm.{name}" for name in dgmm.__all__ if name != "__version__"]
    missing = [name for name in api if not (site / "reference" / "generated" / f"{name}.html").exists()]
    assert not missing, f"the reference lacks {missing}"
    commands = (site / "reference" / "commands.html").read_text()
    names = main.list_commands(click.Context(main))
    lacking = [name for name in names if f'id="dgmm-{name}"' not in commands]
    assert not lacking, f"the reference lacks the commands {lacking}"

    examples = [
        page for page in (site / "gallery").glob("*.html") if page.stem not in {"index", "sg_execution_times"}
    ]
    bare = [page.stem for page in examples if "sphx_glr_" + page.stem not in page.read_text()]
    assert not bare, f"without a picture: {bare}"
    assert len(examples) >= LEAST_EXAMPLES, len(examples)
    print(f"{len(asked)} pages and styles, {len(api)} names, {len(names)} commands, {len(examples)} examples")


check_site(Path(sys.argv[1]))
