"""What a model is shown is known again, and another way to show it is told."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
if importlib.util.find_spec("torchvision") is None:
    pytest.skip("torchvision is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from hardcut.reranker.tiny import build

    folder = tmp_path_factory.mktemp("shown") / "model"
    build(folder, ["a red square moves left. yes no"] * 20)
    return folder


def _processor(model: Path, profile: str | None = None) -> Any:
    from transformers import AutoProcessor

    from hardcut.teacher.local.pair_prompt import add_pair_template

    processor = AutoProcessor.from_pretrained(model)
    add_pair_template(processor, profile)
    return processor


def test_prompt_times_grid_and_pixels_each_make_another_digest(model: Path) -> None:
    from hardcut.teacher.local.shown import shown_digest

    usual = shown_digest(_processor(model))
    assert usual == shown_digest(_processor(model)), "the same again"
    found = {usual, shown_digest(_processor(model, "rankvideo"))}
    larger = _processor(model)
    larger.video_processor.size = {"shortest_edge": 32 * 32, "longest_edge": 6 * 32 * 32}
    found.add(shown_digest(larger))
    statistics = _processor(model)
    statistics.video_processor.image_mean = [0.1, 0.2, 0.3]
    found.add(shown_digest(statistics))
    pairs = _processor(model)
    pairs.chat_template = pairs.chat_template.replace("<|vision_start|><|video_pad|><|vision_end|>", "<|video_pad|>")
    found.add(shown_digest(pairs))
    assert len(found) == 5, "as transformers 5.9 and 5.10 differ, too"


def test_what_a_judge_is_shown_makes_a_digest_too(model: Path) -> None:
    from hardcut.teacher.local.shown import judged_digest, shown_digest

    usual = judged_digest(_processor(model))
    assert usual == judged_digest(_processor(model)) != shown_digest(_processor(model))
    text = judged_digest(_processor(model), pictures_shown=False)
    blind = _processor(model)
    blind.image_processor.image_mean = [0.1, 0.2, 0.3]
    assert text != usual and text == judged_digest(blind, pictures_shown=False), "of one that is shown none"
    statistics, template = _processor(model), _processor(model)
    statistics.image_processor.image_mean = [0.1, 0.2, 0.3]
    template.chat_template = "Hello. " + template.chat_template
    assert len({usual, judged_digest(statistics), judged_digest(template)}) == 3


def test_a_label_keeps_how_its_judge_was_shown_the_pair_also_out_of_the_cache(
    model: Path, inputs: Any, tmp_path: Path
) -> None:
    """A model in its process gives it, the cache of replies keeps it, and a reply of an earlier version has none."""
    import asyncio

    from hardcut.engine.reply_cache import ReplyCache
    from hardcut.schemas.records import Sampling
    from hardcut.teacher.cached import CachedTeacher
    from hardcut.teacher.local.generation import ModelOptions
    from hardcut.teacher.local.teacher import LocalTeacher
    from hardcut.teacher.local.transformers_model import TransformersGenerator
    from hardcut.teacher.protocol import Reply, Request

    options = ModelOptions(str(model), None, 4, None, 0.9, 1, 4)
    generator = TransformersGenerator(options)

    class Here:
        asked = 0

        async def generate(self, prompts: Any) -> Any:
            self.asked += len(prompts)
            return [result for _, result in sorted(generator.generate(prompts), key=lambda each: each[0])]

        async def close(self) -> None: ...

    request = Request("judge", inputs["judge"], Sampling(reasoning=False))
    here = Here()
    with ReplyCache(tmp_path / "replies.sqlite") as replies:
        found = [
            asyncio.run(CachedTeacher(LocalTeacher("transformers", options, model=here), replies).complete([request]))
            for _ in range(2)
        ]
    assert here.asked == 1
    for (reply,) in found:
        assert isinstance(reply, Reply) and reply.shown is not None
        assert reply.shown.startswith(generator._shown.partition(" ")[0]) and "transformers" in reply.shown


def test_who_shows_pairs_otherwise_than_in_training_is_told(model: Path, tmp_path: Path) -> None:
    from hardcut.teacher.local.shown import shown_digest, told_apart

    processor = _processor(model)
    note = tmp_path / "train.json"
    assert told_apart(str(tmp_path), processor) is None, "nobody noted it"
    note.write_text(json.dumps({"shown": shown_digest(processor), "versions": {"transformers": "5.9.0"}}))
    assert told_apart(str(tmp_path), processor) is None
    told = told_apart(str(tmp_path), _processor(model, "rankvideo"))
    assert told is not None and "otherwise than in training" in told and "transformers 5.9.0, now" in told


def test_versions_are_those_of_the_libraries() -> None:
    import transformers

    from hardcut.teacher.local.shown import versions

    assert versions() == {"transformers": transformers.__version__, "torch": torch.__version__.partition("+")[0]}
