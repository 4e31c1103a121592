"""Is a reranker that is trained on negatives of a dense first stage no worse than one on BM25's?

    python -m benchmarks.dense_negatives --work DIR [--seeds N ...]

DIR is that of benchmarks/nuance_embedding, whose embedder with hard negatives must be trained there. The run of a seed
is embedded by it and mined once more with these vectors in place of BM25. Rerankers of the curriculum's settings, which
start from the same network that has learned captions, are trained on equally many groups of the one dataset and of the
other, and rerank what BM25 over perfect captions finds among the clips of the test split.

The result goes to benchmarks/results/dense_negatives.json, arm by arm. The same command goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.curriculum.results_table import figures
from benchmarks.curriculum.shipped import clips_of
from benchmarks.curriculum.wordings import read
from benchmarks.curriculum.world import Part, World
from benchmarks.nuance_embedding import EPOCHS, MEDIA, RATE, Bench
from hardcut.engine.files import atomic_writer
from hardcut.pipeline.embed import Embedding, embed
from hardcut.publish.dataset import Dataset
from hardcut.reranker.clips import Clips
from hardcut.schemas.ids import digest

FIRST_STAGES = ("bm25", "dense")
GROUPS = 2400
"""That are trained on, each once: 300 steps of eight."""
HARD_NEGATIVES = 1
RESULT = Path(__file__).parent / "results" / "dense_negatives.json"


@dataclass(frozen=True)
class Equal:
    """A dataset with so many of its training groups, drawn by a digest, and no validation."""

    dataset: Dataset

    @property
    def configs(self) -> tuple[str, ...]:
        return tuple(self.dataset.configs)

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """(split, row) of a config."""
        rows = [row for split, row in self.dataset.rows(config) if split == "train"]
        if config == "groups":
            rows = sorted(rows, key=lambda row: digest(row["group_id"]))[:GROUPS]
        for row in rows:
            yield "train", row if columns is None else {name: row[name] for name in columns}


def dataset_of(bench: Bench, world: World, first_stage: str) -> tuple[Dataset, Path]:
    """What a run gives whose negatives were mined so, and the folder of its clips."""
    shipped = bench.work / f"shipped-{bench.seed}"
    if first_stage == "bm25":
        return bench.dataset(world), clips_of(shipped)
    vectors = bench.work / f"vectors-{bench.seed}"
    model = str(bench.model(HARD_NEGATIVES))
    embed(Embedding(shipped / "run", model, vectors, ("videos", "queries"), clips_of(shipped), cache=bench.work))
    dataset = bench.dataset(world, "dense", first_stage=str(vectors))
    return dataset, clips_of(bench.work / f"dense-{bench.seed}")


def with_a_part(part: Part, groups: Sequence[dict[str, Any]]) -> float:
    """Of the mined negatives of groups, the share that shows one of the things that their query asks for."""
    told = []
    for row in groups:
        wanted = read(row["query"]).wanted
        for negative in row["negatives"]:
            halves = part.stories[negative["video_id"]].halves
            told.append(any(half.has(each) for half in halves for each in wanted))
    return round(fmean(told), 3)


def measured(bench: Bench, first_stage: str) -> dict[str, Any]:
    """The figures of a reranker that was trained on negatives of a first stage."""
    from benchmarks.curriculum.arms import ARMS, SIZES
    from benchmarks.curriculum.arms import Bench as Reranking
    from hardcut.reranker.training import TrainJob, train

    world = bench.world
    dataset, clips = dataset_of(bench, world, first_stage)
    groups = [row for _, row in Equal(dataset).rows("groups")]
    reranking = Reranking(bench.work, SIZES["small-t1"], world, bench.seed)
    out = bench.work / f"reranker-{first_stage}-{bench.seed}"
    captioner = str(bench.work / "captioner")
    settings = reranking.ranking(ARMS["two blocks"], 1.0)
    job = TrainJob("ranking", captioner, out, Clips(clips, bench.work / "frames", MEDIA), settings, whole=True)
    done = train(Equal(dataset), job)
    found = figures(world.parts["test"], reranking.rank(out, world.parts["test"]))
    kinds = {kind: round(each["mean"], 3) for kind, each in found["kinds"].items()}
    return {
        "ndcg@10": round(found["ndcg"]["mean"], 3), **kinds,
        "chiral": round(found["chiral"]["mean"], 3), "negated": round(found["negated"]["mean"], 3),
        "groups": len(groups), "steps": done.steps,
        "negatives_with_a_part": with_a_part(world.parts["train"], groups),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dense_negatives", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="the folder of benchmarks/nuance_embedding")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=float, default=EPOCHS, help="of the embedder, as it was trained there")
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    for seed in asked.seeds:
        for first_stage in FIRST_STAGES:
            results = json.loads(asked.out.read_text()) if asked.out.exists() else {}
            if first_stage in results.get(str(seed), {}):
                continue
            found = measured(Bench(asked.work, seed, asked.epochs, asked.rate), first_stage)
            results.setdefault(str(seed), {})[first_stage] = found
            with atomic_writer(asked.out) as file:
                json.dump(results, file, indent=1)
                file.write("\n")
            print(seed, first_stage, json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
