"""Where the work of commands is done, by small commands that say so."""

import os
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from distributed import get_client

from dgmm.cli.cluster import Cluster, on_a_cluster
from dgmm.cli.shell import Command
from dgmm.data import open_dataset


def run(command: click.Command, *arguments: str) -> tuple[int, str]:
    """Run a command; give its exit code and its last line."""
    result = CliRunner().invoke(command, arguments, obj={})
    if isinstance(result.exception, ValueError):
        return 2, str(result.exception)
    return result.exit_code, result.output.strip().splitlines()[-1]


@click.command(cls=Command)
@on_a_cluster()
def where(cluster: Cluster) -> None:
    click.echo(f"{cluster.scheduler} {cluster.workers} {cluster.memory}")


@click.command(cls=Command)
@on_a_cluster(workers=2)
def where_by_default(cluster: Cluster) -> None:
    click.echo(f"{cluster.scheduler} {cluster.workers} {cluster.memory}")


def test_where_the_work_is_done():
    assert run(where) == (0, "None None None")
    assert run(where, "--scheduler", "tls://h:1") == (0, "tls://h:1 None None")
    assert run(where, "--workers", "3", "--memory", "1 GiB") == (0, "None 3 1 GiB")
    assert run(where_by_default) == (0, "None 2 None")
    assert run(where_by_default, "--memory", "1GB") == (0, "None 2 1GB")
    assert run(where_by_default, "--scheduler", "tls://h:1") == (0, "tls://h:1 None None")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scheduler", "tcp://h:1", "--workers", "2"], "give --scheduler or --workers, not both"),
        (["--scheduler", "tcp://h:1"], "tcp://h:1 is not encrypted"),
        (["--insecure"], "give --scheduler too"),
        (["--tls-ca", __file__, "--workers", "1"], "give --scheduler too"),
        (["--memory", "1GB"], "--memory is the limit of each worker: give --workers too"),
        (["--workers", "0"], "0 is not in the range x>=1"),
        (["--workers", "1", "--memory", "much"], "'much' is not an amount of memory: write it like 2GiB"),
    ],
)
def test_what_does_not_go_together(arguments, message):
    code, line = run(where, *arguments)
    assert code == 2
    assert message in line


def test_memory_that_is_too_little_is_refused_before_any_worker_starts(rows_zarr):
    with (
        pytest.raises(ValueError, match=r"--memory 1KiB is too little: a worker needs .* at least"),
        Cluster(None, 1, "1KiB").joined(open_dataset(rows_zarr)),
    ):
        pytest.fail("the work began")


def test_a_scheduler_that_is_not_there(monkeypatch):
    monkeypatch.setattr("dgmm.cli.cluster.SECONDS_TO_JOIN", 0.2)
    with (
        pytest.raises(click.ClickException, match="no Dask scheduler answers at tcp://127"),
        Cluster("tcp://127.0.0.1:1", None, None).joined(),
    ):
        pytest.fail("the work began")


def listening(pid: int | str) -> set[str]:
    """Addresses, as the kernel writes them, at which a process waits for connections."""
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]
    lines = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {
        line[1].rpartition(":")[0] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in links
    }


def test_workers_are_there_while_the_work_is_done():
    before = listening("self")
    with Cluster(None, 1, None).joined():
        (worker,) = get_client().scheduler_info()["workers"].values()
        assert worker["nthreads"] == 1
        workers: Any = get_client().run(os.getpid)
        pids = ["self", *workers.values()]
        assert set().union(*map(listening, pids)) - before == {"0100007F"}  # 127.0.0.1
    with pytest.raises(ValueError, match="No global client"):
        get_client()
