"""Settings whose default has changed, in runs that began before: they keep what they were begun with."""

from __future__ import annotations

from pathlib import Path

from hardcut.schemas.config import load_settings
from hardcut.schemas.settings import Settings


def as_begun(settings: Settings, run: Path) -> Settings:
    """`settings`, with what they leave open as the run in this folder was begun; a new run has the present defaults.

    `scores.show_metadata` was on before it could be left open, so a `run.toml` without it is of such a run: its judges
    go on being told titles, and no judgment is paid for twice. Raises UsageError where `run.toml` cannot be read.
    """
    scores = settings.scores
    if scores.show_metadata is not None:
        return settings
    own = run / "run.toml"
    shown = own.is_file() and load_settings(own).scores.show_metadata is not False
    return settings.model_copy(update={"scores": scores.model_copy(update={"show_metadata": shown})})
