"""Whether locks on files hold in a folder. SQLite relies on them, and so does Hardcut; some network file systems only
pretend to have them, and then two processes damage what both write.

Nobody is believed: a second process tries to take a lock that this one holds.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from hardcut.schemas.errors import StorageError

_LOCAL = frozenset({"apfs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"})
"""File systems of one machine, whose locks the kernel itself keeps."""
_ADVICE = {
    "nfs": "mount it with locks (without `nolock` and `local_lock`; NFSv4 has them)",
    "nfs4": "mount it with locks (without `local_lock`)",
    "cifs": "mount it without `nobrl`",
    "smb3": "mount it without `nobrl`",
    "lustre": "mount it with `-o flock` on every node",
}
_ELSEWHERE = "choose a folder on a local disk, and copy it when it is done; the videos may lie anywhere"
_WAIT_S = 20.0
"""How long the other process may take: a server of locks that does not answer blocks who asks it."""

# The other process: tries both kinds of locks, says which it got, and does it again when it is told to.
_OTHER = """
import fcntl, sys
def got(file, take):
    try:
        take(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return "0"
    take(file, fcntl.LOCK_UN)
    return "1"
with open(sys.argv[1], "r+b") as file:
    for _ in sys.stdin:
        print(got(file, fcntl.lockf) + got(file, fcntl.flock), flush=True)
"""


def require_locks(folder: Path, *, new: bool) -> None:
    """Tries whether locks hold in a folder that is there, if it is `new` to us or on no local file system.

    Raises StorageError where they do not, with what to do; OSError where the folder cannot be written.
    """
    kind = file_system(folder)
    if not new and kind in _LOCAL:
        return
    why = _fault(folder)
    if why is not None:
        where = f"its file system ({kind})" if kind else "its file system"
        advice = f"{_ADVICE[kind]}, or {_ELSEWHERE}" if kind in _ADVICE else _ELSEWHERE
        raise StorageError(f"{folder}: locks do not hold on {where}: {why}: {advice}")


def file_system(folder: Path) -> str | None:
    """The kind of file system that a folder is on, as the kernel calls it; None where it does not say."""
    best = (-1, "")
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    where = folder.resolve()
    for line in mounts:
        fields = line.split(" ")
        point = Path(fields[4].encode("latin-1", "replace").decode("unicode_escape"))
        if where.is_relative_to(point):
            best = max(best, (len(point.parts), fields[fields.index("-") + 1]), key=lambda each: each[0])
    return best[1] or None


def _fault(folder: Path) -> str | None:
    """What is wrong with the locks in a folder."""
    path = folder / f".locks-{os.getpid()}.tmp"
    try:
        with path.open("w+b") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                return f"none can be taken ({error.strerror})"
            with subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _OTHER, str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            ) as other:
                assert other.stdin and other.stdout
                late = threading.Timer(_WAIT_S, other.kill)
                late.start()
                try:
                    with suppress(BrokenPipeError):  # it died: it says nothing then
                        other.stdin.write("\n")
                        other.stdin.flush()
                    held = other.stdout.readline().strip()
                    fcntl.flock(file, fcntl.LOCK_UN)
                    fcntl.lockf(file, fcntl.LOCK_UN)
                    free, _ = other.communicate("\n" if held else None)
                finally:
                    late.cancel()
        if not held or not free:
            return f"a second process that tried one did not answer within {_WAIT_S:g} s, or died"
        if held != "00":
            return "two processes hold one lock at the same time"
        return None if free.strip() == "11" else "one that was let go cannot be taken"
    finally:
        path.unlink(missing_ok=True)
