"""What names a model, so that what was begun with one is not finished with another."""

from __future__ import annotations

import json
from pathlib import Path

from hardcut.schemas.ids import digest

RESULT = "train.json"
"""What a training leaves in its folder: the last file that it writes."""


def state_of(model: str) -> str:
    """Of a model that Hardcut trained, what names its training; of another folder its weights by size and time of
    change; of anything else, which is on the Hub, its name."""
    folder = Path(model)
    if not folder.is_dir():
        return model
    try:
        return str(json.loads((folder / RESULT).read_text("utf-8"))["digest"])
    except (OSError, ValueError, KeyError):
        weights = [(path.name, path.stat()) for path in sorted(folder.glob("*.safetensors"))]
        return digest([[name, status.st_size, status.st_mtime_ns] for name, status in weights])
