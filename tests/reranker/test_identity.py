"""What a model's folder says of it, and what version 26e4c37 called it."""

from __future__ import annotations

import json
from pathlib import Path

from hardcut.reranker.identity import RESULT, former_identity, shown_in_training
from hardcut.schemas.settings import MediaSettings


def test_a_trained_model_is_its_training_wherever_it_lies(tmp_path: Path) -> None:
    media = MediaSettings(fps=2.0)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        told = {"digest": "abc", "frames": 8, "media": media.model_dump(mode="json")}
        (tmp_path / name / RESULT).write_text(json.dumps(told))
        assert former_identity(str(tmp_path / name)) == "abc"
    assert shown_in_training(str(tmp_path / "one")) == (media, 8)


def test_another_folder_is_its_weights_and_a_name_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"1")
    before = former_identity(str(tmp_path))
    assert former_identity(str(tmp_path)) == before != former_identity(str(tmp_path / "nothing"))
    (tmp_path / "model.safetensors").write_bytes(b"12")
    assert former_identity(str(tmp_path)) != before
    (tmp_path / RESULT).write_text("[1")
    assert former_identity(str(tmp_path)) != before and shown_in_training(str(tmp_path)) is None
    assert former_identity("Qwen/Qwen3-VL-8B-Instruct") == "Qwen/Qwen3-VL-8B-Instruct"
    assert shown_in_training("Qwen/Qwen3-VL-8B-Instruct") is None
