"""A dataset's folder on disk: built beside its place and swapped in whole, and only ever over a folder of ours."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hardcut.engine.files import storage_error
from hardcut.engine.scratch import staging_folder
from hardcut.schemas.errors import StorageError, UsageError

MARKER = "hardcut.json"
"""In every dataset that Hardcut wrote: what it was made with. Its presence lets a later export replace the folder."""


@contextmanager
def replaced_folder(out: Path) -> Iterator[Path]:
    """A new, empty folder that takes the place of `out` when the block ends, and leaves no trace when it fails.

    Raises UsageError where `out` is something that Hardcut did not write, StorageError where the disk fails. Two
    renames make the swap; an export that dies between them is mended at the start of the next.
    """
    out = out.absolute()
    previous = out.with_name(f".{out.name}.hardcut-previous")
    with staging_folder(out) as building:
        try:
            if previous.exists() and not out.exists():
                previous.rename(out)
            _refuse_foreign(out)
        except OSError as error:
            raise storage_error(out, error) from error
        try:
            yield building
            shutil.rmtree(previous, ignore_errors=True)
            if out.exists():
                out.rename(previous)
            building.rename(out)
            shutil.rmtree(previous, ignore_errors=True)
        except OSError as error:
            raise StorageError(f"{storage_error(out, error)}; what was there is whole") from error


def _refuse_foreign(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"{out} is not a folder: name another place for the dataset")
    if out.exists() and any(out.iterdir()) and not (out / MARKER).is_file():
        raise UsageError(f"{out} holds something that Hardcut did not export (no {MARKER}): name another folder")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A new folder for files of others' formats, renamed to `out` when the block ends; `out` must be new or empty."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not an empty folder: name another place")
    with staging_folder(out) as building:
        try:
            yield building
            out = out.absolute()
            if out.exists():
                out.rmdir()
            building.rename(out)
        except OSError as error:
            raise storage_error(out, error) from error
