"""Remote Zarr stores that retry each request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest
from zarr.storage import FsspecStore

from dgmm.data.remote import parted, walks
from dgmm.data.retrying import ReadError, persistently_awaited


class PersistentStore(FsspecStore):
    """A store of fsspec for reading."""

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return what is stored by a name, or a part of it; None for nothing."""
        get = super().get
        return await persistently_awaited(lambda: get(key, prototype, byte_range), f"{self.path}/{key}")

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return parts of what is stored, one by one."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def exists(self, key: str) -> bool:
        """Say whether something is stored by a name."""
        if await super().exists(key):
            return True
        path = f"{self.path}/{key}"
        try:  # fsspec takes an error for a no
            await persistently_awaited(lambda: self.fs._info(path), path)
        except ReadError:
            raise
        except Exception:
            return False
        return True

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """List the names that begin so."""
        root = f"{self.path}/{prefix}".rstrip("/")
        for path in await self._below(root):
            yield path.removeprefix(f"{self.path}/")

    async def _below(self, root: str) -> list[str]:
        if not walks(self.fs):
            return [*await persistently_awaited(lambda: self.fs._find(root, withdirs=False), root)]
        found, folders = [], [root]
        while folders:
            files, more = parted(folder := folders.pop(), await self._entries(folder))
            found, folders = found + files, folders + more
        return found

    async def _entries(self, folder: str) -> list[dict[str, Any]]:
        try:
            return await persistently_awaited(lambda: self.fs._ls(folder, detail=True), folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
