"""Which model a folder holds: by the content of its files, wherever it lies.

Another model in the same folder is another model; the same files elsewhere are the same model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardcut.engine.file_digests import FileDigests, Stamp, stamp_of
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest

_TOLD = frozenset({".md", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".pdf", ".html", ".log", ".lock", ".jsonl", ".py"})
"""What tells people of a model, and what is left of its making. No code of a model's is run."""
_PICKLED = frozenset({".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf", ".onnx", ".pkl"})
"""Weights in forms that are not read where there are safetensors."""
_TEMPLATES = "additional_chat_templates"
_ADAPTER = "adapter_config.json"
_BASE = "base_model_name_or_path"


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model's folder as it was found. `digest` (SHA-256 in hex) covers weights, configuration, tokenizer, processor
    and chat templates; `name` is for people: the kind of model and the beginning of the digest."""

    folder: Path
    digest: str
    name: str
    stamps: tuple[tuple[Path, Stamp], ...]

    def check(self) -> None:
        """Raises UsageError where a file was changed since."""
        for file, stamp in self.stamps:
            try:
                same = stamp_of(file) == stamp
            except OSError:
                same = False
            if not same:
                raise UsageError(f"{file}: it was changed while the model was at work: start again to go on")


def model_folder(folder: Path, digests: FileDigests | None = None) -> ModelFolder:
    """Which model is in a folder. Reads all of it the first time. Raises UsageError where it cannot be read."""
    digests = digests or FileDigests()
    try:
        files = _files(folder)
        stamps = tuple((file, stamp_of(file)) for file in files)
        sums = digests.sha256(files)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror or error}") from error
    parts = [[file.relative_to(folder).as_posix(), sum] for file, sum in zip(files, sums, strict=True)]
    base = _json(folder / _ADAPTER).get(_BASE)
    whole = digest("model", parts, model_identity(base, digests) if isinstance(base, str) else None)
    kind = _json(folder / "config.json").get("model_type")
    return ModelFolder(folder, whole, f"{kind if isinstance(kind, str) else 'model'}-{whole[:12]}", stamps)


def model_identity(model: str, digests: FileDigests | None = None) -> str:
    """What tells a model from others: of a folder its content, of anything else, which is on the hub, its name."""
    folder = Path(model)
    return model_folder(folder, digests).digest if folder.is_dir() else model


def _files(folder: Path) -> list[Path]:
    """The files that a model is read from, sorted; those of folders in it (checkpoints) are others'."""
    found = [file for file in (*folder.iterdir(), *folder.glob(f"{_TEMPLATES}/*")) if file.is_file()]
    safe = any(file.suffix == ".safetensors" for file in found)
    left_out = _TOLD | _PICKLED if safe else _TOLD
    return sorted(file for file in found if not file.name.startswith(".") and file.suffix.lower() not in left_out)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
