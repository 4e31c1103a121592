"""A trained reranker, for scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hardcut.engine.background import background
from hardcut.engine.closing import Closing
from hardcut.media.ingest import ingest
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.rerank import ChosenModel, choose_model
from hardcut.reranker.reranking import score
from hardcut.schemas.config import load_settings
from hardcut.schemas.settings import Settings
from hardcut.teacher.local.generation import pair_prompt
from hardcut.teacher.local.process import ModelProcess

PathLike = str | Path


class Reranker(Closing):
    """A reranker; `hardcut.load_reranker` makes it. The model runs in a separate process, which the first call starts.
    Call `close`, or use a `with` block, to free the memory."""

    def __init__(self, model: ChosenModel, store: Path) -> None:
        self._model = model
        self._store = store
        self._process = ModelProcess(model.kind, model.options)
        self._closing = background.close_with(self, self._process.close)

    def scores(self, query: str, videos: Sequence[PathLike]) -> list[float]:
        """How well each video answers the query, in the order of `videos`. A score is log p(yes) - log p(no) of the
        model's first word; higher is better. A video is decoded once, and its frames are kept in the cache.

        Raises ItemError naming the video that cannot be read or scored, MissingDependency or UsageError where the model
        cannot be loaded.
        """
        return background.run(self._scores(query, [Path(video) for video in videos]))

    def rank(self, query: str, videos: Sequence[PathLike]) -> list[tuple[Path, float]]:
        """The videos with their scores, the best first. Videos of the same score keep the order of `videos`."""
        paths = [Path(video) for video in videos]
        return sorted(zip(paths, self.scores(query, paths), strict=True), key=lambda found: -found[1])

    def close(self) -> None:
        """Ends the model's process. The next call starts it again."""
        background.run(self._process.close())

    def __repr__(self) -> str:
        return f"<reranker {self._model.kind}:{self._model.options.model}>"

    async def _scores(self, query: str, videos: Sequence[Path]) -> list[float]:
        frames = [await asyncio.to_thread(self._frames, video) for video in videos]
        results = await self._process.generate([pair_prompt(query, each) for each in frames])
        if len(results) != len(videos):  # one failure for all: the process died
            results = results * len(videos)
        return [score(result) for result in results]

    def _frames(self, video: Path) -> tuple[tuple[Path, float], ...]:
        stored = ingest(str(video), str(self._store), self._model.media).frames
        return tuple((frame.path, frame.time_s) for frame in stored.spread(self._model.frames))


def load_reranker(
    model: PathLike,
    *,
    revision: str | None = None,
    settings: Settings | PathLike | None = None,
    cache: PathLike | None = None,
    **overrides: Any,
) -> Reranker:
    """Opens a reranker that `hardcut train` wrote, or another Qwen3-VL reranker. `model` is its folder, its name on the
    Hub, or `vllm:MODEL`. Nothing is loaded before the first call.

    Examples:
        >>> model = hardcut.load_reranker("models/first")  # doctest: +SKIP
        >>> model.scores("the lid closes before the light goes out", ["a.mp4", "b.mp4"])  # doctest: +SKIP
    """
    source = settings if settings is None or isinstance(settings, Settings) else Path(settings)
    chosen = choose_model(str(model), revision, load_settings(source, overrides))
    return Reranker(chosen, cache_folder(Path(cache) if cache is not None else None).frames)
