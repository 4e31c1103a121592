"""Does an embedder learn nuances from a run's triplets? Three worlds, each in turn unseen.

    python -m benchmarks.nuance_embedding --work DIR [--clips 40] [--epochs 8]

Worlds are rendered, run with the teacher `evidence` and exported with triplets. On the triplets and groups of two of
them (texts alone; a caption stands for its video) a small language model is trained from random weights: with hard
negatives, and the same without. On the third, whose words it may not know, it is measured beside BM25 and the untrained
model: of the triplets of each nuance the share whose positive is nearer to the anchor than the hard negative (chance:
one half), and nDCG@10 of its queries over the captions of its videos. The result goes to
benchmarks/results/nuance_embedding.json.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from hardcut.engine.files import atomic_writer
from hardcut.publish.dataset import Dataset
from hardcut.reranker.measures import ndcg
from hardcut.schemas.settings import MediaSettings
from hardcut.schemas.training import EmbeddingSettings, TrainSettings
from hardcut.synth.candidates.first_stage import Bm25

SEEDS = (911, 912, 913)
NUANCES = ("temporal", "negation", "composed", "facet")
RESULT = Path(__file__).parent / "results" / "nuance_embedding.json"
Row = dict[str, Any]


@dataclass(frozen=True)
class Together:
    """Several datasets as one, all of whose rows are trained on."""

    datasets: Sequence[Dataset]

    @property
    def configs(self) -> tuple[str, ...]:
        return ("triplets", "groups", "queries", "pairs", "captions")

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, Row]]:
        for dataset in self.datasets:
            for _, row in dataset.rows(config, columns):
                yield "train", row


def make_dataset(work: Path, seed: int, clips: int) -> Dataset:
    """The dataset of one world; made once."""
    import hardcut
    from hardcut.data.render import render_world
    from hardcut.data.world import make_world

    out = work / f"data{seed}"
    if not (out / "hardcut.json").exists():
        if not (work / str(seed)).exists():
            render_world(make_world(seed, clips=clips, scripts=("latin",)), work / str(seed))
        overrides: dict[str, Any] = {"triplets.nuances": NUANCES, "export.licence": "cc0-1.0"}
        run = hardcut.run(work / str(seed) / "videos", work / f"run{seed}", cache=work / "cache", **overrides)
        run.export(out)
    return Dataset(out)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nuance_embedding", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="videos, runs and models: kept, so that it can go on")
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--epochs", type=float, default=8.0)
    parser.add_argument("--worlds", action="store_true", help="make the datasets alone: needs no torch")
    asked = parser.parse_args()
    datasets = {seed: make_dataset(asked.work, seed, asked.clips) for seed in SEEDS}
    if asked.worlds:
        return
    results: dict[str, Any] = {"clips": asked.clips, "epochs": asked.epochs, "unseen": {}}
    for seed in SEEDS:
        seen = Together([datasets[other] for other in SEEDS if other != seed])
        results["unseen"][str(seed)] = arms(asked.work, seed, seen, datasets[seed], asked.epochs)
        print(json.dumps({seed: results["unseen"][str(seed)]}, indent=1), flush=True)
        results["mean"] = means(results["unseen"].values())
        with atomic_writer(RESULT) as file:
            json.dump(results, file, indent=1)
            file.write("\n")


def arms(work: Path, seed: int, seen: Together, unseen: Dataset, epochs: float) -> dict[str, Any]:
    """The figures of each arm on one unseen world."""
    import torch

    from hardcut.embedder.learning import EmbedderJob, train_embedder
    from hardcut.embedder.network import open_embedder
    from hardcut.reranker.clips import Clips
    from hardcut.reranker.tiny import build

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    base = work / f"base{seed}"
    if not base.exists():
        names = ("anchor", "positive", "hard_negative")
        corpus = [row[name] for _, row in seen.rows("triplets", names) for name in names]
        build(base, [*corpus, *(row["caption"] for _, row in seen.rows("captions", ("caption",)))] * 2, SIZE, seed)
    found = {"bm25": figures(unseen, words(unseen)), "untrained": figures(unseen, vectors(open_embedder(str(base))))}
    for name, negatives in (("without hard negatives", 0), ("with hard negatives", 2)):
        embedding = EmbeddingSettings(
            data=("triplets", "groups"), epochs=epochs, learning_rate=2e-3, batch=64, hard_negatives=negatives
        )
        settings = TrainSettings(
            method="full", warmup=0.1, seed=seed, gradient_checkpointing=False, save_steps=10_000, embedding=embedding
        )
        out = work / f"{name.replace(' ', '-')}-{seed}"
        started = time.process_time()
        trained = train_embedder(seen, EmbedderJob(str(base), out, Clips(work, work, MediaSettings()), settings))
        model = vectors(open_embedder(str(out)))
        cost = {"steps": trained.steps, "cpu_s": round(time.process_time() - started)}
        found[name] = {**figures(unseen, model), **cost, "examples": trained.examples}
    return found


def _size() -> Any:
    try:
        from hardcut.reranker.tiny import Size
    except ImportError:  # the datasets are made where no torch is
        return None
    return Size(vocabulary=1200)


SIZE = _size()


def vectors(encoder: Any) -> Any:
    """Scores of texts against texts, [queries, documents]: cosines."""
    from hardcut.embedder.encoders import LocalEncoder, Shown

    local = LocalEncoder(encoder, 32)

    def encoded(texts: Sequence[str]) -> Any:
        import numpy as np

        parts = [texts[at : at + 32] for at in range(0, len(texts), 32)]
        return np.concatenate([local.encode([Shown(text) for text in part], "query") for part in parts])

    def scores(queries: Sequence[str], documents: Sequence[str]) -> Any:
        return encoded(queries) @ encoded(documents).T

    return scores


def words(dataset: Dataset) -> Any:
    """The same by BM25."""
    from hardcut.schemas.text.clean import tokens

    def scores(queries: Sequence[str], documents: Sequence[str]) -> Any:
        import numpy as np

        names = [f"{number:06d}" for number in range(len(documents))]
        index = Bm25(zip(names, map(tokens, documents), strict=True))
        found = np.zeros((len(queries), len(documents)))
        for at, query in enumerate(queries):
            for hit in index.search(query, len(documents)):
                found[at, int(hit.video_id)] = hit.score
        return found

    return scores


def figures(dataset: Dataset, scores: Any) -> dict[str, Any]:
    """Triplets told apart, by nuance, and nDCG@10 of the queries that are no counterfactual over all captions. A tie
    counts as half."""
    told: defaultdict[str, list[float]] = defaultdict(list)
    rows = [row for _, row in dataset.rows("triplets", ("nuance", "anchor", "positive", "hard_negative"))]
    texts = sorted({row[side] for row in rows for side in ("positive", "hard_negative")})
    anchors = sorted({row["anchor"] for row in rows})
    matrix = scores(anchors, texts)
    place, row_of = {text: at for at, text in enumerate(texts)}, {text: at for at, text in enumerate(anchors)}
    for row in rows:
        one, other = (matrix[row_of[row["anchor"]], place[row[side]]] for side in ("positive", "hard_negative"))
        told[row["nuance"]].append(1.0 if one > other else 0.5 if one == other else 0.0)
    shares = {nuance: round(fmean(of), 3) for nuance, of in sorted(told.items())}
    return {
        "told_apart": shares,
        "triplets": {nuance: len(of) for nuance, of in sorted(told.items())},
        "plain_ndcg@10": round(_plain(dataset, scores), 3),
    }


def _plain(dataset: Dataset, scores: Any) -> float:
    captions = {row["video_id"]: row["caption"] for _, row in dataset.rows("captions", ("video_id", "caption"))}
    originals = {
        row["query_id"]: row["query"]
        for _, row in dataset.rows("queries", ("query_id", "query", "variant", "reference_video_id"))
        if row["variant"] == "original" and row["reference_video_id"] is None
    }
    qrels: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for _, row in dataset.rows("pairs", ("query_id", "video_id", "label")):
        if row["query_id"] in originals and row["video_id"] in captions:
            qrels[row["query_id"]][row["video_id"]] = row["label"]
    asked = sorted(query for query, grades in qrels.items() if max(grades.values()) > 0)
    videos = sorted(captions)
    found = scores([originals[query] for query in asked], [captions[video] for video in videos])
    run = {
        query: {video: float(found[at, place]) for place, video in enumerate(videos)} for at, query in enumerate(asked)
    }
    return ndcg({query: qrels[query] for query in asked}, run)


def means(folds: Any) -> dict[str, Any]:
    """Each arm's figures, over the unseen worlds."""
    every = list(folds)
    return {
        arm: {
            **{nuance: round(fmean(fold[arm]["told_apart"][nuance] for fold in every), 3) for nuance in NUANCES},
            "plain_ndcg@10": round(fmean(fold[arm]["plain_ndcg@10"] for fold in every), 3),
        }
        for arm in every[0]
    }


if __name__ == "__main__":
    main()
