"""Pickled weights are refused before any library sees them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from hardcut.schemas.errors import UsageError
from hardcut.synth.evidence import whisper
from hardcut.teacher.local.generation import ModelOptions
from hardcut.teacher.local.process import ModelProcess
from hardcut.teacher.local.safe_loading import refuse_pickled

SHARDS = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}


def folder_of(tmp_path: Path, *names: str, index: object = None) -> Path:
    for name in ("config.json", *names):
        (tmp_path / name).write_text("{}")
    if index is not None:
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    return tmp_path


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "model.ckpt", "weights.pkl"])
def test_a_folder_of_pickled_weights_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name}.*only safetensors are read.*save_pretrained"):
        refuse_pickled(folder_of(tmp_path, name))


def test_an_index_that_names_a_pickle_is_refused(tmp_path: Path) -> None:
    mixed = {"weight_map": {**SHARDS["weight_map"], "c": "evil.bin"}}
    with pytest.raises(UsageError, match=r"names evil\.bin"):
        refuse_pickled(folder_of(tmp_path, "model-1.safetensors", "model-2.safetensors", "evil.bin", index=mixed))
    with pytest.raises(UsageError, match="no index of weights"):
        refuse_pickled(folder_of(tmp_path, index=[]))


def test_a_pickled_adapter_is_refused_whatever_lies_beside_it(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "adapter_config.json", "adapter_model.bin", "model.safetensors")
    with pytest.raises(UsageError, match=r"adapter_model\.bin"):
        refuse_pickled(folder)


def test_safetensors_are_read_and_what_is_never_opened_may_lie_beside_them(tmp_path: Path) -> None:
    whole, shards, adapter = (tmp_path / name for name in ("whole", "shards", "adapter"))
    for each in (whole, shards, adapter):
        each.mkdir()
    refuse_pickled(folder_of(whole, "model.safetensors", "training_args.bin", "optimizer.pt"))
    refuse_pickled(folder_of(shards, "model-1.safetensors", "model-2.safetensors", index=SHARDS))
    refuse_pickled(folder_of(adapter, "adapter_config.json", "adapter_model.safetensors", "training_args.bin"))
    refuse_pickled(tmp_path / "no such folder: a name on the Hub")


class Trap:
    """Unpickled, it writes a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (exec, (f"open({self.path!r}, 'w').close()",))


@pytest.mark.parametrize("kind", ["transformers", "vllm"])
async def test_a_judge_and_a_reranker_refuse_a_trap_before_they_load_a_library(tmp_path: Path, kind: str) -> None:
    marker = tmp_path / "marker"
    folder = tmp_path / "model"
    folder.mkdir()
    folder_of(folder)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(str(marker))))
    options = ModelOptions(str(folder), None, max_images=1, max_model_len=None, gpu_memory=0.3, gpus=1, batch=1)
    process = ModelProcess(kind, options)  # type: ignore[arg-type]
    try:
        with pytest.raises(UsageError, match=r"pytorch_model\.bin"):
            await process.generate([_prompt()])
    finally:
        await process.close()
    assert not marker.exists()


def _prompt() -> object:
    from hardcut.schemas.records import Sampling
    from hardcut.teacher.local.generation import Prompt

    return Prompt("", "is it so?", (), Sampling(reasoning=False), judge=True)


def test_speech_refuses_it_before_a_video_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whisper, "installed", lambda *_: "1")
    with pytest.raises(UsageError, match=r"pytorch_model\.bin"):
        _ = whisper.Whisper(str(folder_of(tmp_path, "pytorch_model.bin")), None).settings  # type: ignore[arg-type]
