"""Reranking a first stage's run with a model on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hardcut.media.collection import scan
from hardcut.pipeline.cache import cache_folder
from hardcut.reranker.identity import model_identity, shown_in_training
from hardcut.reranker.reranking import RerankJob, RerankSummary
from hardcut.reranker.reranking import rerank as rerank_run
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Settings
from hardcut.schemas.trec import read_run
from hardcut.synth.user_queries import read_queries
from hardcut.teacher.local.generation import ModelOptions
from hardcut.teacher.local.process import ModelProcess

if TYPE_CHECKING:
    from hardcut.teacher.local.process import Kind


@dataclass(frozen=True, slots=True)
class Reranking:
    """What is reranked: the best `depth` of each query of `run`, whose texts are in `queries`."""

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


async def rerank(asked: Reranking) -> RerankSummary:
    """Reranks into `out`, going on where it was stopped. Raises UsageError, MissingDependency."""
    job, kind, options = _prepared(asked)
    async with model_process(kind, options) as process:
        return await rerank_run(job, process)


def _prepared(asked: Reranking) -> tuple[RerankJob, Kind, ModelOptions]:
    settings, cache = load_settings(asked.config), cache_folder(asked.cache)
    kind, model = _backend(asked.model)
    folder = Path(model)
    if kind == "vllm" and (folder / "adapter_config.json").is_file():
        raise UsageError(f"{model}: an adapter, and vLLM takes whole weights: train with --merge, or use transformers:")
    media, frames = shown_in_training(model) or (settings.media, settings.train.ranking.frames)
    files = scan(asked.videos, asked.manifest, ours=(cache.root,)).files
    job = RerankJob(
        run=read_run(asked.run).scores,
        queries={query.external_id or query.query_id: query.text for query in read_queries(asked.queries)},
        videos={video.video_id: video.path for video in files},
        out=asked.out,
        store=cache.frames,
        media=media,
        model=f"{kind}:{folder.resolve() if folder.is_dir() else model}@{asked.revision or model_identity(model)}",
        depth=asked.depth,
        frames=frames,
    )
    return job, kind, _options(model, asked.revision, settings)


@asynccontextmanager
async def model_process(kind: Kind, options: ModelOptions) -> AsyncIterator[ModelProcess]:
    """A model in a process of its own, which ends with the context."""
    process = ModelProcess(kind, options)
    try:
        yield process
    finally:
        await process.close()


def _options(model: str, revision: str | None, settings: Settings) -> ModelOptions:
    use = settings.resources
    return ModelOptions(
        model, revision, max_images=0, max_model_len=use.max_model_len, gpu_memory=use.gpu_memory, gpus=use.gpus,
        batch=use.batch, videos=1,
    )  # fmt: skip


def _backend(spec: str) -> tuple[Kind, str]:
    """`vllm:MODEL`, `transformers:MODEL`, or a model alone, which transformers runs."""
    name, colon, rest = spec.partition(":")
    if colon and name == "vllm":
        return "vllm", rest
    return "transformers", rest if colon and name == "transformers" else spec
