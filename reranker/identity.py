"""What a model's folder says of it: how videos were shown to it in training, and what it was called before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hardcut.schemas.ids import digest
from hardcut.schemas.settings import MediaSettings

RESULT = "train.json"
"""What a training leaves in its folder: the last file that it writes."""


def former_identity(model: str) -> str:
    """What told a model from others in version 26e4c37: of a model that Hardcut trained, what names its training; of
    another folder its weights by size and time of change. Only for going on with a training of that version; today it
    is the content (`teacher/model_digest.py`)."""
    folder = Path(model)
    if not folder.is_dir():
        return model
    trained = _trained(folder)
    if "digest" in trained:
        return str(trained["digest"])
    weights = [(path.name, path.stat()) for path in sorted(folder.glob("*.safetensors"))]
    return digest([[name, status.st_size, status.st_mtime_ns] for name, status in weights])


def shown_in_training(model: str) -> tuple[MediaSettings, int] | None:
    """The sampling of videos and the frames that a model of Hardcut's was trained with; None of any other."""
    trained = _trained(Path(model))
    if "media" not in trained:
        return None
    return MediaSettings.model_validate(trained["media"]), int(trained["frames"])


def _trained(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / RESULT).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
