"""How a command ends when it does not end well: one line on stderr, and a status of the table in docs/cli.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from hardcut.cli.terminal import visible
from hardcut.schemas.errors import HardcutError

INTERRUPTED = 130
_BROKEN_PIPE = 141

# typer carries a click of its own or uses the installed one, by version; this is its UsageError in both.
_UsageProblem: Any = typer.BadParameter.__base__


@contextmanager
def one_line_endings() -> Iterator[None]:
    """Ends the process where the command inside raises: in one line for what is known, else with the error itself."""
    try:
        yield
    except _UsageProblem as error:
        name = error.ctx.command_path if error.ctx else "hardcut"
        _say(f"{error.format_message()} (`{name} --help` lists what it takes)")
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        interrupted()
    except HardcutError as error:
        _say(str(error))
        sys.exit(error.status)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(_BROKEN_PIPE)
    except Exception as error:
        _end_at_the_disk(error)
        raise


def interrupted() -> None:
    """Ends the process after Ctrl-C."""
    _say("interrupted; start the same command again to go on")
    sys.exit(INTERRUPTED)


def _end_at_the_disk(error: Exception) -> None:
    """Ends the command in one line where a disk that is full, read-only or broken is behind the error."""
    from hardcut.engine.files import disk_error

    full_disk = disk_error(error)
    if full_disk is not None:
        _say(str(full_disk))
        sys.exit(full_disk.status)


def _say(message: str) -> None:
    """One line on stderr. The message may hold anything: names of files may have line breaks and terminal codes."""
    print("hardcut: " + visible(" ".join(message.split())), file=sys.stderr)
