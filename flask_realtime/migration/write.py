"""Writes changed files: each wholly or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress

from .finding import TODO, Finding
from .project import Change

__all__ = ["write"]


def write(change: Change) -> Finding | None:
    """Replace a file; its permissions stay.

    :returns: why it was not written, where it was not.
    """
    try:
        if change.path.is_symlink() or change.path.read_bytes() != change.before:
            return _not_written(change, "it has changed meanwhile")
        _replace(change)
    except OSError as error:
        return _not_written(change, error.strerror or str(error))
    return None


def _replace(change: Change) -> None:
    descriptor, name = tempfile.mkstemp(dir=change.path.parent, prefix=f".{change.path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(change.after)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(change.path, name)
        _keep_owner(change, name)
        os.replace(name, change.path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _keep_owner(change: Change, name: str) -> None:
    """Root may work on another's project."""
    status = change.path.stat()
    if hasattr(os, "chown") and (status.st_uid, status.st_gid) != (os.getuid(), os.getgid()):
        with suppress(OSError):
            os.chown(name, status.st_uid, status.st_gid)


def _not_written(change: Change, why: str) -> Finding:
    return Finding(change.shown, 0, "not-written", TODO, f"not written: {why}", "Run the command again.")
