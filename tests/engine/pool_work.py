"""What workers do in the tests of the pool."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from hardcut.schemas.errors import ItemError


class Unpicklable(Exception):
    """Pickles, but cannot be built again from its only argument."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} {two}")


def square(number: int) -> int:
    return number * number


def slow_square(number: int) -> int:
    time.sleep(0.1)
    return number * number


def fail(how: str) -> None:
    if how == "item":
        raise ItemError("damaged", "no frames", "moov")
    if how == "zero":
        raise ZeroDivisionError
    if how == "timeout":
        raise TimeoutError("from inside")
    if how == "exit":
        sys.exit(3)
    raise Unpicklable(1, 2)


def hang() -> None:
    time.sleep(600)


def leave(status: int) -> None:
    os._exit(status)


def die(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(10)


def write_after(path: str, seconds: float) -> None:
    time.sleep(seconds)
    Path(path).touch()


def loaded_modules() -> list[str]:
    return sorted(sys.modules)


def note(path: str, name: str, seconds: float) -> None:
    """Writes its name into a file, and takes its time."""
    with Path(path).open("a") as file:
        file.write(f"{name}\n")
    time.sleep(seconds)
