"""One process works on a run at a time. The file of its lock also says how the ledger was left."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from hardcut.engine.file_locks import require_locks
from hardcut.engine.files import storage_error
from hardcut.schemas.errors import UsageError

_LOCK = "ledger.lock"


def is_worked_on(run: Path) -> bool:
    """Whether a process works on the run in this folder."""
    try:
        with (run / _LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


class RunLock:
    """The lock of the run in folder `run`, which is made. It ends with the process, however that ends.

    `verified` is true where the ledger is as somebody left it who had read the whole of it: it need not be read for
    damage again. Raises UsageError where another process works on the run, StorageError where the disk is at fault.
    """

    def __init__(self, run: Path, ledger: Path) -> None:
        self._ledger = ledger
        try:
            run.mkdir(parents=True, exist_ok=True)
            require_locks(run, new=not ledger.exists())
            self._file = os.open(run / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise storage_error(run, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.verified = os.pread(self._file, 200, 0) == self._state()
        except BlockingIOError:
            os.close(self._file)
            raise UsageError(f"{run}: another process works on this run: wait for its end or stop it") from None
        except OSError as error:
            os.close(self._file)
            raise storage_error(run, error) from error

    def release(self) -> None:
        """Lets go of the run, and notes how the ledger is left where it was verified."""
        if self.verified:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, self._state(), 0)
        os.close(self._file)

    def give_up(self) -> None:
        """Lets go of the run and notes nothing: the ledger could not be opened."""
        os.close(self._file)

    def _state(self) -> bytes:
        if not self._ledger.exists():
            return b""
        status = self._ledger.stat()
        return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}".encode()
