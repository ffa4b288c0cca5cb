"""Links of all pages lead somewhere, and CI runs what the README gives. (Examples are tests of their own.)"""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


PAGES = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("dgmm/*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changes/*.md")}
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


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
