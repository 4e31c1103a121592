"""What a worker process of a pool does: one call after another, until nobody wants any more. Imports little."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection

TAKEN = b"taken"
_PR_SET_PDEATHSIG = 1
_WATCH_S = 0.5


def work(connection: Connection, parent: int) -> None:
    """Carries out the calls that come, each a function with its arguments: says that it took one, then what came of it.
    Ends when the other side closes and when process `parent` ends, also in the middle of a call."""
    _end_with(parent)
    try:
        while True:
            call = connection.recv_bytes()
            connection.send_bytes(TAKEN)
            connection.send_bytes(_carry_out(call))
    except (EOFError, OSError):
        return


def _carry_out(call: bytes) -> bytes:
    """One call. Everything crosses as bytes, so that what does not pickle harms no other call."""
    try:
        fn, args = pickle.loads(call)
        return pickle.dumps((fn(*args), None))
    except BaseException as error:  # noqa: BLE001 - it is raised where the call was made
        note = "in a worker process:\n" + "".join(traceback.format_exception(error))
        try:
            reply = pickle.dumps((error, note))
            pickle.loads(reply)
        except Exception:  # noqa: BLE001 - exceptions whose constructors take what they do not keep
            reply = pickle.dumps((RuntimeError(f"{type(error).__name__}: {error}"), note))
        return reply


def _end_with(parent: int) -> None:
    """Sees to it that this process ends with its parent: by the kernel on Linux, elsewhere by a thread, which a call
    that never lets go of the interpreter's lock can hold up."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os._exit(1)
