"""MTEB: a retrieval task of each split, by its own loader; the layout with videos by `datasets`, since MTEB decodes the
first of them to log it, which takes torchcodec."""

from __future__ import annotations

from consumer import FOLDER, Shown, judged, report
from datasets import Video, load_dataset
from mteb.abstasks.retrieval_dataset_loaders import RetrievalDatasetLoader

if __name__ == "__main__":
    rows = []
    for split in ("train", "validation", "test"):
        found = RetrievalDatasetLoader(hf_repo=str(FOLDER / "mteb-texts"), revision=None, split=split).load()
        asked, documents = {row["id"]: row["text"] for row in found["queries"]}, set(found["corpus"]["id"])
        corpus = load_dataset(str(FOLDER / "mteb"), "corpus", split=split, cache_dir=str(FOLDER / "cache"))
        assert isinstance(corpus.features["video"], Video) and "text" not in corpus.column_names
        paths = {row["id"]: row["video"]["path"] for row in corpus.cast_column("video", Video(decode=False))}
        assert documents == set(paths)
        for query, judgments in found["relevant_docs"].items():
            assert set(found["top_ranked"][query]) == set(judgments)
            rows += [Shown(split, asked[query], (paths[id],)) for id in judgments]
    report("mteb", {"mteb": {**judged(rows), "a video is a video": "yes, or a text of it"}})
