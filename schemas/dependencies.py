"""Optional libraries: the commands that install them, and their versions for a stage's key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as read_version

from hardcut.schemas.errors import MissingDependency

DEFAULT_PARTS = frozenset({"ocr", "vision", "eval", "publish"})
"""The extras that `default` brings: without one of them a run with the default settings stops."""


def pip_install(extra: str) -> str:
    """The command that installs an extra. For a part of `default` it installs all parts, so that nobody has to install
    one after another."""
    return f'pip install "hardcut[{"default" if extra in DEFAULT_PARTS else extra}]"'


def not_installed(package: str, extra: str, otherwise: str = "") -> MissingDependency:
    """The error for a missing library. `otherwise` is a setting that does not need it."""
    return MissingDependency(f"{package} is not installed: {_advice(extra, otherwise)}")


def not_imported(package: str, error: ImportError, extra: str, otherwise: str = "") -> MissingDependency:
    """The error for a failed import: the library, or one that it needs, is missing or broken."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return not_installed(error.name.partition(".")[0], extra, otherwise)
    return MissingDependency(f"{package} is installed and broken: {error}: {_advice(extra, otherwise)}")


def _advice(extra: str, otherwise: str) -> str:
    return pip_install(extra) + (f", or set {otherwise}" if otherwise else "")


@contextmanager
def needs(package: str, extra: str, otherwise: str = "") -> Iterator[None]:
    """A context for the imports of an extra's library. Raises MissingDependency where one of them fails."""
    try:
        yield
    except ImportError as error:
        raise not_imported(package, error, extra, otherwise) from error


@cache
def version(package: str) -> str:
    """The version of an installed package, read once: the keys of a run's stages ask for each some twenty times. Raises
    PackageNotFoundError."""
    return read_version(package)


def installed(package: str, extra: str, otherwise: str = "") -> str:
    """The version of an installed package. Raises MissingDependency."""
    try:
        return version(package)
    except PackageNotFoundError:
        raise not_installed(package, extra, otherwise) from None


def opencv(otherwise: str) -> str:
    """The version of OpenCV, whichever of its packages brings it. Raises MissingDependency."""
    for package in ("opencv-python", "opencv-python-headless", "opencv-contrib-python"):
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    raise not_installed("OpenCV", "vision", otherwise)
