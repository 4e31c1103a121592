"""Families of models: opened, trained or told at once why not, scored, saved, and opened again."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from hardcut.schemas.errors import UsageError
from hardcut.schemas.training import LoraSettings, TrainSettings
from hardcut.teacher.local.generation import Generated, ModelOptions, pair_prompt

pytestmark = pytest.mark.torch

TRAINED = ("qwen3_vl", "qwen2_5_vl")
SCORED = ("llava_onevision", "internvl", "smolvlm")
QUERIES = ("a red square moves left", "a green square moves right and none is blue")


def _beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The folder of a small model of a family."""
    made: dict[str, str] = {}

    def of(name: str) -> str:
        if name == "smolvlm":
            pytest.importorskip("num2words", reason="the processor of SmolVLM wants num2words")
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            _beside("families").make(name, folder, _beside("conftest").CORPUS)
            made[name] = str(folder)
        return made[name]

    return of


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Path, float], ...]:
    from PIL import Image

    folder, draw = tmp_path_factory.mktemp("frames"), np.random.default_rng(0)
    found = []
    for number in range(5):
        path = folder / f"{number}.jpg"
        Image.fromarray(draw.integers(0, 255, (64, 96, 3), dtype=np.uint8)).save(path)
        found.append((path, number / 2))
    return tuple(found)


def _scores(model: str, frames: Any, profile: str | None = None) -> list[float]:
    from hardcut.reranker.reranking import score
    from hardcut.teacher.local.transformers_model import TransformersGenerator

    generator = TransformersGenerator(ModelOptions(model, None, 0, None, 0.9, 1, batch=4, videos=1, profile=profile))
    found = dict(generator.generate([pair_prompt(query, frames) for query in QUERIES]))
    assert all(isinstance(each, Generated) for each in found.values()), found
    return [score(found[at]) for at in range(len(QUERIES))]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [*TRAINED, *SCORED])
def test_a_family_is_scored_and_scores_the_same_when_saved_and_opened_again(
    name: str, family: Any, frames: Any, tmp_path: Path
) -> None:
    """The score is that of a plain pass over the pair by itself: logit of yes minus that of no."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from hardcut.teacher.local.pair_prompt import add_pair_template, pair_inputs, read_clip

    folder = family(name)
    found = _scores(folder, frames)
    processor, model = AutoProcessor.from_pretrained(folder), AutoModelForImageTextToText.from_pretrained(folder)
    add_pair_template(processor)
    yes, no = (processor.tokenizer.encode(word, add_special_tokens=False)[0] for word in ("yes", "no"))
    for query, value in zip(QUERIES, found, strict=True):
        inputs = pair_inputs(processor, [(query, read_clip(frames))])
        assert "Does the video answer the query?" in processor.tokenizer.decode(inputs["input_ids"][0])
        with torch.no_grad():
            logits = model.eval()(**inputs).logits[0, -1]
        assert value == pytest.approx(float(logits[yes] - logits[no]), abs=1e-4)
    model.save_pretrained(tmp_path / "again")
    processor.save_pretrained(tmp_path / "again")  # the template has the pair now
    assert _scores(str(tmp_path / "again"), frames) == pytest.approx(found, abs=1e-6)
    with pytest.raises(UsageError, match="would override"):
        _scores(str(tmp_path / "again"), frames, "rankvideo")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", TRAINED)
def test_what_is_trained_goes_through_both_stages(
    name: str, family: Any, world: Any, frames: Any, tmp_path: Path
) -> None:
    from hardcut.reranker.training import TrainJob, train

    stage = {"frames": 2, "accumulate": 1, "learning_rate": 1e-2}
    settings = TrainSettings.model_validate(
        {
            "lora": LoraSettings(rank=2),
            "perception": {**stage, "batch": 4},
            "ranking": {**stage, "groups": 4, "epochs": 1},
        }
    )
    first, second = tmp_path / "first", tmp_path / "second"
    told = train(world, TrainJob("perception", family(name), first, world.clips, settings))
    assert told.examples == 8 and told.loss is not None
    train(world, TrainJob("ranking", family(name), second, world.clips, settings, start=first, whole=True))
    assert _scores(str(second), frames) != pytest.approx(_scores(family(name), frames), abs=1e-4), "it learned"


@pytest.mark.parametrize("name", SCORED)
def test_what_is_not_trained_is_told_before_its_weights_are_read(name: str, family: Any, tmp_path: Path) -> None:
    from hardcut.reranker.model import open_reranker

    folder = Path(family(name))
    only_config = tmp_path / "config-only"
    only_config.mkdir()
    (only_config / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(UsageError, match=f"of the family {name}.*hardcut rerank"):
        open_reranker(str(only_config), None, TrainSettings())
