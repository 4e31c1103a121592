"""Is a reranker that is trained on negatives of a dense first stage no worse than one on BM25's?

    python -m benchmarks.dense_negatives --work DIR [--seeds N ...]

DIR is that of benchmarks/nuance_embedding, whose embedder with hard negatives must be trained there. The run of a seed
is embedded by it and mined once more with these vectors in place of BM25. Rerankers of the curriculum's settings, which
start from the same network that has learned captions, are trained on groups of the one dataset and of the other: of
the same queries with the same positives, so that the negatives are all that differs. They rerank what BM25 over
perfect captions finds among the clips of the test split, and what the embedder finds.

The result goes to benchmarks/results/dense_negatives.json, arm by arm. The same command goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.curriculum.footage import MEDIA
from benchmarks.curriculum.results_table import figures
from benchmarks.curriculum.shipped import clips_of
from benchmarks.curriculum.wordings import read
from benchmarks.curriculum.world import Part, World
from benchmarks.nuance_embedding import EPOCHS, RATE, Bench, Vectors
from hardcut.engine.files import atomic_writer
from hardcut.pipeline.embed import Embedding, embed
from hardcut.publish.dataset import Dataset
from hardcut.reranker.clips import Clips
from hardcut.schemas.ids import digest
from hardcut.schemas.trec import Run, ranking

FIRST_STAGES = ("bm25", "dense")
GROUPS = 2400
"""That are trained on, each once: 300 steps of eight."""
HARD_NEGATIVES = 1
RESULT = Path(__file__).parent / "results" / "dense_negatives.json"


Key = tuple[str, str]
"""Of a group: its query and its positive."""


@dataclass(frozen=True)
class Shared:
    """A dataset with some of its training groups, in one order for all datasets, and no validation."""

    dataset: Dataset
    keys: Sequence[Key]

    @property
    def configs(self) -> tuple[str, ...]:
        return tuple(self.dataset.configs)

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """(split, row) of a config."""
        rows = [row for split, row in self.dataset.rows(config) if split == "train"]
        if config == "groups":
            by_key = {key_of(row): row for row in rows}
            rows = [by_key[key] for key in self.keys]
        for row in rows:
            yield "train", row if columns is None else {name: row[name] for name in columns}


def key_of(group: Mapping[str, Any]) -> Key:
    return group["query_id"], group["positive"]["video_id"]


def shared(datasets: Iterable[Dataset]) -> list[Key]:
    """The keys of groups of training that all datasets have, drawn by a digest."""
    keys = ({key_of(row) for split, row in each.rows("groups") if split == "train"} for each in datasets)
    return sorted(set.intersection(*keys), key=lambda key: digest(*key))[:GROUPS]


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


def found_by(bench: Bench, world: World, part: Part) -> Run:
    """What the embedder finds among the clips of a split: as many candidates of each query as BM25's."""
    vectors = Vectors(bench.model(HARD_NEGATIVES), world, bench.work / "frames")
    scores = vectors.of_texts([asked.text for asked in part.queries.values()]) @ vectors.of_clips(part).T
    run = {}
    for query, row in zip(part.queries, scores, strict=True):
        every = dict(zip(part.stories, map(float, row), strict=True))
        run[query] = {video: every[video] for video in ranking(every)[: len(part.first[query])]}
    return run


def measured(bench: Bench, first_stage: str) -> dict[str, Any]:
    """The figures of a reranker that was trained on negatives of a first stage."""
    from benchmarks.curriculum.arms import ARMS, SIZES
    from benchmarks.curriculum.arms import Bench as Reranking
    from hardcut.reranker.training import TrainJob, train

    world, test = bench.world, bench.world.parts["test"]
    made = {each: dataset_of(bench, world, each) for each in FIRST_STAGES}
    keys = shared(dataset for dataset, _ in made.values())
    given, clips = Shared(made[first_stage][0], keys), made[first_stage][1]
    reranking = Reranking(bench.work, SIZES["small-t1"], world, bench.seed)
    out = bench.work / f"reranker-{first_stage}-{bench.seed}-{len(keys)}"
    captioner = str(bench.work / "captioner")
    settings = reranking.ranking(ARMS["two blocks"], 1.0)
    job = TrainJob("ranking", captioner, out, Clips(clips, bench.work / "frames", MEDIA), settings, whole=True)
    done = train(given, job)
    found: dict[str, Any] = {"groups": len(keys), "steps": done.steps}
    groups = [row for _, row in given.rows("groups")]
    found["negatives_with_a_part"] = with_a_part(world.parts["train"], groups)
    for name, first in {"bm25": test.first, "dense": found_by(bench, world, test)}.items():
        part = replace(test, first=first)
        found[f"candidates of {name}"] = told(figures(part, reranking.rank(out, part, f"-{name}")))
    return found


def told(found: Mapping[str, Any]) -> dict[str, float]:
    """nDCG@10, whole and by kind, and the twins."""
    named = {"ndcg@10": found["ndcg"], **found["kinds"], "chiral": found["chiral"], "negated": found["negated"]}
    return {name: round(each["mean"], 3) for name, each in named.items()}


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
