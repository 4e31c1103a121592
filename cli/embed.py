"""`hardcut embed` and `hardcut search`: vectors, and a TREC run out of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hardcut.cli.terminal import output, plain
from hardcut.pipeline.embed import Embedding
from hardcut.pipeline.embed import embed as make_vectors
from hardcut.pipeline.embed import search as search_vectors

if TYPE_CHECKING:
    from hardcut.embedder.embedding import Embedded


def embed(embedding: Embedding, *, as_json: bool) -> int:
    """Makes vectors and says what was done; 1 where something has none."""
    done = make_vectors(embedding)
    if as_json:
        print(json.dumps({"out": str(embedding.out), **asdict(done)}, indent=2))
    else:
        _print(done, embedding.out)
    return 1 if done.left_out else 0


def search(vectors: Path, out: Path, queries: Path | None, among: str | None, depth: int, *, as_json: bool) -> int:
    """Writes a run and says how large it is."""
    done = search_vectors(vectors, out, queries, among, depth)
    if as_json:
        print(json.dumps({"out": str(out), **asdict(done)}, indent=2))
    else:
        output().print(f"searched  {done.documents:,} {done.kind} for {done.queries:,} queries")
        output().print(f"run       {plain(str(out))}")
    return 0


def _print(done: Embedded, out: Path) -> None:
    console = output()
    counts = ", ".join(f"{count:,} {kind}" for kind, count in done.vectors.items())
    console.print(f"vectors   {counts or 'none'} of {done.dimension:,} numbers; {done.made:,} made now")
    for each in done.left_out:
        console.print(f"left out  {plain(each.item)}: {each.reason}: {plain(each.detail)}")
    console.print(f"folder    {plain(str(out))}")
