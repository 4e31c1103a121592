"""Tevatron: its own data sets for training and encoding, from a checkout: `python read_tevatron.py EXPORTS CHECKOUT`.

The registry has a version of 2022 alone, which knows no videos.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

from consumer import FOLDER, TRUTH, Shown, blob, judged, report

CODE = Path(sys.argv[2]) / "src"
sys.path.insert(0, str(CODE))
from tevatron.retriever.arguments import DataArguments  # noqa: E402
from tevatron.retriever.dataset import EncodeDataset, TrainDataset  # noqa: E402


def files(name: str, **more: object) -> DataArguments:
    return DataArguments(
        dataset_path=str(FOLDER / "tevatron" / name), dataset_cache_dir=str(FOLDER / "cache"), assets_path="/", **more
    )


def encoded(arguments: DataArguments, count: int) -> dict[str, tuple[str, str | None]]:
    """Text and video of each id."""
    rows = EncodeDataset(arguments)
    assert len(rows) == count
    return {id: (text, video) for id, text, image, video, audio in (rows[at] for at in range(count))}


if __name__ == "__main__":
    counts, shown = TRUTH["counts"]["tevatron"], []
    corpus = encoded(files("corpus.jsonl"), counts["corpus.jsonl"])
    assert all(not text and Path(video or "").is_file() for text, video in corpus.values()), "a document is a video"
    trainer = SimpleNamespace(state=SimpleNamespace(epoch=0), args=SimpleNamespace(seed=0))
    for split in ("train", "validation", "test"):
        name = f"{split}.queries.jsonl"
        asked = encoded(files(name, encode_is_query=True), counts[name])
        arguments = files(f"{split}.jsonl", train_group_size=3, corpus_name="json")
        arguments.corpus_path = str(FOLDER / "tevatron" / "corpus.jsonl")
        groups = TrainDataset(arguments, trainer)
        assert len(groups) == counts[f"{split}.jsonl"]
        for at in range(len(groups)):
            (query, *of_query), documents = groups[at]
            assert of_query == [None, None, None] and query in {text for text, _ in asked.values()}
            assert [text for text, *_ in documents] == ["", "", ""], "nothing but the video is told of a document"
            shown.append(Shown(split, query, tuple(video for _, _, video, _ in documents)))
    report("Tevatron", {"tevatron": judged(shown)}, blob(CODE / "tevatron" / "retriever" / "dataset.py"))
