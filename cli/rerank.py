"""`hardcut rerank`: a TREC run in, a TREC run out."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hardcut.cli.paths import cache_folder
from hardcut.cli.terminal import output, plain
from hardcut.media.collection import scan
from hardcut.reranker.identity import model_identity, shown_in_training
from hardcut.reranker.rerank import RerankJob, RerankSummary
from hardcut.reranker.rerank import rerank as rerank_run
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
class Asked:
    """The options of the command."""

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


def rerank(asked: Asked, *, as_json: bool) -> int:
    """Reranks and says what was done; 1 where something could not be scored."""
    settings = load_settings(asked.config)
    kind, model = _backend(asked.model)
    folder = Path(model)
    if kind == "vllm" and (folder / "adapter_config.json").is_file():
        raise UsageError(f"{model}: an adapter, and vLLM takes whole weights: train with --merge, or use transformers:")
    media, frames = shown_in_training(model) or (settings.media, settings.train.ranking.frames)
    job = RerankJob(
        run=read_run(asked.run).scores,
        queries={query.external_id or query.query_id: query.text for query in read_queries(asked.queries)},
        videos={video.video_id: video.path for video in scan(asked.videos, asked.manifest).files},
        out=asked.out,
        store=cache_folder(asked.cache).frames,
        media=media,
        model=f"{kind}:{folder.resolve() if folder.is_dir() else model}@{asked.revision or model_identity(model)}",
        depth=asked.depth,
        frames=frames,
    )
    done = asyncio.run(_carry_out(job, kind, _options(model, asked.revision, settings)))
    if as_json:
        print(json.dumps({"out": str(asked.out), **asdict(done)}, indent=2))
    else:
        _print(done, asked.out)
    return 1 if done.unknown_queries or done.missing_videos or done.failed else 0


async def _carry_out(job: RerankJob, kind: Kind, options: ModelOptions) -> RerankSummary:
    process = ModelProcess(kind, options)
    try:
        return await rerank_run(job, process)
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


def _print(done: RerankSummary, out: Path) -> None:
    console = output()
    console.print(f"scored    {done.pairs:,} pairs")
    for query in done.unknown_queries:
        console.print(f"unknown   query {plain(query)} has no text: it keeps the first stage's order")
    for video, why in sorted(done.missing_videos.items()):
        console.print(f"missing   video {plain(video)}: {plain(why)}")
    for pair, why in sorted(done.failed.items()):
        console.print(f"failed    {plain(pair)}: {plain(why)}")
    if done.prompt_tokens:
        console.print(f"shared    {100 * done.cached_tokens / done.prompt_tokens:.0f} % of the prompts' tokens")
    console.print(f"run       {plain(str(out))}")
