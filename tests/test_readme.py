"""The README's examples do what it says."""

import doctest
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def test_examples_of_the_readme():
    results = doctest.testfile(str(README), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert results.attempted > 10
    assert results.failed == 0


def test_links_lead_to_files():
    targets = [part.split(")")[0] for part in README.read_text().split("](")[1:]]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_ci_runs_the_test_command_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text()
    line = next(line for line in script.splitlines() if "README.md" in line and "grep" in line)
    command = subprocess.run(
        ["bash", "-c", f"{line}; echo $test_command"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert command.stdout.startswith("python3 -m venv .venv && ")
    assert command.stdout.rstrip().endswith(".venv/bin/pytest -n 2")
