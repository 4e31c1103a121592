"""Three steps of every way to train an embedder, saved, loaded again, and the loss of the paper in a few lines."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardcut.embedder.examples import Example, read_examples
from hardcut.schemas.errors import UsageError
from hardcut.schemas.training import EmbeddingLossSettings, EmbeddingSettings, LoraSettings, TrainSettings

COLOURS, WAYS = ("red", "green", "blue", "white"), ("left", "right")


@pytest.fixture(scope="module")
def taught(blocks: Any) -> Any:
    """The world with triplets: a square, the same in other words, and the other direction."""
    rows = []
    for split in ("train", "validation"):
        for number, (colour, way) in enumerate((colour, way) for colour in COLOURS for way in WAYS):
            other = WAYS[way == "left"]
            texts = (f"a {colour} square moves {way}", f"{colour}, moving {way}", f"a {colour} square moves {other}")
            named = dict(zip(("anchor", "positive", "hard_negative"), texts, strict=True))
            rows.append((split, {"id": f"t-{split}-{number}", "nuance": "temporal", **named}))
    return replace(blocks, tables={**blocks.tables, "triplets": rows})


def settings(method: str = "full", **embedding: Any) -> TrainSettings:
    given = {"batch": 8, "epochs": 3.0, "learning_rate": 1e-3, "data": ("triplets",), **embedding}
    lora = LoraSettings(rank=4, dropout=0.0)
    return TrainSettings(method=method, lora=lora, warmup=0.0, save_steps=50, embedding=EmbeddingSettings(**given))


def test_triplets_groups_and_counterfactuals_are_examples(taught: Any) -> None:
    data = read_examples(taught, EmbeddingSettings(data=("triplets", "groups"), hard_negatives=2, counterfactuals=2))
    names = ("triplet", "group", "counterfactual")
    kinds = {kind: [each for each in data.examples if each.kind == kind] for kind in names}
    assert {kind: len(of) for kind, of in kinds.items()} == {"triplet": 8, "group": 8, "counterfactual": 8}
    group = kinds["group"][0]
    assert group.anchor.text == "a blue square moves left" and group.positive.text == "a blue square moves left."
    assert len(group.negatives) == 2 and group.margins == (4.0, -5.0, -5.0)
    turned = kinds["counterfactual"][0]
    assert turned.anchor == group.positive and turned.positive.text and turned.negatives[0].text
    assert not data.videos and len(data.validation.triplets) == 8 and len(data.validation.qrels) == 20
    seen = read_examples(taught, EmbeddingSettings(data=("groups",), see=True))
    assert len(seen.videos) == 16 and all(each.positive.video for each in seen.examples if each.kind == "group")
    bare = read_examples(taught, EmbeddingSettings(hard_negatives=0))
    assert {each.shape for each in bare.examples} == {"triplet-0"}
    with_them, without = (
        read_examples(taught, EmbeddingSettings(data=("triplets", "groups"), hard_negatives=most)).examples
        for most in (2, 0)
    )
    assert [(each.id, each.anchor, each.positive) for each in without] == [
        (each.id, each.anchor, each.positive) for each in with_them
    ]
    assert not any(each.negatives for each in without) and all(each.negatives for each in with_them)


def test_a_block_that_rides_with_several_groups_is_one_example(taught: Any) -> None:
    twice = [(split, {**row, "group_id": f"{row['group_id']}{at}"}) for split, row in taught.tables["groups"]
             for at in range(2)]  # fmt: skip
    again = replace(taught, tables={**taught.tables, "groups": twice})
    chosen = EmbeddingSettings(data=("groups",), counterfactuals=2)
    counted = [Counter(each.kind for each in read_examples(tables, chosen).examples) for tables in (taught, again)]
    assert [of["group"] for of in counted] == [8, 16]
    assert [of["counterfactual"] for of in counted] == [8, 8]


def test_a_rerankers_scores_take_the_place_of_margins(taught: Any) -> None:
    first = next(row for split, row in taught.tables["groups"] if split == "train")
    scores = {first["query_id"]: {each["video_id"]: 0.5 for each in (first["positive"], *first["negatives"])}}
    data = read_examples(taught, EmbeddingSettings(data=("groups",)), scores)
    margins = {each.id: each.margins for each in data.examples if each.kind == "group"}
    assert margins[first["group_id"]] == (0.5, 0.5) and set(margins.values()) == {(0.5, 0.5), ()}


def two_ways(taught: Any) -> Any:
    """The pairs shown to their teacher in two ways in turn."""
    ways = ("aaaa (transformers 5.9.0)", "bbbb (transformers 5.24.0)")
    pairs = [
        (split, {**row, "teacher": "transformers:judge", "shown": ways[number % 2]})
        for number, (split, row) in enumerate(taught.tables["pairs"])
    ]
    return replace(taught, tables={**taught.tables, "pairs": pairs})


def test_margins_that_were_made_in_two_ways_are_known(taught: Any) -> None:
    chosen = EmbeddingSettings(data=("groups",), hard_negatives=2)
    mixed = read_examples(two_ways(taught), chosen)
    assert mixed.mixed is not None and "as aaaa (transformers 5.9.0)" in mixed.mixed
    groups = {each.id for each in mixed.examples if each.kind == "group"}
    assert groups and set(mixed.mixed_groups) == groups
    plain = read_examples(taught, chosen)
    assert (plain.mixed, plain.mixed_groups) == (None, ()) and plain.examples == mixed.examples
    scores = {row["query_id"]: {} for _, row in taught.tables["groups"]}
    assert read_examples(two_ways(taught), chosen, scores).mixed is None, "these are a reranker's own scores"


@pytest.mark.torch
def test_differences_of_margins_that_were_made_in_two_ways_are_refused(taught: Any, tiny: str, tmp_path: Path) -> None:
    loss = EmbeddingLossSettings(margin=1.0)
    chosen = settings(data=("groups",), hard_negatives=2, loss=loss)
    with pytest.raises(UsageError, match=r"train\.embedding\.loss\.margin takes their differences"):
        run(two_ways(taught), tiny, tmp_path / "out", chosen)


def test_what_misses_a_video_is_named(taught: Any) -> None:
    data = read_examples(taught, EmbeddingSettings(data=("groups",), see=True, hard_negatives=2))
    gone = {"train-red-left": "no file"}
    rest = data.without(gone)
    assert {each.item for each in rest.left_out} >= {"train-red-left", "t-q-train-red-left"}
    assert not any(item.video and item.video.video_id in gone for each in rest.examples for item in each.items)
    assert any(len(each.negatives) == 1 and len(each.margins) == 2 for each in rest.examples)


def test_settings_that_learn_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="all terms"):
        EmbeddingSettings(loss=EmbeddingLossSettings(contrastive=0))
    with pytest.raises(ValueError, match="groups"):
        EmbeddingSettings(loss=EmbeddingLossSettings(margin=1))
    with pytest.raises(ValueError, match="mini_batch"):
        EmbeddingSettings(data=("groups",), mini_batch=2, loss=EmbeddingLossSettings(listwise=1))


def run(taught: Any, tiny: str, out: Path, chosen: TrainSettings, **more: Any) -> Any:
    from hardcut.embedder.learning import EmbedderJob, train_embedder

    return train_embedder(taught, EmbedderJob(tiny, out, taught.clips, chosen, **more))


PROBES = ["a red square moves left", "a red square moves right", "green"]
WAYS_TO_TRAIN = {
    "full on triplets": settings(),
    "lora on triplets": settings("lora"),
    "without hard negatives": settings("lora", hard_negatives=0),
    "in small batches": settings("full", mini_batch=3),
    "groups of texts": settings("lora", data=("groups",), hard_negatives=2, batch=4),
    "groups of videos": settings("full", data=("groups",), see=True, frames=4, batch=4),
    "margins": settings("lora", data=("groups",), loss=EmbeddingLossSettings(contrastive=0.5, margin=0.01)),
    "lists": settings(
        "lora", data=("groups",), hard_negatives=2, batch=4, loss=EmbeddingLossSettings(contrastive=0, listwise=1.0)
    ),
}


@pytest.mark.torch
@pytest.mark.parametrize("way", WAYS_TO_TRAIN)
def test_three_steps_saved_and_loaded(
    taught: Any, tiny: str, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sentence_transformers import SentenceTransformer

    from hardcut.embedder import learning
    from hardcut.embedder.network import kind_of, open_embedder

    made: list[Any] = []
    save = learning.save

    def noting(encoder: Any, *given: Any, **named: Any) -> None:
        made.append(encoder.encode([{"text": text} for text in PROBES], normalize_embeddings=False))
        save(encoder, *given, **named)

    monkeypatch.setattr(learning, "save", noting)
    trained = run(taught, tiny, tmp_path / "out", WAYS_TO_TRAIN[way])
    assert trained.steps >= 3 and trained.note == "" and trained.left_out in ({}, {"composed_query": 0})
    losses = [entry["loss"] for entry in trained.log if "loss" in entry]
    assert len(losses) == trained.steps and np.isfinite(losses).all()
    assert trained.validation is not None and trained.metric
    loaded = SentenceTransformer(str(tmp_path / "out"))
    assert kind_of(loaded).note is None
    found = loaded.encode([{"text": text} for text in PROBES], normalize_embeddings=False)
    assert np.allclose(found, made[0], atol=1e-5)
    before = open_embedder(tiny).encode([{"text": text} for text in PROBES], normalize_embeddings=False)
    assert np.abs(found - before).max() > 1e-4  # something was learned
    card = (tmp_path / "out" / "README.md").read_text()
    assert "last hidden" not in card and f"{trained.steps}, of" in card
    told = json.loads((tmp_path / "out" / "train.json").read_text())
    assert told["stage"] == "embedding" and told["examples"] == trained.examples
    again = run(taught, tiny, tmp_path / "out", WAYS_TO_TRAIN[way])  # what is done is not done again
    assert again == trained


@pytest.mark.torch
def test_texts_alone_leave_the_vision_tower_and_the_head_as_they_were(taught: Any, tiny: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    trained = run(taught, tiny, tmp_path / "out", settings())
    before = load_file(str(Path(tiny) / "model.safetensors"))
    after = load_file(str(tmp_path / "out" / "model.safetensors"))
    assert set(before) == set(after)
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed and not any("visual" in name or "lm_head" in name for name in changed)
    assert any("language_model.layers" in name for name in changed)
    assert trained.trainable < trained.parameters
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == ["Qwen3VLForConditionalGeneration"]


@pytest.mark.torch
def test_an_adapter_is_merged_when_asked_and_nothing_is_trained_again(taught: Any, tiny: str, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    chosen = settings("lora")
    run(taught, tiny, tmp_path / "out", chosen)
    one = SentenceTransformer(str(tmp_path / "out")).encode(PROBES)
    assert (tmp_path / "out" / "adapter_config.json").is_file()
    whole = run(taught, tiny, tmp_path / "out", chosen, whole=True)
    assert whole.whole and not (tmp_path / "out" / "adapter_config.json").exists()
    assert np.allclose(SentenceTransformer(str(tmp_path / "out")).encode(PROBES), one, atol=1e-5)
    with pytest.raises(UsageError, match="other settings or data"):
        run(taught, tiny, tmp_path / "out", settings("lora", learning_rate=1e-4))


@pytest.mark.torch
@pytest.mark.parametrize(("hardness", "mini_batch"), [(0.0, None), (5.0, None), (5.0, 2)])
def test_the_first_loss_is_that_of_the_paper_in_a_few_lines(
    taught: Any, tiny: str, tmp_path: Path, hardness: float, mini_batch: int | None
) -> None:
    """Four triplets without a text in common, in one batch, weights untouched: cosines over 0.05, positives and all
    negatives. With hardness the own negative weighs exp(hardness cos)."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    every = [(split, row) for split, row in taught.tables["triplets"] if row["anchor"].endswith("left")]
    taught = replace(taught, tables={**taught.tables, "triplets": every})
    chosen = settings(mini_batch=mini_batch, loss=EmbeddingLossSettings(hardness=hardness))
    trained = run(taught, tiny, tmp_path / "out", chosen)
    model, tokenizer = AutoModel.from_pretrained(tiny).eval(), AutoTokenizer.from_pretrained(tiny)

    def vector(text: str) -> Any:
        prompt = f"<|im_start|>user\n{text}\nSummary above sentence in one word:<|im_end|><|im_start|>assistant\n"
        with torch.no_grad():
            last = model(**tokenizer(prompt, return_tensors="pt")).last_hidden_state[0, -1]
        return torch.nn.functional.normalize(last, dim=0)

    rows = [row for split, row in every if split == "train"]
    anchors, positives, negatives = (
        torch.stack([vector(row[name]) for row in rows]) for name in ("anchor", "positive", "hard_negative")
    )
    cosines = anchors @ torch.cat([positives, negatives]).T
    own = torch.cat([torch.zeros(len(rows), len(rows)), torch.eye(len(rows))], dim=1)
    weights = torch.exp(hardness * cosines * own)
    shares = weights * torch.exp(cosines / 0.05)
    loss = -torch.log(shares.diagonal() / shares.sum(1)).mean()
    first = next(entry["loss"] for entry in trained.log if "loss" in entry)
    assert first == pytest.approx(float(loss), abs=2e-4)


@pytest.mark.torch
def test_an_interrupted_training_reaches_the_same_loss(
    taught: Any, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hardcut.embedder import learning

    chosen = settings("lora", batch=4).model_copy(update={"save_steps": 2})
    whole = run(taught, tiny, tmp_path / "whole", chosen)
    on_log = learning.ToTerminal.on_log

    def stop(self: Any, args: Any, state: Any, control: Any, **given: Any) -> None:
        on_log(self, args, state, control, **given)
        if state.global_step == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(learning.ToTerminal, "on_log", stop)
    with pytest.raises(KeyboardInterrupt):
        run(taught, tiny, tmp_path / "out", chosen)
    monkeypatch.setattr(learning.ToTerminal, "on_log", on_log)
    rest = run(taught, tiny, tmp_path / "out", chosen)
    one, other = ([entry["loss"] for entry in each.log if "loss" in entry] for each in (whole, rest))
    assert one == other and len(one) == 6 and rest.validation == whole.validation


@pytest.mark.torch
def test_four_bits_learn_too(taught: Any, tiny: str, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    from sentence_transformers import SentenceTransformer

    trained = run(taught, tiny, tmp_path / "out", settings("qlora"), whole=True)
    assert trained.steps == 3 and np.isfinite(trained.loss)
    assert SentenceTransformer(str(tmp_path / "out")).encode(PROBES).shape == (3, 64)


def test_examples_of_one_shape_are_compared() -> None:
    from hardcut.embedder.examples import Item

    text = Item("a")
    assert Example("1", "triplet", text, text, (text,)).shape == "triplet-1"
    assert Example("1", "group", text, text, (text, text), (1.0, 0.0, -1.0)).shape == "group-2-margins"


@pytest.mark.torch
def test_the_command_trains_on_taras_file_and_embeds_with_it(tiny: str, tmp_path: Path, hardcut_command: Any) -> None:
    rows = [
        f"a {colour} square moves {way},{colour} going {way},a {colour} square moves {WAYS[way == 'left']}"
        for colour in COLOURS
        for way in WAYS
    ]
    (tmp_path / "nuance.csv").write_text("\n".join(["sent0,sent1,hard_neg", *rows]) + "\n")
    (tmp_path / "train.toml").write_text('[train]\nmethod = "full"\n[train.embedding]\nbatch = 4\nepochs = 1.0\n')
    call = ("train", "embedding", tmp_path / "nuance.csv", "--model", tiny, "--out", tmp_path / "model")
    done = hardcut_command(*call, "--config", tmp_path / "train.toml")
    assert done.returncode == 0, done.stderr
    assert "8 triplet" in done.stdout and "nothing to measure on" in done.stdout
    assert (tmp_path / "model" / "model.safetensors").is_file()
    lacking = hardcut_command("train", "ranking", tmp_path, "--model", tiny, "--out", tmp_path / "x")
    assert lacking.returncode == 2
