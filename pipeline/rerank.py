"""Reranking a first stage's run with a model on this machine, or behind servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hardcut.engine.file_digests import FileDigests
from hardcut.media.collection import scan
from hardcut.pipeline.cache import Cache, cache_folder
from hardcut.reranker.identity import shown_in_training
from hardcut.reranker.reranking import RerankJob, RerankSummary
from hardcut.reranker.reranking import rerank as rerank_run
from hardcut.reranker.servers import FORMS, Form, ServerScorer
from hardcut.schemas.addresses import model_and_address
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import MediaSettings, Settings
from hardcut.schemas.trec import read_run
from hardcut.synth.user_queries import read_queries
from hardcut.teacher.local.generation import ModelOptions
from hardcut.teacher.local.process import ModelProcess
from hardcut.teacher.local.profiles import OWN, PROFILES
from hardcut.teacher.local.shown import versions
from hardcut.teacher.model_digest import model_identity
from hardcut.teacher.registry import key_of

if TYPE_CHECKING:
    from hardcut.teacher.local.process import Kind


@dataclass(frozen=True, slots=True)
class Reranking:
    """A reranking: of each query of `run` the best `depth` videos. `queries` has the texts. `prior`: as of
    `RerankJob`. `references` are the videos that composed queries start from, beside those that the file of queries
    names."""

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
    prior: float = 0.0
    profile: str | None = None
    key_variable: str | None = None
    references: Mapping[str, str] = field(default_factory=dict)


async def rerank(reranking: Reranking) -> RerankSummary:
    """Reranks into `out`. Goes on where it was stopped. Raises UsageError, MissingDependency."""
    settings, cache = load_settings(reranking.config), cache_folder(reranking.cache)
    servers = servers_of(reranking.model)
    if servers is not None:
        if reranking.profile is not None:
            raise UsageError("--profile is for a model that is run here: a server has its own template")
        media, frames = settings.media, settings.train.ranking.frames
        job = _job(reranking, cache, media, frames, f"{servers.form}:{servers.model}")
        async with _server_scorer(servers, reranking, settings) as scorer:
            return await rerank_run(job, scorer)
    chosen = choose_model(reranking.model, reranking.revision, settings, reranking.profile)
    named = _named(chosen.kind, chosen.options.model, reranking, FileDigests(cache.digests))
    job = _job(reranking, cache, chosen.media, chosen.frames, named)
    options = replace(chosen.options, videos=2) if job.references else chosen.options
    async with model_process(chosen.kind, options) as process:
        return await rerank_run(job, process)


def _named(kind: Kind, model: str, reranking: Reranking, digests: FileDigests) -> str:
    """Who scores. With another version of a library, which may show pairs otherwise, it is somebody else: an
    interrupted call does not go on with the scores of both."""
    named = f"{kind}:{model_identity(model, digests)}@{reranking.revision}"
    named += f" as {reranking.profile}" if reranking.profile else ""
    return named + "".join(f", {library} {number}" for library, number in versions().items())


def _job(reranking: Reranking, cache: Cache, media: MediaSettings, frames: int, model: str) -> RerankJob:
    queries = {query.external_id or query.query_id: query for query in read_queries(reranking.queries)}
    files = scan(reranking.videos, reranking.manifest, ours=(cache.root,)).files
    return RerankJob(
        run=read_run(reranking.run).scores,
        queries={id: query.text for id, query in queries.items()},
        references={
            **reranking.references,
            **{id: query.reference_video_id for id, query in queries.items() if query.reference_video_id},
        },
        videos={video.video_id: video.path for video in files},
        out=reranking.out,
        store=cache.frames,
        media=media,
        model=model,
        depth=reranking.depth,
        frames=frames,
        prior=reranking.prior,
        spellings=reranking.profile in PROFILES and PROFILES[reranking.profile].spellings,
    )


@dataclass(frozen=True, slots=True)
class Servers:
    """A model behind one or several addresses, and how it is asked."""

    form: Form
    model: str
    urls: tuple[str, ...]


def servers_of(spec: str) -> Servers | None:
    """`classify:MODEL@URL`, `score:MODEL@URL` or `rerank:MODEL@URL`, further addresses after commas; None for a model
    that is run here. Raises UsageError for one that lacks its address."""
    name, colon, rest = spec.partition(":")
    form = next((each for each in FORMS if colon and each == name), None)
    if form is None:
        return None
    found = model_and_address(rest.split(",")[0])
    if found is None:
        raise UsageError(f"{spec!r}: give {form}:MODEL@URL, such as {form}:my-model@http://127.0.0.1:8000/v1")
    return Servers(form, found[0], (found[1], *(url.strip() for url in rest.split(",")[1:])))


@asynccontextmanager
async def _server_scorer(servers: Servers, reranking: Reranking, settings: Settings) -> AsyncIterator[ServerScorer]:
    use = settings.resources
    scorer = ServerScorer(
        servers.form, servers.model, servers.urls, concurrency=use.concurrency, timeout_s=use.request_timeout_s,
        keys=[key_of(url, reranking.key_variable, "--key-variable", settings.teacher) for url in servers.urls],
    )  # fmt: skip
    try:
        yield scorer
    finally:
        await scorer.close()


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


def choose_model(spec: str, revision: str | None, settings: Settings, profile: str | None = None) -> ChosenModel:
    """`vllm:MODEL`, `transformers:MODEL`, or a model alone, which transformers runs. One that Hardcut trained is shown
    videos as in its training, one with a profile as its makers do. Raises UsageError for a profile that there is not,
    and an adapter that vLLM cannot take."""
    if profile not in (None, OWN, *PROFILES):
        raise UsageError(f"no profile {profile!r}: {', '.join(PROFILES)}, or {OWN} for the model's own template")
    name, colon, rest = spec.partition(":")
    kind: Kind = "vllm" if colon and name == "vllm" else "transformers"
    model = rest if colon and name == kind else spec
    if kind == "vllm" and (Path(model) / "adapter_config.json").is_file():
        raise UsageError(f"{model}: an adapter, and vLLM takes whole weights: train with --merge, or use transformers:")
    media, frames = shown_in_training(model) or _shown(settings, profile)
    use = settings.resources
    options = ModelOptions(
        model, revision, max_images=0, max_model_len=use.max_model_len, gpu_memory=use.gpu_memory, gpus=use.gpus,
        batch=use.batch, videos=1, profile=profile,
    )  # fmt: skip
    return ChosenModel(kind, options, media, frames)


def _shown(settings: Settings, profile: str | None) -> tuple[MediaSettings, int]:
    """Sampling and frames of a model that others trained: those of its profile, or of the settings."""
    of = PROFILES.get(profile or "")
    media, frames = settings.media, settings.train.ranking.frames
    if of is None or of.fps is None or of.frames is None:
        return media, frames
    return media.model_copy(update={"fps": of.fps, "max_frames": max(media.max_frames, of.frames)}), of.frames
