"""A Python process whose main module is ours, with a connection to it.

`multiprocessing` has every process import the main module of the one that started it: a script without a guard
(`if __name__ == "__main__"`) would then begin again in each worker. Here only what the process is told to do is
imported. It stands in a session of its own, so that Ctrl-C on a terminal reaches us alone: what becomes of it is for us
to say.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from multiprocessing.spawn import get_executable
from typing import Any, Concatenate, ParamSpec

P = ParamSpec("P")

_CODE = (
    "import sys; number, sys.path[:] = int(sys.argv[1]), sys.argv[2:]; "
    "from hardcut.engine.child import main; main(number)"
)


def start(
    target: Callable[Concatenate[Connection, P], None], *args: P.args, **kwargs: P.kwargs
) -> tuple[subprocess.Popen[bytes], Connection]:
    """Starts a process that calls `target` with its end of a connection and the arguments. Returns the process and our
    end. `target` is importable by name, and the arguments pickle."""
    ours, theirs = Pipe()
    try:
        number = theirs.fileno()
        process = subprocess.Popen(
            [get_executable(), "-P", "-c", _CODE, str(number), *sys.path],
            stdin=subprocess.DEVNULL,
            pass_fds=[number],
            start_new_session=True,
        )
    finally:
        theirs.close()
    ours.send((target, args, kwargs))
    return process, ours


def main(number: int) -> None:
    """In the process: does what it was told over the connection behind that file descriptor."""
    connection = Connection(number)
    called: tuple[Callable[..., None], tuple[Any, ...], dict[str, Any]] = connection.recv()
    target, args, kwargs = called
    target(connection, *args, **kwargs)
