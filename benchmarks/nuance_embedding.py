"""Does an embedder learn nuances from a run's triplets and counterfactuals? With hard negatives, or none.

    python -m benchmarks.nuance_embedding --work DIR [--seeds N ...]

The worlds are those of benchmarks/curriculum: clips of two halves that have nearly the same words in another order. The
clips of training go through `hardcut run --triplets` and `hardcut export`, with the scripted teacher. A small Qwen3-VL
that has learned captions of other clips is trained, with videos shown: with hard negatives, and on the same examples
without. It is measured on the clips of the test split, which share no story and no backdrop with them, by queries whose
truth is known:

- chiral: is a clip that answers nearer to the query than the same pictures in reverse? Chance is one half.
- negated: nearer than a clip that has all that is wanted, and with it what is excluded?
- composed: a caption and an edit; is the edited clip nearer than the unedited one?
- plain: nDCG@10 of what shows two things, whatever the order, over all clips of the split.
- negatives with a part: of the first six clips that do not answer a query, the share that shows one of its things.

The result goes to benchmarks/results/nuance_embedding.json, arm by arm. The same command goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.curriculum.footage import MEDIA
from benchmarks.curriculum.shipped import clips_of, make_dataset, words_of
from benchmarks.curriculum.stories import KINDS, Asked, Story
from benchmarks.curriculum.twins import chiral, negated
from benchmarks.curriculum.wordings import read
from benchmarks.curriculum.world import HARD, Part, Scale, World, blocks_about, make_world
from hardcut.engine.files import atomic_writer
from hardcut.publish.dataset import Dataset
from hardcut.reranker.clips import Clips
from hardcut.reranker.measures import ndcg
from hardcut.schemas.ids import digest
from hardcut.schemas.training import EmbeddingLossSettings, EmbeddingSettings, PerceptionSettings, TrainSettings
from hardcut.schemas.trec import Run, ranking
from hardcut.schemas.triplets import NUANCES, composed_anchor

SEEDS = (0, 1, 2)
SCALE = Scale((100, 2, 12), (2, 1, 4), 1)
"""With 40 families of training, blocks of training were told apart in all cases and those of test by chance."""
DEVELOPED = 7
"""The seed by which steps and rates were chosen. It is not judged."""
CAPTIONED, APART = Scale((250, 1, 1), (1, 1, 1), 1), 1_000
"""What the base learned captions of: clips that no run sees, and of which no world has a story or a backdrop."""
CANDIDATES = 4
"""Mined for a query: of more, groups would be made that are not used."""
ARMS = {"without hard negatives": 0, "with hard negatives": 1}
ONE_IN = {"triplets": 64, "groups": 4}
EPOCHS, RATE, HARDNESS = 12.0, 1e-3, 5.0
ALL = ("bm25", "base", *ARMS)
PHRASES = ("Summary above sentence in one word:", "Summary above video in one word:")
"""What the one-word prompt repeats: a token each."""
RESULT = Path(__file__).parent / "results" / "nuance_embedding.json"
_BATCH, _AT_ONCE = 16, 32
"""Examples of a step, and how many are encoded at once for measuring. With 16 more is learned in the same time."""
_TIE = 1e-5
"""Scores this near are equal: BM25 adds the same words up in another order."""


@dataclass(frozen=True)
class Some:
    """A dataset with one in so many of its groups and sets of triplets, by config: of each about as many as of blocks,
    which ride with every group of their video. Groups whose first negative shows what their query denies are all
    there."""

    dataset: Dataset
    one_in: Mapping[str, int]
    stories: Mapping[str, Story]

    @property
    def configs(self) -> tuple[str, ...]:
        return tuple(self.dataset.configs)

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """(split, row) of a config. There is no validation: the last checkpoint is the model."""
        whole = {"triplets": "set_id", "groups": "group_id"}
        for split, row in self.dataset.rows(config):
            if split != "train":
                continue
            denied = config == "groups" and self._shows_denied(row)
            if config not in whole or denied or int(digest(row[whole[config]])[:8], 16) % self.one_in[config] == 0:
                yield split, row if columns is None else {name: row[name] for name in columns}

    def _shows_denied(self, group: Mapping[str, Any]) -> bool:
        """By the first negative, the only one that is trained on."""
        asked = read(group["query"])
        return any(shows_denied(asked, self.stories[each["video_id"]]) for each in group["negatives"][:1])


def shows_denied(asked: Asked, story: Story) -> bool:
    """Whether a clip shows all that is wanted, and with it what the query denies."""
    wanted = replace(asked, without=None)
    return asked.without is not None and wanted.answered_by(story) and not asked.answered_by(story)


@dataclass(frozen=True)
class Bench:
    """One seed: where things lie."""

    work: Path
    seed: int
    epochs: float
    rate: float

    @property
    def world(self) -> World:
        return make_world(self.work / f"world-{self.seed}" / "videos", SCALE, self.seed, self.captioned.stories)

    @property
    def captioned(self) -> World:
        """The clips of the base, which is one for all seeds, as a pre-trained model would be."""
        return make_world(self.work / "captions" / "videos", CAPTIONED, DEVELOPED + APART)

    def dataset(self, world: World, name: str = "shipped", **further: Any) -> Dataset:
        """What run and export make of the clips of training, under `name`; `further` are arguments of the run."""
        asked: dict[str, Any] = {
            "triplets.nuances": NUANCES, "queries.composed": 2, "negatives.per_query": CANDIDATES,
            "export.licence": "cc0-1.0",
        }  # fmt: skip
        return make_dataset(world, self.work / f"{name}-{self.seed}", **asked, **further)

    def base(self, dataset: Dataset) -> Path:
        """The network that both arms start from: of random weights, it has learned captions, as stage 1 of the
        curriculum does. A vector is the mean over its tokens. With the last one the trials on the seed of
        development were slower; they differed in rate and mix too."""
        from sentence_transformers.sentence_transformer.modules import Pooling

        from benchmarks.curriculum import network
        from hardcut.embedder.network import MODULES, open_embedder
        from hardcut.reranker.training import TrainJob, train

        out = self.work / "base"
        if (out / MODULES).exists():
            return out
        shown, random, captioner = self.captioned, self.work / "random", self.work / "captioner"
        if not (random / "processor_config.json").exists():
            words = shown.words | words_of(dataset)
            network.build(random, words, network.Network(), DEVELOPED, (*network.PHRASES, *PHRASES))
        captions = PerceptionSettings(frames=MEDIA.max_frames, epochs=1, learning_rate=2e-3, batch=16, accumulate=1)
        settings = self._settings(seed=DEVELOPED, perception=captions)
        clips = Clips(shown.root, self.work / "frames", MEDIA)
        train(shown, TrainJob("perception", str(random), captioner, clips, settings, whole=True))
        encoder = open_embedder(str(captioner))
        encoder[1] = Pooling(encoder[0].get_embedding_dimension(), pooling_mode="mean")
        encoder.save_pretrained(str(out), create_model_card=False)
        return out

    def _settings(self, **named: Any) -> TrainSettings:
        return TrainSettings(
            method="full", dtype="float32", warmup=0.05, gradient_checkpointing=False, save_steps=1_000_000, **named
        )

    def model(self, negatives: int) -> Path:
        """The folder of an arm's model."""
        return self.work / f"{negatives}-hard-negatives-{self.seed}-{self.epochs:g}-{self.rate:g}"

    def trained(self, base: Path, dataset: Dataset, world: World, negatives: int) -> tuple[Path, dict[str, Any]]:
        """An arm's model, and what training it took."""
        import torch

        from hardcut.embedder.learning import EmbedderJob, train_embedder

        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        embedding = EmbeddingSettings(
            data=("triplets", "groups"), see=True, frames=MEDIA.max_frames, epochs=self.epochs, batch=_BATCH,
            learning_rate=self.rate, hard_negatives=negatives, counterfactuals=8,
            loss=EmbeddingLossSettings(hardness=HARDNESS),
        )  # fmt: skip
        settings = self._settings(seed=self.seed, embedding=embedding)
        out = self.model(negatives)
        clips = Clips(clips_of(self.work / f"shipped-{self.seed}"), self.work / "frames", MEDIA)
        started = time.process_time()
        given = Some(dataset, ONE_IN, world.parts["train"].stories)
        done = train_embedder(given, EmbedderJob(str(base), out, clips, settings))
        spent = round(time.process_time() - started)
        return out, {"steps": done.steps, "loss": done.loss, "examples": done.examples, "cpu_s": spent}


class Vectors:
    """A model's vectors of texts and of the clips of a split."""

    def __init__(self, model: Path, world: World, store: Path) -> None:
        from hardcut.embedder.encoders import LocalEncoder
        from hardcut.embedder.network import open_embedder

        self._encoder = LocalEncoder(open_embedder(str(model)), _AT_ONCE)
        self._clips = Clips(world.root, store, MEDIA)

    def of_texts(self, texts: Sequence[str]) -> Any:
        """[texts, dimension]"""
        from hardcut.embedder.encoders import Shown

        return self._encoded([Shown(text) for text in texts], "query")

    def of_clips(self, part: Part) -> Any:
        """[clips, dimension], in the order of the stories."""
        from hardcut.embedder.encoders import Shown

        shown = [Shown(None, self._clips.read(part.files[video], MEDIA.max_frames)) for video in part.stories]
        return self._encoded(shown, "document")

    def _encoded(self, shown: Sequence[Any], role: Any) -> Any:
        import numpy as np

        return np.concatenate(
            [self._encoder.encode(shown[at : at + _AT_ONCE], role) for at in range(0, len(shown), _AT_ONCE)]
        )


def by_words(part: Part, texts: Sequence[str]) -> Any:
    """BM25 of texts over what a perfect caption of each clip says, [texts, clips]."""
    import bm25s
    import numpy as np

    index = bm25s.BM25()
    index.index([story.caption.lower().split() for story in part.stories.values()], show_progress=False)
    return np.stack([index.get_scores(text.lower().split()) for text in texts])


def edits(part: Part) -> list[tuple[str, str, str]]:
    """(anchor, edited clip, unedited clip) of clips that differ in one thing of one half, worded as training has it."""
    found = []
    names = ("colour", "shape", "direction", "sign")
    for video, story in part.stories.items():
        for other, source in part.stories.items():
            apart = [(half, before) for half, before in zip(story.halves, source.halves, strict=True) if half != before]
            if len(apart) != 1 or sum(getattr(apart[0][0], name) != getattr(apart[0][1], name) for name in names) != 1:
                continue
            half, before = apart[0]
            found.append((composed_anchor(told(source), f"{half} in place of {before}"), video, other))
    return found


def told(story: Story) -> str:
    """A story as the run's captions tell it."""
    first, second = story.halves
    return f"{first}. Then {second}."


def figures(part: Part, scores: Any, texts: Sequence[str]) -> dict[str, Any]:
    """What scores of texts against all clips, [texts, clips], are worth. `texts` are those of `asked_of`."""
    place, column = {text: at for at, text in enumerate(texts)}, {id: at for at, id in enumerate(part.stories)}
    run: Run = {
        query: dict(zip(part.stories, map(float, scores[place[asked.text]]), strict=True))
        for query, asked in part.queries.items()
    }
    found: dict[str, Any] = {"chiral": chiral(part, run).mean, "negated": negated(part, run).mean}
    found["composed"] = fmean(
        _above(scores[place[anchor], column[one]], scores[place[anchor], column[other]])
        for anchor, one, other in edits(part)
    )
    for kind in KINDS:
        qrels = {query: part.qrels[query] for query, asked in part.queries.items() if asked.kind == kind}
        found["plain_ndcg@10" if kind == "event" else f"{kind}_ndcg@10"] = ndcg(qrels, run)
    sides: dict[str, list[float]] = {}
    for video, story in part.stories.items():
        for each in blocks_about(video, story):
            one, other = (scores[place[asked.text], column[video]] for asked in each.both)
            sides.setdefault(each.change, []).append(_above(one, other))
    found["negatives_with_a_part"] = fmean(_shared(part, query, ranked) for query, ranked in run.items())
    found["same form"] = {change: round(fmean(of), 3) for change, of in sorted(sides.items())}
    return {name: round(each, 3) if isinstance(each, float) else each for name, each in found.items()}


def _shared(part: Part, query: str, scores: Mapping[str, float]) -> float:
    """Of the first clips that do not answer, the share that has one of the things that a query asks for."""
    order = [video for video in ranking(scores) if video not in part.qrels[query]][:HARD]
    wanted = part.queries[query].wanted
    return fmean(any(half.has(each) for half in part.stories[video].halves for each in wanted) for video in order)


def denials(part: Part, groups: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Of training groups whose query denies something, how many have a clip among their negatives that shows all that
    is wanted and what is denied, how many have it first, and of how many the collection has one at all."""
    found = dict.fromkeys(("groups", "in the collection", "among the negatives", "first"), 0)
    for row in groups:
        asked = read(row["query"])
        if asked.without is None:
            continue
        negatives = (part.stories[each["video_id"]] for each in row["negatives"])
        shows = [shows_denied(asked, story) for story in (*negatives, *part.stories.values())]
        count = len(row["negatives"])
        told = True, any(shows[count:]), any(shows[:count]), shows[0]
        found = {name: found[name] + each for name, each in zip(found, told, strict=True)}
    return found


def asked_of(part: Part) -> list[str]:
    """All texts that are held against the clips."""
    sides = {
        asked.text
        for video, story in part.stories.items()
        for each in blocks_about(video, story)
        for asked in each.both
    }
    return sorted(sides | {asked.text for asked in part.queries.values()} | {anchor for anchor, _, _ in edits(part)})


def _above(one: float, other: float) -> float:
    return 0.5 if abs(one - other) < _TIE else float(one > other)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nuance_embedding", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="videos, runs and models: kept, so that it can go on")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--arms", nargs="+", choices=ALL, default=list(ALL), metavar="ARM")
    parser.add_argument("--epochs", type=float, default=EPOCHS)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    for seed in asked.seeds:
        bench = Bench(asked.work, seed, asked.epochs, asked.rate)
        world = bench.world
        measure(bench, world, bench.dataset(world), asked.arms, asked.out)


def measure(bench: Bench, world: World, dataset: Dataset, arms: Sequence[str], out: Path) -> None:
    """The arms of a seed that are not in the results yet."""
    part = world.parts["test"]
    texts = asked_of(part)
    counted = denials(world.parts["train"], (row for split, row in dataset.rows("groups") if split == "train"))
    base = bench.base(dataset)
    for name in arms:
        if name in _results(out, bench)["seeds"][str(bench.seed)]:
            continue
        cost: Mapping[str, Any] = {}
        model = base
        if name in ARMS:
            model, cost = bench.trained(base, dataset, world, ARMS[name])
        if name == "bm25":
            scores = by_words(part, texts)
        else:
            vectors = Vectors(model, world, bench.work / "frames")
            scores = vectors.of_texts(texts) @ vectors.of_clips(part).T
        found = {**figures(part, scores, texts), **cost}
        results = _results(out, bench)  # read again: other seeds may be measured beside this one
        results["seeds"][str(bench.seed)][name] = found
        results["denials"] = {**results.get("denials", {}), str(bench.seed): counted}
        results["mean"] = means(list(results["seeds"].values()))
        with atomic_writer(out) as file:
            json.dump(results, file, indent=1)
            file.write("\n")
        print(bench.seed, name, json.dumps(found), flush=True)


def _results(out: Path, bench: Bench) -> dict[str, Any]:
    results = json.loads(out.read_text()) if out.exists() else {}
    seeds = {seed: results.get("seeds", {}).get(seed, {}) for seed in {*results.get("seeds", {}), str(bench.seed)}}
    return {**results, "epochs": bench.epochs, "rate": bench.rate, "seeds": dict(sorted(seeds.items()))}


def means(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Each arm's figures over the seeds that have it."""
    names = ("chiral", "negated", "composed", "plain_ndcg@10", "negatives_with_a_part")
    return {
        arm: {name: round(fmean(seed[arm][name] for seed in seeds if arm in seed), 3) for name in names}
        for arm in dict.fromkeys(arm for seed in seeds for arm in seed)
    }


if __name__ == "__main__":
    main()
