"""What of a model's folder may be opened. Nothing in it is run: no code that its files name, no pickle."""

from __future__ import annotations

import json
from pathlib import Path

from hardcut.schemas.errors import UsageError

NO_CODE = {"trust_remote_code": False}
"""For every `from_pretrained`. Left out, transformers asks on the terminal, and a yes would run what the folder has."""
_ADAPTER = ("adapter_model", "adapter_config.json")
_PICKLED = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})


def refuse_pickled(model: str | Path) -> None:
    """Raises UsageError where the weights in a folder are not all safetensors: opening a pickle can run code.

    Pickled files beside safetensors are never opened (an optimiser's state, say) and do no harm. A name on the Hub is
    left to the libraries, which are told to take safetensors only.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return
    for index in folder.glob("*.safetensors.index.json"):
        for name in _indexed(index):
            if not name.endswith(".safetensors"):
                raise _refused(folder, f"{index.name} names {name}")
    safe = {path.stem for path in folder.glob("*.safetensors")}
    stem, config = _ADAPTER
    wanted = safe & {stem} if (folder / config).is_file() else safe
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLED)
    if pickled and not wanted:
        raise _refused(folder, pickled[0])


def not_loaded(model: str, error: Exception) -> str:
    """What a library says of a model that it cannot load, in a line; its advice to trust the model's code left out."""
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if "trust_remote_code" in str(error):
        said = (
            "it needs code of its own, and none is run here; take a model of a family that the library knows, or serve "
            "it elsewhere and name it as openai:MODEL@URL"
        )
    return f"{model} cannot be loaded: {said}"


def _indexed(index: Path) -> set[str]:
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return {name if isinstance(name, str) else repr(name) for name in names}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UsageError(f"{index}: no index of weights: {error}") from error


def _refused(folder: Path, what: str) -> UsageError:
    return UsageError(
        f"{folder}: {what}: pickled weights can run code when they are opened, so only safetensors are read; save the "
        "model again with save_pretrained, on a machine that may run it"
    )
