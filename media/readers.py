"""Which reader of frames the settings name. Another one is a file beside this and a line here."""

from __future__ import annotations

from pathlib import Path

from hardcut.media.sampler import Samples, Watcher
from hardcut.schemas.settings import MediaSettings


def open_samples(path: Path | str, settings: MediaSettings, watcher: Watcher | None = None) -> Samples:
    """The pictures of a file by the reader that the settings name. Only ours has a `watcher`.

    Raises MissingDependency.
    """
    if settings.reader == "decord":
        from hardcut.media.sampler_decord import DecordSamples

        return DecordSamples(path, settings)
    return Samples(path, settings, watcher)
