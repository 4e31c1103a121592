"""Takes fetched copies of videos, and what is remembered of the tars that have them, out of the cache folder."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path, PurePosixPath


def forget_copies(videos: Path, paths: Collection[str], digests: Collection[str]) -> int:
    """Removes the files of these paths, what lies beside each, and files of these digests; returns how many. They are
    fetched again where somebody needs them. `videos` is the folder of everything that is fetched."""
    stems = tuple(f"{PurePosixPath(path).with_suffix('')}." for path in paths)
    removed = 0
    for notes in (videos / "files").glob("*/notes"):
        for folder, _, names in os.walk(notes, topdown=False):
            for name in names:
                note = Path(folder, name)
                relative = note.relative_to(notes)
                if relative.as_posix().startswith(stems) or _digest(note) in digests:
                    _remove(notes.with_name("files") / relative)
                    _remove(note)
                    removed += 1
    for index in (videos / "tars").glob("*.json"):
        members = json.loads(index.read_text("utf-8"))["members"]
        if any(name.startswith(stems) for name, *_ in members):
            index.unlink()
    for memory in (videos / "sidecars").glob("*.json"):
        memory.unlink()  # digests alone, but of what is forgotten too: sidecars are read again
    return removed


def _digest(note: Path) -> str | None:
    try:
        found = json.loads(note.read_text("utf-8"))
        return str(found["sha256"])
    except (ValueError, KeyError, TypeError):
        return None


def _remove(path: Path) -> None:
    """Removes a file, what is being fetched of it, and its folder where that is empty by now."""
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}.part").unlink(missing_ok=True)
    with suppress(OSError):
        path.parent.rmdir()
