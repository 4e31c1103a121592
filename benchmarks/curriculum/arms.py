"""The arms: what each trains, through the product's own trainer, and how the result ranks the test split."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from benchmarks.curriculum.footage import MEDIA
from benchmarks.curriculum.network import Network, build
from benchmarks.curriculum.shipped import clips_of, make_dataset, words_of
from benchmarks.curriculum.stories import Sides
from benchmarks.curriculum.world import Part, Scale, World, blocks_about
from hardcut.reranker.clips import Clips
from hardcut.reranker.facts import DatasetTables
from hardcut.reranker.reranking import RerankJob, RerankSummary, rerank
from hardcut.reranker.training import Stage, Trained, TrainJob, train
from hardcut.schemas.errors import ItemError
from hardcut.schemas.training import LossSettings, PerceptionSettings, RankingSettings, TrainSettings
from hardcut.schemas.trec import Run, read_run
from hardcut.teacher.local.generation import ModelOptions
from hardcut.teacher.local.process import ModelProcess

Passes = Mapping[str, list[bool]]
"""By change: of which blocks the answered side scores higher."""
BLOCKS_WEIGH = 5.0
"""Of the terms over blocks, where those over groups weigh 1. With 1 the groups win: direction stays at chance."""
PATIENCE = 3
WHOLE = 1_000_000
"""More steps than any training has: one checkpoint, at the end."""


@dataclass(frozen=True, slots=True)
class Size:
    """A world, a network, and how each stage is trained: as many epochs as published, unless said otherwise. A step is
    `batch` captions, or `groups` groups."""

    scale: Scale
    network: Network
    perception_epochs: float = 1
    ranking_epochs: float = 2
    batch: int = 16
    groups: int = 8
    rates: tuple[float, float] = (2e-3, 5e-4)
    """Of both stages. The published 1e-5 is for weights that are pre-trained; these are random."""
    temperature: float | None = None
    """Of the pairwise and the teacher's term, which then weigh the same. None: as published, 10 and 5, with a weight of
    5, for a model whose scores are spread by tens before it is trained. With it the last checkpoint is the model: over
    64 clips the best nDCG comes before direction is learned."""
    measured: int = 0
    """Steps of stage 2 between measurements on validation. It ends after `PATIENCE` of them without a better one, and
    the best is the model."""
    plateau: int = 0
    """Measurements in place of `PATIENCE`; the learning rate is constant, and falls to a third after half of them
    without a better one. The epochs are then a limit that should not be reached."""


SIZES = {
    "small": Size(Scale((250, 8, 32), (2, 1, 3), 5), Network()),
    "small-t1": Size(Scale((250, 8, 32), (2, 1, 3), 5), Network(), ranking_epochs=1, temperature=1.0),
    "held-out": Size(
        Scale((150, 24, 24), (2, 4, 4), 4, held_out=True),
        Network(),
        perception_epochs=1.2,
        ranking_epochs=0.8,
        temperature=1.0,
        measured=70,
    ),
    "plateau": Size(
        Scale((150, 24, 24), (2, 4, 4), 4, held_out=True),
        Network(),
        perception_epochs=1.2,
        ranking_epochs=5.0,
        temperature=1.0,
        measured=100,
        plateau=6,
    ),
    "large": Size(
        Scale((2500, 16, 32), (2, 1, 3), 5),
        Network(hidden=256, layers=6, heads=8, vision_hidden=192, vision_layers=4),
        batch=64,
        groups=32,
        rates=(1e-3, 5e-4),
    ),
}


@dataclass(frozen=True, slots=True)
class Arm:
    """Which stages are trained, with which loss; `ranking_passes` multiplies the epochs of stage 2."""

    says: str
    perception: bool = True
    ranking: bool = True
    without: str = ""
    shuffled: bool = False
    ranking_passes: float = 1.0
    blocks: int = 0
    """Blocks that ride with a group."""
    rationale: float = 0.0
    """Weight of the teacher's reasoning: what the clip shows, in the words of its caption."""
    shipped: bool = False
    """Whether the data comes out of `hardcut run` and `hardcut export`, in as many steps."""


ARMS = {
    "both": Arm("stage 1, then stage 2"),
    "perception": Arm("stage 1 alone", ranking=False),
    "ranking": Arm("stage 2 alone", perception=False),
    "shuffled": Arm("both stages, every video another one's", shuffled=True),
    "no pairwise": Arm("both stages without the pairwise term", without="pairwise"),
    "no teacher": Arm("both stages without the teacher's term", without="teacher"),
    "no pointwise": Arm("both stages without the pointwise term", without="pointwise"),
    "both, longer": Arm("both stages, the second twice as long", ranking_passes=2.0),
    "blocks": Arm("both stages, all blocks about the positive's clip with every group", blocks=5),
    "two blocks": Arm("both stages, as many blocks a group as a training takes by default", blocks=2),
    "two blocks, reasons": Arm("the same, and the teacher's reasons are learned too", blocks=2, rationale=1.0),
    "two blocks, shuffled": Arm("the same, every video another one's", blocks=2, shuffled=True),
    "shipped": Arm("both stages, on what `hardcut run` and `hardcut export` make", blocks=5, shipped=True),
    "ranking, longer": Arm("stage 2 alone, twice as long", perception=False, ranking_passes=2.0),
}


@dataclass(frozen=True, slots=True)
class Bench:
    """Where things lie, and how large they are."""

    work: Path
    size: Size
    world: World
    seed: int

    def run_arm(self, arm: Arm) -> tuple[Run, Passes, dict[str, Trained]]:
        """The arm's run over the test split, its figures on the blocks, and what its stages did. What was trained
        before is not trained again."""
        world = replace(self.world.shuffled() if arm.shuffled else self.world, blocks=arm.blocks > 0)
        data: DatasetTables = world
        clips, further, passes = self.clips, frozenset[str](), dict.fromkeys(("captions", "groups"), 1.0)
        if arm.shipped:
            made = self.world.root.parent / "shipped"
            data = dataset = make_dataset(world, made)
            clips, further = replace(clips, root=clips_of(made)), words_of(dataset)
            passes = {config: _rows(world, config) / _rows(dataset, config) for config in passes}
        model, done = self.random_weights(further), {}
        name = "shipped" if arm.shipped else "shuffled" if arm.shuffled else "true"
        if arm.perception:
            out = self.work / f"{name}-perception"
            done["perception"] = _train("perception", model, data, clips, out, self._perception(passes["captions"]))
            model = out
        if arm.ranking:
            parts = [name, "ranking", "after perception" * arm.perception, f"without {arm.without}" * bool(arm.without)]
            parts.append(f"{arm.blocks} blocks" * bool(arm.blocks))
            parts.append("reasons" * bool(arm.rationale))
            parts.append(f"times {arm.ranking_passes:g}" * (arm.ranking_passes != 1))
            out = self.work / "-".join(filter(None, parts)).replace(" ", "-")
            done["ranking"] = _train("ranking", model, data, clips, out, self.ranking(arm, passes["groups"]))
            model = out
        test = world.parts["test"]
        return self.rank(model, test), self._sides(model, test), done

    def random_weights(self, further: frozenset[str] = frozenset()) -> Path:
        """The network that every arm starts from, but for the words that its tokenizer knows `further`."""
        folder = self.work / ("random-further" if further else "random")
        if not (folder / "processor_config.json").exists():
            build(folder, self.world.words | further, self.size.network, self.seed)
        return folder

    @property
    def clips(self) -> Clips:
        """The videos, and the store of their frames."""
        return Clips(self.world.root, self.work / "frames", MEDIA)

    def _sides(self, model: Path, part: Part) -> Passes:
        """How often the answered side of a block about a clip of the test split scores above the other; and "CHANGE,
        both videos", where some other clip answers the other side alone: how often it is right there too."""
        without = self.world.not_of("test")
        blocks = [
            (video, sides) for video, story in part.stories.items() for sides in blocks_about(video, story, without)
        ]
        mirrors = [_mirror(part, video, sides) for video, sides in blocks]
        texts = {asked.text: f"s{at}" for at, asked in enumerate(each for _, sides in blocks for each in sides.both)}
        run: dict[str, dict[str, float]] = {}
        for (video, sides), mirror in zip(blocks, mirrors, strict=True):
            for asked in sides.both:
                run.setdefault(texts[asked.text], {}).update(dict.fromkeys(filter(None, (video, mirror)), 0.0))
        scores = self._scored(model, part, run, {id: text for text, id in texts.items()}, "blocks")
        won: dict[str, list[bool]] = {}
        for (video, sides), mirror in zip(blocks, mirrors, strict=True):
            one, other = (scores[texts[asked.text]] for asked in sides.both)
            right = one[video] > other[video]
            won.setdefault(sides.change, []).append(right)
            if mirror:
                won.setdefault(f"{sides.change}, both videos", []).append(right and other[mirror] > one[mirror])
        return won

    def rank(self, model: Path, part: Part, name: str = "") -> Run:
        """The first stage's candidates, reranked; `name` tells its file from that of other candidates."""
        return self._scored(model, part, part.first, {query: asked.text for query, asked in part.queries.items()}, name)

    def _scored(self, model: Path, part: Part, run: Run, queries: Mapping[str, str], name: str) -> Run:
        """What `hardcut rerank` does: a TREC run in and out, through the video files and the store of their frames."""
        job = RerankJob(
            run=run,
            queries=queries,
            videos={video: self.world.root / file.path for video, file in part.files.items()},
            out=self.work / f"{model.name}{name}.trec",
            store=self.clips.store,
            media=MEDIA,
            model=model.name,
            depth=max(map(len, run.values())),
            frames=MEDIA.max_frames,
        )
        done = asyncio.run(_carried_out(job, model))
        if done.missing_videos or done.failed:
            raise ItemError("not_scored", f"{done.missing_videos} {done.failed}")
        return read_run(job.out).scores

    def _perception(self, passes: float) -> TrainSettings:
        stage = PerceptionSettings(
            frames=MEDIA.max_frames,
            epochs=self.size.perception_epochs * passes,
            learning_rate=self.size.rates[0],
            batch=self.size.batch,
            accumulate=1,
        )
        return _settings(self.seed, WHOLE).model_copy(update={"perception": stage})

    def ranking(self, arm: Arm, passes: float) -> TrainSettings:
        """How stage 2 is trained, with so many times the epochs of the size."""
        terms = {"counterfactuals": BLOCKS_WEIGH, "rationale": arm.rationale}
        if self.size.temperature is not None:
            each = self.size.temperature
            terms |= {"pairwise_temperature": each, "teacher_temperature": each, "teacher": 1.0}
        loss = LossSettings(**(terms | ({arm.without: 0.0} if arm.without else {})))
        stage = RankingSettings(
            frames=MEDIA.max_frames,
            epochs=self.size.ranking_epochs * arm.ranking_passes * passes,
            learning_rate=self.size.rates[1],
            groups=self.size.groups,
            accumulate=1,
            counterfactuals=arm.blocks,
            loss=loss,
        )
        every = self.size.measured or (WHOLE if self.size.temperature else 300)
        patience = self.size.plateau or (PATIENCE if self.size.measured else 0)
        ends = {"patience": patience, "schedule": "plateau" if self.size.plateau else "cosine"}
        return _settings(self.seed, every).model_copy(update={"ranking": stage, **ends})


def _train(stage: Stage, model: Path, data: DatasetTables, clips: Clips, out: Path, how: TrainSettings) -> Trained:
    return train(data, TrainJob(stage, str(model), out, clips, how, whole=True))


def _rows(data: DatasetTables, config: str) -> int:
    """What there is to train on: groups, or captions, long and short."""
    rows = [row for split, row in data.rows(config) if split == "train"]
    return len(rows) if config == "groups" else sum(1 + bool(row.get("short")) for row in rows)


def _mirror(part: Part, video: str, sides: Sides) -> str | None:
    """A clip that answers the other side and not this one, drawn by the block; None where the split has none."""
    fit = [
        other
        for other, story in part.stories.items()
        if sides.unanswered.answered_by(story) and not sides.answered.answered_by(story)
    ]
    return Random(f"{video}/{sides.change}/mirror").choice(fit) if fit else None


async def _carried_out(job: RerankJob, model: Path) -> RerankSummary:
    process = ModelProcess(
        "transformers",
        ModelOptions(str(model), None, max_images=0, max_model_len=None, gpu_memory=0.9, gpus=1, batch=16, videos=1),
    )
    try:
        return await rerank(job, process)
    finally:
        await process.close()


def chance(first: Run, seed: int = 0) -> Run:
    """The first stage's candidates in random order."""
    rng = Random(seed)
    return {query: {video: rng.random() for video in sorted(ranked)} for query, ranked in sorted(first.items())}


def _settings(seed: int, save_steps: int) -> TrainSettings:
    # Weights that are random have nothing that an adapter could adapt: all of them are trained.
    return TrainSettings(
        method="full", dtype="float32", gradient_checkpointing=False, warmup=0.05, seed=seed, save_steps=save_steps
    )
