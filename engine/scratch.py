"""Folders that live as long as the process that made them: what a killed process left is swept by the next.

A process that is alive holds a lock (`flock`) on a file in the folder. The lock ends with the process, also when it is
killed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hardcut.engine.files import storage_error
from hardcut.schemas.errors import UsageError

LOCK = ".lock"
"""The locked file in every folder of ours."""
_DRAFT = ".*.tmp"
"""What `atomic_writer` calls a file that is being written."""


@contextmanager
def scratch_folder(parent: Path | None = None, prefix: str = "hardcut-") -> Iterator[Path]:
    """A new, empty folder in `parent` (default: the system's folder for temporary files), gone when the block ends.

    Folders of the same prefix that killed processes left there are removed first. Raises StorageError where the disk
    does not take it.
    """
    try:
        where = parent or Path(tempfile.gettempdir())
        _sweep(where, prefix)
        folder, lock = _locked(where, prefix)
    except OSError as error:
        raise storage_error(parent or Path("the folder for temporary files"), error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def staging_folder(target: Path) -> Iterator[Path]:
    """A new, empty folder beside `target`, for what is to take its place. What of it is not renamed away is gone when
    the block ends; what a killed process left is removed first.

    Raises UsageError where a living process is writing the same target, StorageError where the disk fails.
    """
    target = target.absolute()
    folder = target.with_name(f".{target.name}.hardcut-building")
    held = target.with_name(f".{target.name}.hardcut-lock")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = _hold(held)
    except OSError as error:
        raise storage_error(target, error) from error
    if lock is None:
        raise UsageError(f"{target}: another process is writing it: wait for its end or name another place")
    try:
        try:
            for left in target.parent.glob(".*.hardcut-lock"):
                _take_away(left)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        except OSError as error:
            raise storage_error(target, error) from error
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        held.unlink(missing_ok=True)
        os.close(lock)


def sweep_drafts(folder: Path) -> None:
    """Removes what killed processes left of files that they were writing in the folder (`atomic_writer`)."""
    for draft in folder.glob(_DRAFT):
        with suppress(OSError):
            lock = _hold(draft)
            if lock is not None:
                draft.unlink(missing_ok=True)
                os.close(lock)


def _take_away(held: Path) -> None:
    """Removes what a killed process left beside the folder that it was writing."""
    with suppress(OSError):
        lock = _hold(held)
        if lock is not None:
            shutil.rmtree(held.with_name(held.name.removesuffix("lock") + "building"), ignore_errors=True)
            held.unlink(missing_ok=True)
            os.close(lock)


def _locked(where: Path, prefix: str) -> tuple[Path, int]:
    """A new folder with its lock. One that a sweeper took away before it was locked is made again."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=where))
        with suppress(FileNotFoundError):
            lock = _hold(folder / LOCK)
            if lock is not None:
                return folder, lock


def _sweep(where: Path, prefix: str) -> None:
    for lock_file in where.glob(f"{prefix}*/{LOCK}"):
        with suppress(OSError):  # another's, or gone by now
            lock = _hold(lock_file)
            if lock is not None:
                shutil.rmtree(lock_file.parent, ignore_errors=True)
                os.close(lock)


def _hold(path: Path) -> int | None:
    """The descriptor of a file, made where it is missing, that nobody else holds; None where somebody does."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # who held it took it away: try the one that is there now
