"""The one-word prompt is TARA's, in the template of the model, with the true times of frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardcut.teacher.local.pair_prompt import DecodedClip

pytestmark = pytest.mark.torch

# TARA's own texts (modeling_tara.py), as a user's message of the tiny model's chat format.
TEXT = "<sent>\nSummary above sentence in one word:"
VIDEO = "<video>\nSummary above video in one word:"
EDIT = (
    "Source video: <video>\nEdit instruction: <sent>\n"
    "Look at the attached video carefully. The provided text is instruction to edit the video. "
    "Imagine this edit instruction being applied to the provided video frame.\n"
    "Summarize the resulting edited video in one word:"
)
CLIP = DecodedClip(np.full((8, 64, 64, 3), 90, dtype=np.uint8), tuple(number * 0.5 for number in range(8)))


@pytest.fixture(scope="module")
def encoder(tiny: str) -> Any:
    from hardcut.embedder.network import open_embedder

    return open_embedder(tiny)


def rendered(encoder: Any, item: Any) -> str:
    from hardcut.embedder.encoders import TRUE_TIMES, model_input

    found = encoder.preprocess([model_input(item, named=True)], processing_kwargs=TRUE_TIMES)
    return str(encoder.tokenizer.decode(found["input_ids"][0]))


def chat(text: str) -> str:
    return f"<|im_start|>user\n{text}<|im_end|><|im_start|>assistant\n"


def frames(text: str) -> str:
    """A rendered text with its frames as TARA's placeholder; their times are checked apart."""
    before, _, rest = text.partition("<|vision_start|>")
    return before + "<video>" + rest.rpartition("<|vision_end|>")[2]


def test_texts_videos_and_edits_are_asked_as_tara_asks(encoder: Any) -> None:
    from hardcut.embedder.encoders import Shown

    assert rendered(encoder, Shown("a red square")) == chat(TEXT.replace("<sent>", "a red square"))
    seen = rendered(encoder, Shown(clip=CLIP))
    assert frames(seen) == chat(VIDEO)
    assert frames(rendered(encoder, Shown("in reverse", CLIP))) == chat(EDIT.replace("<sent>", "in reverse"))
    times = [float(part.partition(" seconds>")[0]) for part in seen.split("<") if "seconds>" in part]
    assert times == [0.2, 1.2, 2.2, 3.2]  # all eight frames, in twos, at the means of their times


def test_a_text_can_neither_write_control_tokens_nor_be_fetched(encoder: Any) -> None:
    from hardcut.embedder.encoders import Shown

    ids = encoder.preprocess([{"text": "a <|im_end|> b"}])["input_ids"][0].tolist()
    assert ids.count(encoder.tokenizer.convert_tokens_to_ids("<|im_end|>")) == 1
    assert "http://127.0.0.1:9/a.png\n" in rendered(encoder, Shown("http://127.0.0.1:9/a.png"))


def test_vectors_are_the_last_tokens_of_a_manual_pass(encoder: Any, tiny: str) -> None:
    """Through transformers alone: the last hidden state of the last token, at length 1."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from hardcut.embedder.encoders import LocalEncoder, Shown

    texts = ["a red square moves left", "blue"]
    model, tokenizer = AutoModel.from_pretrained(tiny).eval(), AutoTokenizer.from_pretrained(tiny)
    made = LocalEncoder(encoder, 2).encode([Shown(text) for text in texts], "query")
    for text, vector in zip(texts, made, strict=True):
        given = tokenizer(chat(TEXT.replace("<sent>", text)), return_tensors="pt")
        with torch.no_grad():
            last = model(**given).last_hidden_state[0, -1]
        assert np.allclose(vector, torch.nn.functional.normalize(last, dim=0).numpy(), atol=1e-5)


def test_a_saved_folder_carries_prompt_and_pooling(encoder: Any, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    from hardcut.embedder.encoders import TRUE_TIMES, LocalEncoder, Shown, model_input
    from hardcut.embedder.network import kind_of

    encoder.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    again = SentenceTransformer(str(tmp_path / "saved"))
    assert kind_of(again).note is None
    items = [Shown("a red square"), Shown("in reverse", CLIP)]
    given = [model_input(item, named=True) for item in items]
    made = again.encode(given, processing_kwargs=TRUE_TIMES, normalize_embeddings=False)
    assert np.allclose(made, LocalEncoder(encoder, 2).encode(items, "query"), atol=1e-6)


def test_a_reranker_is_a_base_like_any_other_model(tiny: str, tmp_path: Path) -> None:
    """It has the folder of a CrossEncoder, which sentence-transformers opens with the mean of another prompt."""
    import torch

    from hardcut.embedder.encoders import LocalEncoder, Shown
    from hardcut.embedder.network import kind_of, open_embedder
    from hardcut.reranker.model import make_trainable, open_reranker, save
    from hardcut.schemas.training import TrainSettings

    settings = TrainSettings(dtype="float32", gradient_checkpointing=False)
    made = {"tiny": LocalEncoder(open_embedder(tiny), 1).encode([Shown("a red square")], "query")}
    for whole in (True, False):
        reranker = open_reranker(tiny, None, settings)
        torch.manual_seed(0)
        make_trainable(reranker, settings, "default")
        for name, weight in reranker.network.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.3)
        save(reranker, tmp_path / str(whole), whole=whole)
        found = open_embedder(str(tmp_path / str(whole)))
        assert kind_of(found).note is None
        made[str(whole)] = LocalEncoder(found, 1).encode([Shown("a red square")], "query")
    assert np.allclose(made["True"], made["False"], atol=1e-5)
    assert np.abs(made["True"] - made["tiny"]).max() > 0.01


def test_another_pooling_or_prompt_is_told() -> None:
    from hardcut.embedder.network import Kind

    assert Kind("lasttoken", True).note is None
    assert "videos in other colours in vLLM" in (Kind("lasttoken", True, alike=False).note or "")
    assert Kind("mean", False).note == (
        "pools by mean and not by the last token and has a prompt of its own and not the one-word prompt"
    )


def test_the_command_embeds_and_searches(world: Any, tiny: str, tmp_path: Path, hardcut_command: Any) -> None:
    """From a dataset's folder, by a process of its own, as a user does."""
    import json

    from hardcut.publish._parquet import ConfigWriter
    from hardcut.publish.dataset import FILES, digests

    folder = tmp_path / "dataset"
    with ConfigWriter(folder / "data", "corpus", ["train"]) as writer:
        for row in {row["video_id"]: row for split, row in world.tables["pairs"] if split == "train"}.values():
            facts = {"size_bytes": 1, "duration_s": 2.0, "fps": 3.0, "width": 96, "height": 64, "codec": "h264"}
            more = {"has_audio": False, "complete": True, "group": "g", "licence": None, "speech": None, "look": None}
            named = {name: row[name] for name in ("video_id", "video_path", "sha256")}
            writer.add("train", {**named, **facts, **more, "metadata": []})
    with ConfigWriter(folder / "data", "queries", ["train"]) as writer:
        for split, row in world.tables["queries"]:
            if split == "train":
                blank = dict.fromkeys(
                    ("length", "style", "source_video_id", "parent_query_id", "teacher", "well_formed")
                )
                hard = {"score": None, "unwatched": None, **row["difficulty"]}
                writer.add(
                    "train", {**row, **blank, "variant": "original", "facets": [], "difficulty": hard, "flags": []}
                )
    rows = {"corpus": {"train": 8}, "queries": {"train": 8}}
    (folder / "hardcut.json").write_text(json.dumps({"rows": rows, FILES: digests(folder), "settings": {}}))
    videos = tmp_path / "videos"
    videos.mkdir()
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "frames").symlink_to(world.clips.store)
    call = ("embed", folder, "--model", tiny, "--out", tmp_path / "v", "--cache", cache)
    refused = hardcut_command(*call)
    assert refused.returncode == 2 and "--videos" in refused.stderr
    done = hardcut_command(*call, "--videos", videos, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["vectors"] == {"queries": 8, "videos": 8} and told["made"] == 16 and told["dimension"] == 64
    found = hardcut_command("search", tmp_path / "v", "--out", tmp_path / "run.trec", "--depth", "3")
    assert found.returncode == 0 and "8 videos for 8 queries" in found.stdout, found.stderr
    assert len((tmp_path / "run.trec").read_text().splitlines()) == 24
