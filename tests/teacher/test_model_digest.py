"""A model is told by the content of its files, wherever it lies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hardcut.engine.budget import current_stage
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Sampling
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.model_digest import model_folder, model_identity
from hardcut.teacher.protocol import Request
from hardcut.teacher.registry import open_teacher

FILES = {
    "config.json": '{"model_type": "qwen3_vl"}',
    "model-00001-of-00002.safetensors": "weights 1",
    "model-00002-of-00002.safetensors": "weights 2",
    "model.safetensors.index.json": "{}",
    "tokenizer.json": '{"model": {}}',
    "tokenizer_config.json": "{}",
    "preprocessor_config.json": "{}",
    "chat_template.jinja": "{{ messages }}",
    "additional_chat_templates/tools.jinja": "{{ tools }}",
    "generation_config.json": "{}",
    "vocab.txt": "a",
    "tokenizer.model": "b",
}


def make(folder: Path, **changed: str) -> Path:
    for name, text in (FILES | changed).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_the_same_files_elsewhere_are_the_same_model(tmp_path: Path) -> None:
    here, there = make(tmp_path / "here"), tmp_path / "there" / "copy"
    shutil.copytree(here, there)
    assert model_folder(here).digest == model_folder(there).digest
    assert model_folder(there).name.startswith("qwen3_vl-")
    for name, text in {"README.md": "told", "training.log": "x", "pytorch_model.bin": "pickled", ".lock": ""}.items():
        (there / name).write_text(text)
    (there / "checkpoints").mkdir()
    (there / "checkpoints" / "model.safetensors").write_text("another")
    assert model_folder(here).digest == model_folder(there).digest, "what no model is read from counts for nothing"


@pytest.mark.parametrize("name", FILES)
def test_every_file_that_a_model_is_read_from_counts(tmp_path: Path, name: str) -> None:
    same = model_folder(make(tmp_path / "a")).digest
    text = '{"model_type": "other"}' if name == "config.json" else "another"
    other = model_folder(make(tmp_path / "b", **{name: text})).digest
    (tmp_path / "a" / name).unlink()
    assert len({same, other, model_folder(tmp_path / "a").digest}) == 3


def test_pickled_weights_count_where_there_are_no_others(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pytorch_model.bin").write_text(name)
    assert model_folder(tmp_path / "a").digest != model_folder(tmp_path / "b").digest


def test_an_adapter_is_told_by_what_it_stands_on(tmp_path: Path) -> None:
    base = make(tmp_path / "base")
    told = json.dumps({"base_model_name_or_path": str(base)})
    adapter = make(tmp_path / "adapter", **{"adapter_config.json": told})
    before = model_identity(str(adapter))
    make(base, **{"vocab.txt": "another"})
    assert model_identity(str(adapter)) != before
    assert model_identity("Qwen/Qwen3-VL-8B-Instruct") == "Qwen/Qwen3-VL-8B-Instruct"


def test_a_folder_that_changes_while_the_model_is_at_work_is_told(tmp_path: Path) -> None:
    found = model_folder(make(tmp_path / "a"))
    found.check()
    (tmp_path / "a" / "vocab.txt").write_text("another")
    with pytest.raises(UsageError, match=r"vocab\.txt: it was changed while"):
        found.check()


@pytest.mark.parametrize("kind", ["transformers", "vllm"])
def test_a_teacher_in_a_folder_is_its_content_and_its_path_is_in_no_key_and_no_record(
    tmp_path: Path, inputs: dict[str, Any], kind: str
) -> None:
    current_stage.set("test")
    request = Request("judge", {**inputs["judge"], "query": "q"}, Sampling())

    def asked(folder: Path) -> tuple[str, str]:
        teacher = open_teacher(TeacherSettings(spec=f"{kind}:{folder}", revision="main"))
        described = teacher.describe("judge", Sampling())
        assert str(tmp_path) not in described.model_dump_json()
        [question] = teacher._backend.prepare([request])  # type: ignore[attr-defined]
        return question.key, described.model_dump_json()

    here, there = make(tmp_path / "here"), make(tmp_path / "there")
    assert asked(here) == asked(there)
    before = asked(here)
    (here / "model-00001-of-00002.safetensors").write_text("of another model")
    assert asked(here)[0] != before[0] and asked(here)[1] != before[1]


def test_replies_of_models_on_the_hub_are_found_where_they_were_right(inputs: dict[str, Any]) -> None:
    """Up to version 2, defaults of the model shifted the margins of judges that reason."""
    teacher = open_teacher(TeacherSettings(spec="transformers:some/model"))
    judge = {**inputs["judge"], "query": "q"}
    (
        reasoning,
        once,
    ) = (Request("judge", judge, Sampling(reasoning=reasons)) for reasons in (True, False))
    found = teacher._backend.prepare([reasoning, once])  # type: ignore[attr-defined]
    assert [len(question.former) for question in found] == [1, 2], "of version 3, and where they were right of 2"
    [vllm] = open_teacher(TeacherSettings(spec="vllm:some/model"))._backend.prepare([reasoning])  # type: ignore[attr-defined]
    assert len(vllm.former) == 1
