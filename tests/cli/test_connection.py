"""Which schedulers are joined; and one by TLS, with processes of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from distributed.security import Security

import dgmm
from dgmm.cli import main
from dgmm.cli.connection import check_address, is_here, security_for
from tests.waiting import until


@pytest.mark.parametrize(
    "place", ["127.0.0.1:8786", "127.8.9.1:1", "[::1]:8786", "localhost:8786", "LOCALHOST", "127.0.0.1"]
)
def test_this_machine(place):
    assert is_here(place)
    for address in (place, f"tcp://{place}", f"ws://{place}"):
        check_address(address)


@pytest.mark.parametrize(
    "place",
    [
        "10.0.0.5:8786",
        "0.0.0.0:8786",
        "[::]:1",
        "[fe80::1]:1",
        "node7:8786",
        "localhost.evil.org:1",
        "128.0.0.1",
    ],
)
def test_elsewhere(place):
    """By name alone: what a name leads to may change between the check and the connection."""
    assert not is_here(place)
    for address in (place, f"tcp://{place}", f"ws://{place}", f"ucx://{place}"):
        with pytest.raises(ValueError, match=r"is not encrypted: .* join tls://.*, or give --insecure"):
            check_address(address)
        check_address(address, is_trusted=True)
    check_address(f"tls://{place}")
    check_address(f"wss://{place}")


def test_an_address_has_no_password():
    with pytest.raises(ValueError, match="no user and no password") as raised:
        check_address("tls://user:TOPSECRET@host:1")
    assert "TOPSECRET" not in str(raised.value)


def test_certificates_are_needed_and_for_tls_alone():
    files: dict[str, str | None] = {"tls_ca_file": None, "tls_client_cert": None, "tls_client_key": None}
    assert security_for("tcp://127.0.0.1:1", files) is None
    with pytest.raises(ValueError, match="give --tls-ca, --tls-cert and --tls-key, or set"):
        security_for("tls://host:1", files)
    with pytest.raises(ValueError, match="are for tls://"):
        security_for("tcp://127.0.0.1:1", files | {"tls_ca_file": "ca.pem"})
    assert security_for("tls://host:1", files | {"tls_ca_file": "ca.pem"}).require_encryption  # type: ignore[union-attr]


def certificates(folder: Path) -> dict[str, str]:
    """Make a certificate that signs itself: the files of options."""
    made = Security.temporary()
    pem = {"ca": made.tls_ca_file, "cert": made.tls_client_cert, "key": made.tls_client_key}
    folder.mkdir()
    for name, text in pem.items():
        (folder / name).write_text(text)
    return {name: str(folder / name) for name in pem}


@contextmanager
def cluster(folder: Path, files: dict[str, str]) -> Iterator[str]:
    """A scheduler and a worker that speak TLS, each in a process: the address."""
    tls = [f"--tls-{'ca-file' if name == 'ca' else name}={path}" for name, path in files.items()]
    where = folder / "scheduler.json"
    local = ["--host", "127.0.0.1", "--no-dashboard", *tls]
    commands = [
        ["scheduler", "--protocol", "tls", "--port", "0", "--scheduler-file", where, *local],
        ["worker", "--scheduler-file", where, "--nthreads", "1", "--no-nanny", *local],
    ]
    with ExitStack() as stack:
        for command in commands:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "dask", *map(str, command)],
                    cwd=folder,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            stack.callback(process.kill)
            assert until(lambda process=process: address_in(where) or process.poll() is not None)
        address = address_in(where)
        assert address is not None
        yield address


def address_in(file: Path) -> str | None:
    """Read the address of a scheduler from its file; None until that is there as a whole."""
    try:
        return json.loads(file.read_text())["address"]
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def test_a_cluster_joined_by_tls(tmp_path, rows_zarr, three_clusters, monkeypatch):
    files = certificates(tmp_path / "own")
    others = certificates(tmp_path / "others")
    out = tmp_path / "m.npz"
    fit = ["fit", str(rows_zarr), "-k", "3", "--sample-rows", "500", "--seed", "0", "--out", str(out)]

    def options(of: dict[str, str]) -> list[str]:
        return [text for name, path in of.items() for text in (f"--tls-{name}", path)]

    with cluster(tmp_path, files) as address:
        assert address.startswith("tls://127.0.0.1:")
        done = CliRunner().invoke(main, [*fit, "--scheduler", address, *options(files)])
        assert done.exit_code == 0, done.output
        monkeypatch.setattr("dgmm.cli.cluster.SECONDS_TO_JOIN", 1)
        for refused in (options(others), options(files | {"ca": others["ca"]})):
            done = CliRunner().invoke(main, [*fit, "--overwrite", "--scheduler", address, *refused])
            assert done.exit_code == 2
            message = "error: no Dask scheduler that accepts these certificates answers at tls://127.0.0.1:"
            assert done.stderr.startswith(message), done.stderr
        done = CliRunner().invoke(main, [*fit, "--overwrite", "--scheduler", address.replace("tls", "tcp")])
        assert done.exit_code == 2
        assert "no Dask scheduler answers" in done.stderr
    here = dgmm.GaussianMixture(3, random_state=0, sample_rows=500).fit(rows_zarr)
    np.testing.assert_array_equal(dgmm.load(out).means_, here.means_)
