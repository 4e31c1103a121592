"""Where things stand that outlive a run."""

from __future__ import annotations

from pathlib import Path


def cache_folder(given: Path | None) -> Path:
    """The folder of frames and replies: the one given, or the user's own cache."""
    if given is not None:
        return given.expanduser().resolve()
    from platformdirs import user_cache_path

    return user_cache_path("hardcut")
