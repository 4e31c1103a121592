"""Reranking a first stage's run with a model on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hardcut.engine.file_digests import FileDigests
from hardcut.media.collection import scan
from hardcut.pipeline.cache import cache_folder
from hardcut.reranker.identity import shown_in_training
from hardcut.reranker.reranking import RerankJob, RerankSummary
from hardcut.reranker.reranking import rerank as rerank_run
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import MediaSettings, Settings
from hardcut.schemas.trec import read_run
from hardcut.synth.user_queries import read_queries
from hardcut.teacher.local.generation import ModelOptions
from hardcut.teacher.local.process import ModelProcess
from hardcut.teacher.model_digest import model_identity

if TYPE_CHECKING:
    from hardcut.teacher.local.process import Kind


@dataclass(frozen=True, slots=True)
class Reranking:
    """A reranking: of each query of `run` the best `depth` videos. `queries` has the texts."""

    model: str
    run: Path
    queries: Path
    videos: Path
    out: Path
    depth: int
    manifest: Path | None = None
    revision: str | None = None
    config: Path | None = None
    cache: Path | None = None


async def rerank(reranking: Reranking) -> RerankSummary:
    """Reranks into `out`. Goes on where it was stopped. Raises UsageError, MissingDependency."""
    job, chosen = _prepared(reranking)
    async with model_process(chosen.kind, chosen.options) as process:
        return await rerank_run(job, process)


def _prepared(reranking: Reranking) -> tuple[RerankJob, ChosenModel]:
    settings, cache = load_settings(reranking.config), cache_folder(reranking.cache)
    chosen = choose_model(reranking.model, reranking.revision, settings)
    model = chosen.options.model
    files = scan(reranking.videos, reranking.manifest, ours=(cache.root,)).files
    job = RerankJob(
        run=read_run(reranking.run).scores,
        queries={query.external_id or query.query_id: query.text for query in read_queries(reranking.queries)},
        videos={video.video_id: video.path for video in files},
        out=reranking.out,
        store=cache.frames,
        media=chosen.media,
        model=f"{chosen.kind}:{model_identity(model, FileDigests(cache.digests))}@{reranking.revision}",
        depth=reranking.depth,
        frames=chosen.frames,
    )
    return job, chosen


@asynccontextmanager
async def model_process(kind: Kind, options: ModelOptions) -> AsyncIterator[ModelProcess]:
    """A model in a separate process, which ends with the context."""
    process = ModelProcess(kind, options)
    try:
        yield process
    finally:
        await process.close()


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """A model, the library that runs it, and how it is shown videos: sampling, and number of frames."""

    kind: Kind
    options: ModelOptions
    media: MediaSettings
    frames: int


def choose_model(spec: str, revision: str | None, settings: Settings) -> ChosenModel:
    """`vllm:MODEL`, `transformers:MODEL`, or a model alone, which transformers runs. One that Hardcut trained is shown
    videos as in its training. Raises UsageError for an adapter that vLLM cannot take."""
    name, colon, rest = spec.partition(":")
    kind: Kind = "vllm" if colon and name == "vllm" else "transformers"
    model = rest if colon and name == kind else spec
    if kind == "vllm" and (Path(model) / "adapter_config.json").is_file():
        raise UsageError(f"{model}: an adapter, and vLLM takes whole weights: train with --merge, or use transformers:")
    media, frames = shown_in_training(model) or (settings.media, settings.train.ranking.frames)
    use = settings.resources
    options = ModelOptions(
        model, revision, max_images=0, max_model_len=use.max_model_len, gpu_memory=use.gpu_memory, gpus=use.gpus,
        batch=use.batch, videos=1,
    )  # fmt: skip
    return ChosenModel(kind, options, media, frames)
