"""Which schedulers a command may join: on this machine, by TLS, or on a trusted network."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed.security import Security

ENCRYPTED = ("tls", "wss")


def check_address(address: str, *, is_trusted: bool = False) -> None:
    """Refuse the address of a scheduler to which data would travel openly.

    Parameters
    ----------
    address : str
        As Dask takes it: ``tls://HOST:PORT``; without a protocol it is ``tcp``.
    is_trusted : bool, default=False
        Whether a user has said that the network is.

    Raises
    ------
    ValueError
        If it is neither encrypted nor on this machine, or has a user's name in it.

    Examples
    --------
    >>> check_address("tcp://127.0.0.1:8786")
    >>> check_address("tls://10.0.0.5:8786")
    >>> check_address("tcp://10.0.0.5:8786")
    Traceback (most recent call last):
    ValueError: tcp://10.0.0.5:8786 is not encrypted: ...
    """
    protocol, sign, rest = address.partition("://")
    if not sign:
        protocol, rest = "tcp", address
    if "@" in rest:
        raise ValueError(
            "--scheduler: the address of a scheduler has no user and no password; give HOST:PORT"
        )
    if protocol in (*ENCRYPTED, "inproc") or is_trusted or is_here(rest):
        return
    raise ValueError(
        f"{address} is not encrypted: others on the network could read the data, or answer in the "
        f"scheduler's place; join tls://{rest}, or give --insecure where the network is trusted"
    )


def is_here(place: str) -> bool:
    """Return whether HOST or HOST:PORT is this machine's own loopback, by its name alone."""
    host = place[1:].partition("]")[0] if place.startswith("[") else place.partition(":")[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def security_for(address: str, files: Mapping[str, str | None]) -> Security | None:
    """Return what a client needs to join by TLS; None for schedulers that are joined without.

    Parameters
    ----------
    address : str
        Of the scheduler.
    files : mapping
        ``tls_ca_file``, ``tls_client_cert`` and ``tls_client_key``: paths, or None for those of Dask's
        configuration (``distributed.comm.tls``).

    Raises
    ------
    ValueError
        If there are no certificates, or they are given for a scheduler that has none.
    """
    from distributed.security import Security  # noqa: PLC0415 - slow to import

    given = {name: path for name, path in files.items() if path is not None}
    if address.partition("://")[0] not in ENCRYPTED:
        if given:
            raise ValueError(f"--tls-ca, --tls-cert and --tls-key are for tls://, and not for {address}")
        return None
    found = Security(require_encryption=True, **given)
    if found.tls_ca_file is None:
        raise ValueError(
            f"{address} is joined with certificates: give --tls-ca, --tls-cert and --tls-key, or set "
            "distributed.comm.tls in Dask's configuration"
        )
    return found
