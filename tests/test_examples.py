"""The examples run, and their own assertions hold."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import dask.config
import pytest
from dask_jobqueue.slurm import SLURMCluster

from tests.waiting import PATIENCE

RECIPES = Path(__file__).parent.parent / "docs" / "clusters-of-machines.md"
EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


OWN_PROCESSES = "parquet_on_a_cluster"
"""The example whose workers are processes, which begin with the script itself."""


def without_logs(errors: str) -> str:
    """Leave out what Dask logs, as that its event loop was slow: the machine is busy, which says nothing."""
    return re.sub(r"(?m)^\S+ \S+ - distributed\S* - (INFO|WARNING) - .*\n", "", errors)


@pytest.mark.no_cover  # they are not there to reach lines
@pytest.mark.parametrize(
    "path", [each for each in EXAMPLES if each.stem != OWN_PROCESSES], ids=lambda path: path.stem
)
def test_example_runs(path: Path, tmp_path: Path, monkeypatch, capfd):
    """As a script, but in this process, which has imported already what all of them import."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path)])
    runpy.run_path(str(path), run_name="__main__")
    printed, errors = capfd.readouterr()
    assert printed
    assert without_logs(errors) == ""
    assert list(tmp_path.iterdir()) == []


def test_an_example_with_processes_of_its_own(tmp_path: Path):
    (path,) = (each for each in EXAMPLES if each.stem == OWN_PROCESSES)
    done = subprocess.run(
        [sys.executable, path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert without_logs(done.stderr) == ""
    assert list(tmp_path.iterdir()) == []


def test_there_are_examples():
    names = {path.stem for path in EXAMPLES}
    assert names >= {"tutorial", "larger_than_memory", OWN_PROCESSES, "ocean_profiles"}


def recipe(name: str) -> str:
    """Return the code of a recipe for clusters, by what it imports."""
    blocks = re.findall(r"```python\n(.*?)```", RECIPES.read_text(), flags=re.DOTALL)
    (found,) = (block for block in blocks if f"from {name} import" in block or f"import {name}\n" in block)
    return found


def test_the_recipe_of_a_batch_queue_submits_what_it_says(capsys: pytest.CaptureFixture[str]):
    """But for the fast network, which is not here; and nothing is submitted."""
    code = re.sub(r"(?m)^ *interface=.*\n|^cluster\.scale.*\n", "", recipe("dask_jobqueue"))
    found: dict = {}
    with dask.config.set({"jobqueue.slurm.scheduler-options": {"dashboard_address": "127.0.0.1:0"}}):
        exec(code, found)
    assert isinstance(found["cluster"], SLURMCluster)
    found["cluster"].close()
    script = capsys.readouterr().out
    for part in ("#SBATCH -p normal", "--cpus-per-task=8", "--mem=32G", "-t 02:00:00"):
        assert part in script
    for part in ("--nthreads 1", "--nworkers 8", "--memory-limit 4.00GiB", "--local-directory $TMPDIR"):
        assert part in script


IN_A_QUEUE = """
import sys
import numpy as np, zarr
from dask_jobqueue.local import LocalCluster
from distributed import Client
from dgmm import GaussianMixture

if __name__ == "__main__":
    folder, rows = sys.argv[1], np.random.default_rng(0).normal(size=(6000, 2))
    stored = zarr.create_array(f"{folder}/rows.zarr", shape=rows.shape, chunks=(1000, 2), dtype="f8")
    stored[:] = rows
    mixture = GaussianMixture(2, random_state=0, sample_rows=1000, tol=1e-3)
    expected = mixture.fit(f"{folder}/rows.zarr").means_
    own = {"cores": 2, "processes": 2, "memory": "2GiB", "local_directory": folder}
    own["scheduler_options"] = {"dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**own) as cluster, Client(cluster) as client:
        cluster.scale(jobs=1)
        client.wait_for_workers(2, timeout=120)
        found = mixture.fit(f"{folder}/rows.zarr", checkpoint=f"{folder}/fit").means_
    np.testing.assert_array_equal(found, expected)
    print("the same")
"""


@pytest.mark.slow
def test_jobs_of_a_batch_queue_fit_to_the_same_bits(tmp_path: Path):
    """A shell of this machine stands for the queue. In a process of its own: jobs leave pipes open."""
    script = tmp_path / "script.py"
    script.write_text(IN_A_QUEUE)
    done = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.stdout == "the same\n", done.stderr
