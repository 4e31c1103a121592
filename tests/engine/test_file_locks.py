"""A run is refused where locks do not hold: two processes really try, on file systems whose locks fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hardcut.engine.file_locks import file_system, require_locks
from hardcut.engine.ledger import Ledger
from hardcut.schemas.errors import StorageError

_PRETENDING = """
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>
static int answer(void) { errno = FAULT; return FAULT ? -1 : 0; }
int flock(int descriptor, int what) { return answer(); }
static int pass(int descriptor, int what, void *value) {
    int locks = what == F_SETLK || what == F_SETLKW || what == F_OFD_SETLK || what == F_OFD_SETLKW;
    return locks ? answer() : syscall(SYS_fcntl, descriptor, what, value);
}
#define VALUE va_list rest; va_start(rest, what); void *value = va_arg(rest, void *); va_end(rest);
int fcntl(int descriptor, int what, ...) { VALUE return pass(descriptor, what, value); }
int fcntl64(int descriptor, int what, ...) { VALUE return pass(descriptor, what, value); }
"""


@pytest.fixture
def without_locks(tmp_path: Path):
    """An environment whose processes have other locks than Linux gives them: `without_locks(errno)`; 0: every lock is
    granted to everybody, as `nolock` and `nobrl` do. By a preloaded library: nothing may be mounted in a test."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler on Linux to make the locks fail")

    def make(fault: int) -> dict[str, str]:
        source, library = tmp_path / "locks.c", tmp_path / f"locks{fault}.so"
        source.write_text(_PRETENDING)
        subprocess.run(
            [compiler, "-w", "-shared", "-fPIC", f"-DFAULT={fault}", str(source), "-o", str(library)], check=True
        )
        return {**os.environ, "LD_PRELOAD": str(library)}

    return make


def opened(run: Path, environment: dict[str, str]) -> str:
    """What a process says that opens the ledger of a run."""
    code = "import sys; from pathlib import Path; from hardcut.engine.ledger import Ledger; Ledger(Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(run)], env=environment, capture_output=True, text=True, check=False
    )
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


@pytest.mark.parametrize(
    ("fault", "said"),
    [(0, "two processes hold one lock at the same time"), (38, "none can be taken (Function not implemented)")],
)
def test_a_run_is_refused_where_locks_do_not_hold(tmp_path, without_locks, fault, said):
    told = opened(tmp_path / "run", without_locks(fault))
    assert said in told and "StorageError" in told and "choose a folder on a local disk" in told
    assert not (tmp_path / "run" / "ledger.sqlite").exists(), "nothing was begun"


@pytest.mark.parametrize("other", ["import time; time.sleep(60)", "raise SystemExit(1)"])
def test_a_second_process_that_never_answers_ends_the_try(tmp_path, monkeypatch, other):
    """As where a server of locks is away. Nobody has held a lock twice, and nobody says so."""
    monkeypatch.setattr("hardcut.engine.file_locks._OTHER", other)
    monkeypatch.setattr("hardcut.engine.file_locks._WAIT_S", 1.0)
    with pytest.raises(StorageError, match="did not answer within 1 s, or died"):
        require_locks(tmp_path, new=True)
    assert list(tmp_path.iterdir()) == []


def test_where_locks_hold_nothing_is_said_and_nothing_is_left(tmp_path):
    require_locks(tmp_path, new=True)
    assert list(tmp_path.iterdir()) == []
    assert opened(tmp_path / "run", dict(os.environ)) == ""


def test_a_run_on_a_local_disk_is_tried_once(tmp_path, monkeypatch):
    if file_system(tmp_path) is None:
        pytest.skip("this system does not say what its file systems are")
    Ledger(tmp_path / "run").close()
    monkeypatch.setattr(sys, "executable", "/nonexistent")  # no second process can be started any more
    Ledger(tmp_path / "run").close()
    with pytest.raises(FileNotFoundError):
        require_locks(tmp_path / "run", new=True)


def test_the_kind_of_a_file_system(tmp_path, small_disk):
    assert file_system(Path("/proc")) == "proc"
    assert file_system(small_disk()) == "tmpfs"
