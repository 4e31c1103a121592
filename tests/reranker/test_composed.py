"""Composed queries: the video that they start from is shown before the other, in training and by every route."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardcut.reranker.examples import COMPOSED_QUERY, NO_REFERENCE
from hardcut.reranker.naming import named_data
from hardcut.reranker.reference import reference_frames
from hardcut.reranker.servers import ServerScorer
from hardcut.reranker.training_data import read_ranking
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.training import LoraSettings, RankingSettings, TrainSettings
from hardcut.teacher.local.generation import GenerationFailed, ModelOptions, pair_prompt
from hardcut.teacher.server.keys import KeySource

STARTS = {"q-train-red-left": "train-blue-right", "q-validation-red-left": "validation-blue-right"}


@pytest.fixture
def composed(blocks: Any) -> Any:
    """The world with blocks, where a query of each split starts from another video."""
    queries = [
        (split, {**row, "reference_video_id": STARTS.get(row["query_id"])}) for split, row in blocks.tables["queries"]
    ]
    videos = {row["video_id"]: (split, row) for split, row in blocks.tables["captions"]}
    corpus = [
        (split, {name: row[name] for name in ("video_id", "video_path", "sha256")}) for split, row in videos.values()
    ]
    return replace(blocks, tables={**blocks.tables, "queries": queries, "corpus": corpus})


def test_groups_and_held_out_queries_know_the_video_that_they_start_from(composed: Any, blocks: Any) -> None:
    given, plain = read_ranking(composed, "raw", 2, composed=True), read_ranking(blocks, "raw", 2)
    assert not given.left_out or {each.reason for each in given.left_out} == {"half_block"}
    starts = {group.group_id: group.reference.video_id for group in given.examples if group.reference}
    assert starts == {"t-q-train-red-left": "train-blue-right"}
    (group,) = (each for each in given.examples if each.reference)
    assert group.query not in group.sides, "sides of a block start from no video"
    found = {query: start.video_id for query, start in given.validation.references.items()}
    assert found == {"q-validation-red-left": "validation-blue-right"}
    assert {each.group_id for each in given.examples} == {each.group_id for each in plain.examples}
    assert named_data(given, TrainSettings()) != named_data(plain, TrainSettings())


def test_without_that_video_the_query_is_refused_by_name(composed: Any) -> None:
    gone = replace(composed, tables={**composed.tables, "corpus": []})
    found = read_ranking(gone, "raw", composed=True)
    assert {(each.item, each.reason) for each in found.left_out} == {
        ("t-q-train-red-left", NO_REFERENCE),
        ("q-validation-red-left", NO_REFERENCE),
    }
    assert all("-blue-right" in each.detail for each in found.left_out)
    off = read_ranking(composed, "raw")
    assert {each.reason for each in off.left_out} == {COMPOSED_QUERY}
    missing = read_ranking(composed, "raw", composed=True).without({"train-blue-right": "no_file"})
    assert "t-q-train-red-left" not in {group.group_id for group in missing.examples}
    missing = read_ranking(composed, "raw", composed=True).without({"validation-blue-right": "no_file"})
    assert "q-validation-red-left" not in missing.validation.qrels


async def test_servers_refuse_by_name(tmp_path: Path) -> None:
    scorer = ServerScorer("classify", "m", ["http://127.0.0.1:9/v1"], concurrency=1, timeout_s=1, keys=[KeySource(())])
    frames = ((tmp_path / "a.jpg", 0.0),)
    (found,) = await scorer.generate([pair_prompt("but in reverse", frames, frames)])
    assert isinstance(found, GenerationFailed) and "starts from another" in found.detail
    await scorer.close()


def test_a_reference_has_half_as_many_frames() -> None:
    assert [reference_frames(frames) for frames in (2, 3, 4, 24)] == [2, 2, 2, 12]


@pytest.mark.torch
@pytest.mark.parametrize("profile", [None, "rankvideo", "qwen3-vl-reranker"])
def test_the_template_shows_the_reference_first_and_leaves_plain_pairs_as_they_are(
    profile: str | None, tiny: str
) -> None:
    from transformers import AutoProcessor

    from hardcut.teacher.local.pair_prompt import add_pair_template, pair_text, shows_reference

    processor = AutoProcessor.from_pretrained(tiny)
    before = processor.chat_template
    add_pair_template(processor, profile)
    plain, composed = pair_text(processor, "but red"), pair_text(processor, "but red", reference=True)
    assert composed.count("<|video_pad|>") == 2 and composed.count("but red") == 1
    first, second = composed.split("<|video_pad|>")[:2]
    assert first.endswith("Reference video: <|vision_start|>") and "Video: " in second
    assert composed.replace("Reference video: <|vision_start|><|video_pad|><|vision_end|>\nVideo: ", "") == plain
    assert shows_reference(processor)
    # as version 26e4c37 and later ones wrote it into a saved model
    start = "{%- set hardcut_reference"
    after = processor.chat_template.partition(start)[2].partition("{%- endif -%}")[2]
    processor.chat_template = processor.chat_template.partition(start)[0] + after
    assert before in processor.chat_template and not shows_reference(processor)
    assert pair_text(processor, "but red") == plain
    with pytest.raises(ValueError, match="does not show the video that a composed query starts from"):
        pair_text(processor, "but red", reference=True)


@pytest.mark.torch
@pytest.mark.timeout(600)
def test_every_way_of_scoring_gives_a_composed_pair_the_same_score(composed: Any, tiny: str) -> None:
    """In rows of their own, packed with the sides of blocks, in validation, and by `hardcut rerank`'s process."""
    import torch

    from hardcut.reranker.clips import ClipReader
    from hardcut.reranker.model import open_reranker
    from hardcut.reranker.trainers import GroupCollator
    from hardcut.reranker.validation import rank
    from hardcut.teacher.local.pair_prompt import pair_inputs
    from hardcut.teacher.local.transformers_model import TransformersGenerator

    reranker = open_reranker(tiny, None, TrainSettings(ranking=RankingSettings(frames=4)))
    reranker.network.eval()
    given = read_ranking(composed, "raw", 2, composed=True)
    (group,) = (each for each in given.examples if each.reference)
    assert group.sides, "blocks ride with it"
    others = [each for each in given.examples if each is not group][:1]
    reader = ClipReader(composed.clips, 4)
    with torch.no_grad():
        tables = []
        for packed in (True, False):
            batch = GroupCollator(reranker.processor, composed.clips, 4, packed)([*others, group])
            scores = reranker.scores(reranker.network, dict(batch["pairs"]))
            tables.append([scores[batch["at"]], scores[batch["blocks"]]])
        for one, other in zip(*tables, strict=True):
            assert torch.allclose(one, other, atol=1e-5)
        reference = reader.read_reference(group.reference)
        assert reference is not None and len(reference.times_s) == 2
        pairs = [(group.query, (reference, reader.read(each.video))) for each in group.candidates]
        alone = reranker.scores(reranker.network, pair_inputs(reranker.processor, pairs))
        plain = [(group.query, reader.read(each.video)) for each in group.candidates]
        without = reranker.scores(reranker.network, pair_inputs(reranker.processor, plain))
    wanted = tables[0][0][-1].tolist()
    assert alone.tolist() == pytest.approx(wanted, abs=1e-5)
    assert (alone - without).abs().min() > 1e-4, "without the reference they would be others"
    generator = TransformersGenerator(ModelOptions(tiny, None, 0, None, 0.9, 1, batch=8, videos=2))
    shown = composed.clips.frames(group.reference, reference_frames(4))
    prompts = [pair_prompt(group.query, composed.clips.frames(each.video, 4), shown) for each in group.candidates]
    found = dict(generator.generate(prompts))
    tops = [dict(found[number].scores[0].top) for number in range(len(prompts))]
    assert [top[b"yes"] - top[b"no"] for top in tops] == pytest.approx(wanted, abs=1e-4)
    ranked = rank(reranker, given.validation, reader)
    start = given.validation.references["q-validation-red-left"]
    asked = [
        (
            given.validation.queries["q-validation-red-left"],
            (reader.read_reference(start), reader.read(given.validation.videos[video])),
        )
        for video in sorted(ranked["q-validation-red-left"])
    ]
    with torch.no_grad():
        alone = reranker.scores(reranker.network, pair_inputs(reranker.processor, asked))
    told = [ranked["q-validation-red-left"][video] for video in sorted(ranked["q-validation-red-left"])]
    assert told == pytest.approx(alone.tolist(), abs=1e-4)


@pytest.mark.torch
@pytest.mark.timeout(600)
def test_they_are_trained_on_and_an_older_template_is_refused(composed: Any, tiny: str, tmp_path: Path) -> None:
    import shutil

    from transformers import AutoProcessor

    from hardcut.reranker.training import TrainJob, train
    from hardcut.teacher.local.pair_prompt import add_pair_template

    stage = RankingSettings(frames=4, groups=4, accumulate=1, epochs=1)
    settings = TrainSettings(lora=LoraSettings(rank=2), ranking=stage)
    done = train(composed, TrainJob("ranking", tiny, tmp_path / "out", composed.clips, settings))
    assert done.examples == 8 and not done.left_out.get(COMPOSED_QUERY) and done.validation is not None
    older = tmp_path / "older"
    shutil.copytree(tiny, older)
    processor = AutoProcessor.from_pretrained(older)
    add_pair_template(processor)
    head, _, rest = processor.chat_template.partition("{%- set hardcut_reference")
    processor.chat_template = head + rest.partition("{%- endif -%}")[2]
    processor.save_pretrained(older)
    with pytest.raises(UsageError, match=r"older: .*t-q-train-red-left"):
        train(composed, TrainJob("ranking", str(older), tmp_path / "refused", composed.clips, settings))
    off = settings.model_copy(update={"ranking": stage.model_copy(update={"composed": False})})
    without = train(composed, TrainJob("ranking", str(older), tmp_path / "off", composed.clips, off))
    assert without.examples == 7 and without.left_out[COMPOSED_QUERY] >= 2


def test_a_reference_is_looked_for_by_its_id_and_bytes(composed: Any) -> None:
    given = read_ranking(composed, "raw", composed=True)
    assert given.videos["train-blue-right"].sha256 == digest("train-blue-right")
