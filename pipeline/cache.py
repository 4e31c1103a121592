"""The folder of things that outlive a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cache:
    """The folder that keeps fetched videos, decoded frames, paid replies and the reviewers' environment for later
    runs."""

    root: Path

    @property
    def frames(self) -> Path:
        return self.root / "frames"

    @property
    def videos(self) -> Path:
        """Videos that were fetched, and what is known of tars and datasets."""
        return self.root / "videos"

    @property
    def replies(self) -> Path:
        return self.root / "replies.sqlite"

    @property
    def digests(self) -> Path:
        """The file with digests of models in folders."""
        return self.root / "digests.json"

    @property
    def profiles(self) -> Path:
        """What is known of servers: what each can do."""
        return self.root / "profiles"

    @property
    def argilla(self) -> Path:
        return self.root / "argilla"


def cache_folder(given: Path | None) -> Cache:
    """The cache in the given folder, or in the user's own cache folder."""
    if given is not None:
        return Cache(given.expanduser().resolve())
    from platformdirs import user_cache_path

    return Cache(user_cache_path("hardcut"))
