"""The demo with `--train`. Trains a tiny model on the demo's dataset for a minute, and reranks the sample's first stage
with it. Measures it against the first stage and against a random order of the same candidates. This shows that all
parts fit together, not what a reranker can do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

from hardcut.media.collection import scan
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.rerank import model_process
from hardcut.pipeline.train import need_train
from hardcut.publish.dataset import Dataset
from hardcut.reranker.evaluation import evaluate
from hardcut.reranker.evaluation_page import write_evaluation
from hardcut.reranker.facts import read_facts
from hardcut.reranker.reranking import RerankJob, rerank
from hardcut.reranker.results import Evaluation
from hardcut.schemas.settings import Settings
from hardcut.schemas.training import PerceptionSettings, RankingSettings, TrainSettings
from hardcut.schemas.trec import Run, ranking, read_qrels, read_run
from hardcut.synth.user_queries import read_queries
from hardcut.teacher.local.generation import ModelOptions

FRAMES = 8
RANDOM, TINY = "random order", "tiny reranker"
SETTINGS = TrainSettings(
    method="full",
    gradient_checkpointing=False,
    save_steps=100,
    perception=PerceptionSettings(frames=FRAMES, epochs=4, batch=4, accumulate=1, learning_rate=1e-3),
    ranking=RankingSettings(frames=FRAMES, epochs=1, groups=4, accumulate=1, learning_rate=1e-3),
)


def train_on_demo(sample: Path, dataset: Path, out: Path, settings: Settings, cache: Cache) -> Evaluation:
    """Trains both stages into `out`/seen and `out`/ranks, writes `out`/reranked.trec and `out`/evaluation.html.

    Raises MissingDependency without the extra `train`.
    """
    need_train()
    from hardcut.reranker.clips import Clips
    from hardcut.reranker.tiny import Size, build
    from hardcut.reranker.training import TrainJob, train

    tables = Dataset(dataset)
    base = out / "base"
    if not (base / "config.json").is_file():
        captions = tables.rows("captions", ("caption", "short"))
        texts = [text for _, row in captions for text in (row["caption"], row["short"]) if text]
        texts += [row["query"] for _, row in tables.rows("queries", ("query",))]
        build(base, texts, Size(frame_patches=8))
    clips = Clips(sample / "videos", cache.frames, settings.media)
    train(tables, TrainJob("perception", str(base), out / "seen", clips, SETTINGS))
    train(tables, TrainJob("ranking", str(out / "seen"), out / "ranks", clips, SETTINGS))
    first = read_run(sample / "first_stage.trec").scores
    job = RerankJob(
        run=first,
        queries={query.external_id or query.query_id: query.text for query in read_queries(sample / "queries.tsv")},
        videos={video.video_id: video.path for video in scan(sample / "videos").files},
        out=out / "reranked.trec",
        store=cache.frames,
        media=settings.media,
        model=str(out / "ranks"),
        depth=10,
        frames=FRAMES,
    )
    asyncio.run(_rerank(job))
    runs = {"first stage": first, RANDOM: _random_order(job), TINY: read_run(job.out).scores}
    found = evaluate(read_qrels(sample / "qrels.txt"), runs, read_facts(tables))
    write_evaluation(found, out / "evaluation.html")
    return found


def _random_order(job: RerankJob) -> Run:
    """What reranking makes of the candidates where scores say nothing: the line that the tiny model is held against."""
    found = {}
    for query, scores in job.run.items():
        ranked, draw = ranking(scores), Random(query)
        best = draw.sample(ranked[: job.depth], min(job.depth, len(ranked)))
        found[query] = {video: -float(place) for place, video in enumerate((*best, *ranked[job.depth :]))}
    return found


async def _rerank(job: RerankJob) -> None:
    options = ModelOptions(job.model, None, 0, None, 0.9, 1, batch=8, videos=1)
    async with model_process("transformers", options) as process:
        await rerank(job, process)
