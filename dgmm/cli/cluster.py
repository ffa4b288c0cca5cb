"""Where a command computes: on threads, or on workers that it starts or joins."""

from __future__ import annotations

import functools
import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

import click
import dask.config
from dask.utils import parse_bytes

from dgmm import report
from dgmm.cli.connection import check_address, security_for
from dgmm.cli.options import options
from dgmm.cli.shell import console, say
from dgmm.data.source import Source
from dgmm.passes.plan import Plan, plan
from dgmm.progress import showing_progress

if TYPE_CHECKING:
    from distributed import LocalCluster


SECONDS_TO_JOIN = 10


PAUSED_AT = 0.8
"""The share of its memory limit at which a Dask worker takes no more tasks."""


OF_OUR_CLUSTERS = {"distributed.scheduler.worker-ttl": "1 minute"}
"""In which a worker gives a sign of life, or is started again: a command's own are at work for it alone."""


FOR_THIS_PROCESS = (signal.SIGINT, signal.SIGHUP)
"""Signals that a terminal sends to workers, too, whose end is this process's business."""


@dataclass(frozen=True)
class Cluster:
    """Where the work is done.

    Attributes
    ----------
    scheduler : str or None
        Address of a Dask scheduler to join.
    workers : int or None
        Number of workers to start on this machine.
    memory : str or None
        Memory limit of each of them.
    certificates : mapping
        For `security_for`.
    """

    scheduler: str | None
    workers: int | None
    memory: str | None
    certificates: Mapping[str, str | None] = field(default_factory=dict)

    @contextmanager
    def joined(self, source: Source | None = None) -> Iterator[None]:
        """Work on the cluster, if there is one to be; else on threads; with progress on standard error.

        Parameters
        ----------
        source : Source, optional
            The rows to be read.

        Raises
        ------
        ValueError
            If the workers' memory is too small for these rows: Dask would let them wait for ever.
        """
        if self.memory is not None:
            planned = Plan((), 0, 0) if source is None else plan(source)
            needed = planned.process_bytes(1, 0) / PAUSED_AT
            if parse_bytes(self.memory) < needed:
                raise ValueError(
                    f"--memory {self.memory} is too little: a worker needs {report.size(needed)} at least; "
                    "give it more, or make smaller chunks with dgmm convert"
                )
        with self._client(), showing_progress(console(stderr=True)):
            yield

    @contextmanager
    def _client(self) -> Iterator[None]:
        if self.scheduler is None and self.workers is None:
            yield
            return
        from distributed import Client, LocalCluster  # noqa: PLC0415 - slow to import

        if self.scheduler is not None:
            security = security_for(self.scheduler, self.certificates)
            try:
                client = Client(self.scheduler, timeout=SECONDS_TO_JOIN, security=security)
            except OSError as error:
                of_it = "" if security is None else " that accepts these certificates"
                raise click.ClickException(
                    f"no Dask scheduler{of_it} answers at {self.scheduler}; start one with `dask scheduler`"
                ) from error
            with client:
                if not client.scheduler_info()["workers"]:  # passes wait for them, but not for ever
                    say("waiting", f"the scheduler at {self.scheduler} has no workers yet")
                with _quiet():
                    yield
            return
        start = functools.partial(
            LocalCluster,
            n_workers=self.workers,
            threads_per_worker=1,
            memory_limit=self.memory or "auto",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,  # what goes wrong is an error of the command
        )
        with dask.config.set(OF_OUR_CLUSTERS), _started(start) as cluster, Client(cluster):
            yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Dask says of connections to itself: what goes wrong is an error of the command."""
    from distributed.utils import silence_logging_cmgr  # noqa: PLC0415

    loop = logging.getLogger("asyncio")
    before = loop.level
    loop.setLevel(logging.CRITICAL)
    try:
        with silence_logging_cmgr(logging.CRITICAL):
            yield
    finally:
        loop.setLevel(before)


def _started(start: Callable[[], LocalCluster]) -> LocalCluster:
    """Start a cluster on a thread of its own: an interrupt waits until it can be closed.

    What that thread starts, workers and those that take their place, does not get the signals that it blocks.
    """
    resource_tracker.ensure_running()  # else the first worker's start does this, and unblocks them
    block = functools.partial(signal.pthread_sigmask, signal.SIG_BLOCK, FOR_THIS_PROCESS)
    with ThreadPoolExecutor(1, initializer=block) as starter:
        starting = starter.submit(start)
        try:
            return starting.result()
        except KeyboardInterrupt:
            with suppress(Exception):  # whatever else goes wrong, it is interrupted
                starting.result().close()
            raise


def on_a_cluster(workers: int | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options that say where the work is done; the command is given a `Cluster`.

    Parameters
    ----------
    workers : int, optional
        How many workers to start where neither option says.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @options(
            click.option("--scheduler", metavar="tls://HOST:PORT", help="Join a Dask cluster."),
            click.option("--tls-ca", type=a_file, help="Certificates to trust for a tls:// cluster."),
            click.option("--tls-cert", type=a_file, help="Client certificate for the cluster."),
            click.option(
                "--tls-key",
                type=a_file,
                help="Key of the client certificate.  [default of all three: as Dask is configured]",
            ),
            click.option(
                "--insecure",
                is_flag=True,
                help="Join a cluster on another machine by tcp://, unencrypted.",
            ),
            click.option("--workers", type=click.IntRange(1), help="Start workers on this machine."),
            click.option("--memory", metavar="2GiB", callback=_memory, help="Memory limit of each worker."),
        )
        @functools.wraps(command)
        def with_cluster(
            *,
            scheduler: str | None,
            workers: int | None,
            memory: str | None,
            tls_ca: str | None,
            tls_cert: str | None,
            tls_key: str | None,
            insecure: bool,
            **given: Any,
        ) -> Any:
            certificates = {"tls_ca_file": tls_ca, "tls_client_cert": tls_cert, "tls_client_key": tls_key}
            if scheduler is None and (insecure or any(certificates.values())):
                raise click.UsageError(
                    "--insecure and --tls-… apply to a cluster to join: give --scheduler too"
                )
            if scheduler is not None and workers is not None:
                raise click.UsageError("give --scheduler or --workers, not both")
            if scheduler is None and workers is None:
                workers = default_workers
            if memory is not None and workers is None:
                raise click.UsageError("--memory is the limit of each worker: give --workers too")
            if scheduler is not None:
                check_address(scheduler, is_trusted=insecure)
            return command(cluster=Cluster(scheduler, workers, memory, certificates), **given)

        return with_cluster

    default_workers, a_file = workers, click.Path(exists=True, dir_okay=False)
    return decorate


def _memory(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    try:
        if value is not None:
            parse_bytes(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not an amount of memory: write it like 2GiB") from error
    return value
