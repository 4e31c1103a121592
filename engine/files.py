"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, Literal, overload

from hardcut.schemas.errors import StorageError

_ADVICE = {
    errno.ENOSPC: "no space is left: free some and start again",
    errno.EDQUOT: "the disk quota is used up: free some space and start again",
    errno.EFBIG: "it would grow past the file size that is allowed here: raise the limit (ulimit -f) and start again",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.EACCES: "no permission to write there: mend it or choose another folder",
    errno.EPERM: "no permission to write there: mend it or choose another folder",
    errno.EEXIST: "a file stands where a folder should be: choose another folder",
    errno.ENOTDIR: "a file stands where a folder should be: choose another folder",
    errno.EIO: "the disk reports an error: check it, then start again",
}
"""What to do where writing goes wrong, by the system's error number."""
_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""Those that an OSError inside the block can only have from the file that is written."""


@overload
def atomic_writer(path: Path, mode: Literal["w"] = "w") -> AbstractContextManager[IO[str]]: ...
@overload
def atomic_writer(path: Path, mode: Literal["wb"]) -> AbstractContextManager[IO[bytes]]: ...
def atomic_writer(path: Path, mode: Literal["w", "wb"] = "w") -> AbstractContextManager[IO[Any]]:
    """Opens `path` for writing (UTF-8, `\\n`); it changes only when the block ends without an exception, and then at
    once.

    The content goes to `.NAME.tmp` beside it, is flushed to the disk, and replaces `path` in one step; then the folder
    is flushed, so that the name survives a power cut too. The price is two flushes a file (milliseconds on a
    disk), room for both versions, and that hard links to the old file stay with the old content.

    The temporary file has one fixed name and is held under a lock: what a killed process left is overwritten by the
    next write of the same file, and of two processes that write one file at once the second waits for the first.

    Raises StorageError where the disk does not take it (no space, read-only, ...): `path` is then what it was.
    """
    return _atomic_writer(path, mode)


@contextmanager
def _atomic_writer(path: Path, mode: Literal["w", "wb"]) -> Iterator[IO[Any]]:
    draft = path.with_name(f".{path.name}.tmp")
    try:
        with _open_locked(draft, mode) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                draft.replace(path)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
        _flush_folder(path.parent)
    except OSError as error:
        if error.errno in _WRITING:
            raise storage_error(path, error) from error
        raise


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def storage_error(path: Path, error: OSError) -> StorageError:
    """The StorageError that says why `path` cannot be written, and what to do."""
    return StorageError(f"{path}: cannot write it: {_ADVICE.get(error.errno or 0, error.strerror or str(error))}")


def disk_error(error: BaseException) -> StorageError | None:
    """The StorageError behind an error, which may come from anywhere: the system, SQLite, or a library that only puts
    the system's words into its message. None where it has to do with no disk.

    For the edge of the program: whoever knows which file is written says so with `storage_error`.
    """
    for each in _causes(error):
        if isinstance(each, StorageError):
            return each
        if isinstance(each, OSError) and each.errno in _WRITING:
            return storage_error(Path(os.fsdecode(each.filename)) if each.filename else _SOMEWHERE, each)
        if isinstance(each, sqlite3.OperationalError) and (code := _SQLITE.get(_primary(each))):
            return storage_error(_SOMEWHERE, OSError(code, str(each)))
        if _TORCH_SHORT_WRITE.search(str(each)):
            return storage_error(_SOMEWHERE, OSError(errno.ENOSPC, str(each)))
        for code in _WRITING:
            if os.strerror(code) in str(each) or f"(os error {code})" in str(each):
                return storage_error(_SOMEWHERE, OSError(code, str(each)))
    return None


_SOMEWHERE = Path("what this command writes")
_TORCH_SHORT_WRITE = re.compile(r"inline_container\.cc.*unexpected pos|PytorchStreamWriter failed writing", re.DOTALL)
"""What torch's writer of archives says where the disk took fewer bytes than it was given: it names no cause."""
_SQLITE = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_READONLY: errno.EROFS, sqlite3.SQLITE_IOERR: errno.EIO}


def _primary(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, those of its group, and what led to it."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        waiting += [cause for cause in (each.__cause__, each.__context__) if cause is not None]


def _open_locked(draft: Path, mode: Literal["w", "wb"]) -> IO[Any]:
    """Opens, locks and empties the draft. Who held it before may have renamed it away: then its successor is opened."""
    while True:
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise storage_error(draft.with_name(draft.name[1:-4]), error) from error
        text = {} if mode == "wb" else {"encoding": "utf-8", "newline": "\n"}
        file: IO[Any] = os.fdopen(descriptor, mode, **text)  # type: ignore[call-overload]
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if draft.exists() and os.path.samestat(os.fstat(descriptor), draft.stat()):
                os.ftruncate(descriptor, 0)
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
