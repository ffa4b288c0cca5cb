"""The examples run, and their own assertions hold."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path: Path, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    # Dask logs that its event loop was slow where the machine is busy: that says nothing of the example.
    assert re.sub(r"(?m)^\S+ \S+ - distributed\S* - (INFO|WARNING) - .*\n", "", done.stderr) == ""
    assert list(tmp_path.iterdir()) == []


def test_there_are_examples():
    names = {path.stem for path in EXAMPLES}
    assert names >= {"tutorial", "larger_than_memory", "parquet_on_a_cluster", "ocean_profiles"}
