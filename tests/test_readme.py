"""Links of all pages lead somewhere, commands are such, and CI runs what the README gives.

Examples are tests of their own.
"""

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from dgmm.cli import main

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


PAGES = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("dgmm/*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changes/*.md")}
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_are_there(page: Path):
    named = re.findall(r"\b(?:tests|benchmarks|examples)/[\w/]+\.py\b", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def commands_in(page: Path) -> list[list[str]]:
    """Return the words of the commands that a page shows, each in a line of its own."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    lines = [line.partition(" | ")[0] for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("dgmm ")]


SHOWN = [(page, words) for page in PAGES for words in commands_in(page)]


@pytest.mark.parametrize(("page", "words"), SHOWN, ids=[" ".join(words) for _, words in SHOWN])
def test_commands_have_the_options_that_pages_give_them(page: Path, words: list[str]):
    command = main.get_command(click.Context(main), words[0])
    assert command is not None, page
    command.make_context(words[0], words[1:], obj={})  # click raises what the command would end with


def test_pages_show_every_command():
    in_text = re.findall(r"`dgmm ([a-z]+)[ `]", "".join(page.read_text() for page in PAGES))
    assert {words[0] for _, words in SHOWN} == set(main.list_commands(click.Context(main)))
    assert set(in_text) <= set(main.list_commands(click.Context(main)))


def test_the_readme_has_links():
    assert "](" in README.read_text()


def test_ci_runs_the_test_command_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text()
    line = next(line for line in script.splitlines() if "README.md" in line and "grep" in line)
    command = subprocess.run(
        ["bash", "-c", f"{line}; echo $test_command"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert command.stdout.startswith("python3 -m venv .venv && ")
    assert command.stdout.rstrip().endswith(".venv/bin/pytest -n 2")
