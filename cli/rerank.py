"""`hardcut rerank`: a TREC run in, a TREC run out."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

from hardcut.cli.terminal import output, plain
from hardcut.pipeline.rerank import Reranking
from hardcut.pipeline.rerank import rerank as rerank_run
from hardcut.reranker.reranking import RerankSummary


def rerank(reranking: Reranking, *, as_json: bool) -> int:
    """Reranks and says what was done; 1 where something could not be scored."""
    done = asyncio.run(rerank_run(reranking))
    if as_json:
        print(json.dumps({"out": str(reranking.out), **asdict(done)}, indent=2))
    else:
        _print(done, reranking.out)
    return 1 if done.unknown_queries or done.missing_videos or done.failed else 0


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
