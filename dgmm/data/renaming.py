"""Atomic renames on this machine that replace nothing, or exchange two names."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache
from typing import Any

AT_CURRENT_FOLDER, NO_REPLACE, EXCHANGE = -100, 1, 2
"""Of the kernel's ``renameat2``."""


UNKNOWN = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}
"""What file systems say that cannot exchange two names, or link a file to another one."""


def rename_to_new(output: str, target: str) -> None:
    """Rename a file or a folder to what is not there, which nothing else takes meanwhile.

    Raises
    ------
    FileExistsError
        If something is there, by now.
    """
    try:
        if _rename(output, target, NO_REPLACE):
            return
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        if not os.path.isfile(output):
            os.rename(output, target)  # which replaces nothing but an empty folder
            return
        try:
            os.link(output, target)
        except OSError as error:
            if error.errno not in UNKNOWN:
                raise
            os.rename(output, target)
        else:
            os.unlink(output)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR):
            raise FileExistsError(
                f"{target} exists: another process has made it meanwhile; choose another path, or ask to "
                "overwrite it"
            ) from None
        raise


def exchange(old: str, new: str) -> bool:
    """Exchange what two names stand for, at once; false where the kernel or the file system cannot."""
    return _rename(old, new, EXCHANGE)


def _rename(old: str, new: str, flags: int) -> bool:
    """Call ``renameat2``; false where the kernel or the file system does not know it, or these flags."""
    call = _renameat2()
    if call is None:
        return False
    sys.audit("os.rename", old, new, -1, -1)
    if call(AT_CURRENT_FOLDER, os.fsencode(old), AT_CURRENT_FOLDER, os.fsencode(new), flags) == 0:
        return True
    code = ctypes.get_errno()
    if code in UNKNOWN:
        return False
    raise OSError(code, os.strerror(code), old, None, new)


@cache
def _renameat2() -> Any:
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # not Linux, or an old C library
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return call
