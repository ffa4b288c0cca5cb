"""Which errors pass, how often a read is tried, and that nobody's random numbers are touched."""
# pyright: reportPrivateImportUsage=false

import asyncio
import errno
import gzip
import http.client
import logging
import pickle
import random
import socket

import dask
import numpy as np
import pytest

from dgmm.data.retrying import (
    Count,
    ReadError,
    counting,
    is_transient,
    persistently,
    persistently_awaited,
)
from dgmm.data.source import DataError


def because_of(cause: BaseException) -> BaseException:
    """Say that nothing is there, as fsspec does of HTTP whatever went wrong."""
    error = FileNotFoundError("https://x/y")
    error.__cause__ = cause
    return error


def of_library(module: str, name: str, base: type = Exception, **attributes: object) -> BaseException:
    """Make an error as a library that need not be here has it."""
    made: type = type(name, (base,), {"__module__": module, **attributes})
    return made("broken")


@pytest.mark.parametrize(
    "error",
    [
        OSError("SlowDown"),
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ESTALE, "Stale file handle"),
        OSError(errno.EMFILE, "Too many open files"),
        ConnectionResetError(),
        BrokenPipeError(),
        TimeoutError(),
        InterruptedError(),
        http.client.IncompleteRead(b""),
        of_library("aiohttp.client_exceptions", "ClientPayloadError"),
        of_library("aiohttp.client_exceptions", "ClientResponseError", status=503),
        of_library(
            "botocore.exceptions",
            "IncompleteReadError",
            type("HTTPClientError", (Exception,), {"__module__": "botocore.exceptions"}),
        ),
        of_library(
            "botocore.exceptions", "ClientError", response={"ResponseMetadata": {"HTTPStatusCode": 500}}
        ),
        of_library("gcsfs.retry", "HttpError", code="429"),
        because_of(of_library("aiohttp.client_exceptions", "ClientResponseError", status=503)),
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        of_library("azure.core.exceptions", "ServiceResponseError"),
    ],
    ids=repr,
)
def test_these_errors_may_pass(error):
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(),
        PermissionError(),
        IsADirectoryError(),
        NotADirectoryError(),
        OSError(errno.EINVAL, "Invalid argument"),
        OSError(errno.ENAMETOOLONG, "File name too long"),
        gzip.BadGzipFile("no gzip"),
        ReadError("tried enough"),
        DataError("rows that cannot be used"),
        ValueError("checksum"),
        RuntimeError("codec"),
        KeyError("x"),
        MemoryError(),
        KeyboardInterrupt(),
        of_library("aiohttp.client_exceptions", "ClientResponseError", status=403),
        of_library("aiohttp.client_exceptions", "InvalidURL"),
        of_library("botocore.exceptions", "NoCredentialsError"),
        of_library(
            "botocore.exceptions", "ClientError", response={"ResponseMetadata": {"HTTPStatusCode": 404}}
        ),
        of_library("gcsfs.retry", "HttpError", base=OSError, code=401),
        because_of(FileNotFoundError("https://x/y")),
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    ],
    ids=repr,
)
def test_these_stay(error):
    assert not is_transient(error)


class Failing:
    """Fails some times, and gives how often it was called then."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors, self.n_calls = list(errors), 0

    def __call__(self) -> int:
        self.n_calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.n_calls

    async def awaited(self) -> int:
        return self()


@pytest.fixture(autouse=True)
def quick():
    with dask.config.set({"dgmm.reads.first-pause": "1ms"}):
        yield


@pytest.fixture(params=["called", "awaited"])
def persist(request):
    if request.param == "called":
        return lambda failing: persistently(failing, "x.zarr/c/0")
    return lambda failing: asyncio.run(persistently_awaited(failing.awaited, "x.zarr/c/0"))


def test_it_is_tried_until_it_goes_well(persist, caplog):
    caplog.set_level(logging.INFO, "dgmm")
    with counting(count := Count()):
        assert persist(Failing()) == 1
        assert persist(Failing(OSError("one"), TimeoutError(), *[ConnectionResetError("three")] * 3)) == 6
    assert count.retries == 5
    assert "x.zarr/c/0 could not be read (OSError: one): again in 0.00 s" in caplog.text
    assert "(TimeoutError)" in caplog.text
    assert [record.levelname for record in caplog.records] == ["INFO"] * 3 + ["WARNING"] * 2


def test_in_the_end_it_is_named(persist):
    failing = Failing(*[TimeoutError()] * 20)
    with (
        dask.config.set({"dgmm.reads.tries": 3}),
        pytest.raises(
            ReadError, match=r"x.zarr/c/0 could not be read, 3 times in \d\.\d s: TimeoutError$"
        ) as caught,
    ):
        persist(failing)
    assert failing.n_calls == 3
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert isinstance(caught.value, OSError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    "error", [DataError("row 3"), PermissionError("x.zarr/c/0 is closed"), KeyboardInterrupt()]
)
def test_what_stays_is_told_at_once_and_as_it_is(persist, error):
    failing = Failing(error)
    with pytest.raises(type(error)) as caught:
        persist(failing)
    assert failing.n_calls == 1
    assert caught.value is error


def test_what_stays_without_a_place_gets_one(persist):
    with pytest.raises(PermissionError, match=r"x.zarr/c/0: closed"):
        persist(Failing(PermissionError("closed")))


def test_a_chunk_is_named_beside_what_could_not_be_read_of_it():
    with (
        dask.config.set({"dgmm.reads.tries": 2}),
        pytest.raises(ReadError, match=r"^x.zarr, rows 0 to 9: x.zarr/c/0 could not be read, 2 times"),
    ):
        persistently(
            lambda: persistently(Failing(*[OSError()] * 9), "x.zarr/c/0"), lambda: "x.zarr, rows 0 to 9"
        )


def test_no_random_state_is_touched(persist):
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002 - scikit-learn's own  # pyright: ignore
    persist(Failing(*[OSError()] * 5))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002  # pyright: ignore
