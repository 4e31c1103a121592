"""A first stage's run in, the reranker's out: by video, so that each is decoded once and encoded once for all queries.

What is scored is written down as it comes (`OUT.partial.jsonl`), so that an interrupted call goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hardcut.engine.files import atomic_writer, storage_error
from hardcut.media.ingest import ingest
from hardcut.reranker.reference import reference_frames
from hardcut.schemas.errors import DropItem, HardcutError, ItemError, UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.settings import MediaSettings
from hardcut.schemas.shown import digest_in
from hardcut.schemas.trec import Run, format_run, ranking
from hardcut.teacher.confidence import first_token_answer
from hardcut.teacher.local.generation import Generated, GenerationFailed, Prompt, Scored, pair_prompt

TAG = "hardcut"
SHOWN = ".shown.json"
"""Behind the name of a run: who scored it, and how that model was shown pairs."""
_SCORES = "float32"
"""How scores are made: those that were made in another way do not go on with these."""
_AHEAD = 3
"""Videos in work at a time: while one is scored, frames of the next are read."""


Frames = tuple[tuple[Path, float], ...]
"""Stored frames with their times."""


class Scorer(Protocol):
    """A model in a process of its own (`teacher/local/process.py`), or behind servers (`servers.py`)."""

    async def generate(self, prompts: Sequence[Prompt]) -> Sequence[Generated | Scored | GenerationFailed]:
        """One result for each prompt, or one failure for all."""
        ...


@dataclass(frozen=True, slots=True)
class RerankJob:
    """What is reranked: the best `depth` of each query of a run, by the texts of the queries, with the videos' files by
    id. `model` names the scorer, for going on after an interruption.

    `prior` is how much of a video's score under a query without words is taken from its scores: some videos score high
    whatever is asked (candidate prior normalization: BLiM, arXiv 2507.23284). `spellings`: as of a profile
    (`teacher/local/profiles.py`). `references` are the ids of the videos that composed queries start from, by query:
    they are shown before the others, with half as many frames."""

    run: Run
    queries: Mapping[str, str]
    videos: Mapping[str, Path]
    out: Path
    store: Path
    media: MediaSettings
    model: str
    depth: int
    frames: int
    prior: float = 0.0
    spellings: bool = False
    references: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RerankSummary:
    """What was done: pairs scored, queries without a text, videos without a file or frames (why, by id), and pairs
    that the model could not score (why, by `query video`). `shown`: how the model was shown pairs
    (`schemas/shown.py`), which `OUT.shown.json` keeps; None of a server, of which nobody knows it."""

    pairs: int
    unknown_queries: tuple[str, ...]
    missing_videos: Mapping[str, str]
    failed: Mapping[str, str]
    cached_tokens: int
    prompt_tokens: int
    shown: str | None = None


async def rerank(job: RerankJob, scorer: Scorer) -> RerankSummary:
    """Scores and writes the run. Pairs that could not be scored stand below those that were, and so do all below
    `depth`. They keep the first stage's order; a query without a text keeps the first stage's order.

    Raises StorageError; MissingDependency or UsageError where the model cannot be loaded.
    """
    unknown = tuple(sorted(query for query in job.run if query not in job.queries))
    asked: defaultdict[str, list[str]] = defaultdict(list)
    for query in sorted(set(job.run) & set(job.queries)):
        for video in ranking(job.run[query])[: job.depth]:
            asked[video].append(query)
    missing = {video: "no such video in the folder" for video in sorted(asked) if video not in job.videos}
    partial = job.out.with_name(f"{job.out.name}.partial.jsonl")
    settings = [job.depth, job.frames, job.prior, job.media.model_dump(mode="json")]
    how = [*settings, "spellings"] if job.spellings else settings
    book = _Book(partial, digest(_SCORES, job.model, how, _job_identity(job)))
    work = _Work(job, scorer, book, missing)
    waiting = asyncio.Semaphore(_AHEAD)

    async def one(video: str) -> None:
        async with waiting:
            await work.score(video, asked[video])

    try:
        async with asyncio.TaskGroup() as tasks:
            for video in sorted(set(asked) - set(missing)):
                tasks.create_task(one(video))
    except* HardcutError as group:  # the first says what is wrong
        raise group.exceptions[0] from None
    finally:
        book.close()
    with atomic_writer(job.out) as file:
        file.writelines(format_run(dict(_ordered(job, book.scores)), TAG))
    with atomic_writer(job.out.with_name(f"{job.out.name}{SHOWN}")) as file:
        json.dump({"model": job.model, "shown": book.shown, "depth": job.depth, "frames": job.frames}, file, indent=1)
        file.write("\n")
    partial.unlink(missing_ok=True)
    pairs = sum(len(scores) for scores in book.scores.values())
    return RerankSummary(pairs, unknown, work.missing, work.failed, work.cached, work.prompted, book.shown)


def score(result: Generated | Scored | GenerationFailed, spellings: bool = False) -> float:
    """What a reranker ranks by: the margin of the words yes and no, or of all their `spellings` together. Raises
    ItemError where the model gave none."""
    if isinstance(result, GenerationFailed):
        raise ItemError(result.reason, result.detail)
    if isinstance(result, Scored):
        return result.value
    answer = first_token_answer(result.scores)
    if answer is not None and spellings and answer.logprob_yes is not None and answer.logprob_no is not None:
        return answer.logprob_yes - answer.logprob_no
    if answer is None or answer.token_yes is None or answer.token_no is None:
        raise ItemError("no_score", "the model gave yes or no no score")
    return answer.token_yes - answer.token_no


class _Work:
    """Scores videos, and counts what went wrong."""

    def __init__(self, job: RerankJob, scorer: Scorer, book: _Book, missing: Mapping[str, str]) -> None:
        self._job, self._scorer, self._book = job, scorer, book
        self.missing = dict(missing)
        self.failed: dict[str, str] = {}
        self.cached = self.prompted = 0

    async def score(self, video: str, queries: Sequence[str]) -> None:
        known = self._book.scores[video]
        queries = [query for query in queries if query not in known]
        if not queries:
            return
        try:
            frames = await asyncio.to_thread(self._frames, video)
        except (ItemError, DropItem) as error:
            self.missing[video] = str(error)
            return
        by_reference: defaultdict[str | None, list[str]] = defaultdict(list)
        for query in queries:
            by_reference[self._job.references.get(query)].append(query)
        for reference, of in by_reference.items():
            try:
                shown = () if reference is None else await asyncio.to_thread(self._reference, reference)
            except (ItemError, DropItem) as error:
                why = f"the video {reference}, which the query starts from: {error}"
                self.failed |= {f"{query} {video}": why for query in of}
                continue
            await self._score(video, of, frames, shown)

    async def _score(self, video: str, queries: Sequence[str], frames: Frames, reference: Frames) -> None:
        """Scores queries that start from the same video, or from none."""
        texts = [self._job.queries[query] for query in queries] + [""] * bool(self._job.prior)
        prompts = [pair_prompt(text, frames, reference) for text in texts]
        results = list(await self._scorer.generate(prompts))
        if len(results) != len(prompts):  # one failure for all: the process died
            results = results * len(prompts)
        for result in results:
            if not isinstance(result, GenerationFailed):
                self.cached += result.tokens.cached
                self.prompted += result.tokens.prompt
        try:
            prior = self._job.prior * score(results[-1], self._job.spellings) if self._job.prior else 0.0
        except ItemError as error:
            self.missing[video] = f"its score under a query without words: {error}"
            return
        scores = {}
        for query, result in zip(queries, results, strict=False):
            try:
                scores[query] = score(result, self._job.spellings) - prior
            except ItemError as error:
                self.failed[f"{query} {video}"] = str(error)
        shown = next((each.shown for each in results if isinstance(each, Generated)), None)
        self._book.add(video, scores, shown)

    def _frames(self, video: str, most: int | None = None) -> Frames:
        """Probes the file; decodes it only where its frames are not stored."""
        found = ingest(str(self._job.videos[video]), str(self._job.store), self._job.media).frames
        return tuple((frame.path, frame.time_s) for frame in found.spread(most or self._job.frames))

    def _reference(self, video: str) -> Frames:
        """Raises ItemError where it is not there."""
        if video not in self._job.videos:
            raise ItemError("no_reference", "no such video in the folder")
        return self._frames(video, reference_frames(self._job.frames))


class _Book:
    """Scores by video by query, a line for each video as it is done; those of the same job are read back."""

    def __init__(self, path: Path, key: str) -> None:
        self.scores: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self.shown: str | None = None
        self._path = path
        lines = _whole_lines(path)
        same = next(lines, None) == {"key": key}
        try:
            if same:
                for line in lines:
                    self.scores[line["video"]].update(line["scores"])
                    self._note(line.get("shown"))
            self._file = path.open("a" if same else "w", encoding="utf-8")
            if not same:
                self._write({"key": key})
            elif not path.read_bytes().endswith(b"\n"):
                self._file.write("\n")  # a line that was cut off: it is passed over
        except OSError as error:
            raise storage_error(path, error) from error

    def add(self, video: str, scores: Mapping[str, float], shown: str | None = None) -> None:
        """Raises UsageError where the model was shown these pairs otherwise than those before."""
        self._note(shown)
        self.scores[video].update(scores)
        if scores:
            self._write({"video": video, "scores": dict(scores), **({"shown": shown} if shown else {})})

    def _note(self, shown: str | None) -> None:
        if shown and self.shown and digest_in(shown) != digest_in(self.shown):
            raise UsageError(
                f"{self._path}: has scores of pairs that were shown as {self.shown}, and now it is as {shown}: "
                "remove it, so that all are scored alike"
            )
        self.shown = self.shown or shown

    def close(self) -> None:
        with suppress(OSError):  # what did not get to the disk was told when it was written
            self._file.close()

    def _write(self, line: Mapping[str, object]) -> None:
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as error:
            raise storage_error(Path(self._file.name), error) from error


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                found = json.loads(line)
            except ValueError:
                continue  # cut off when the call was interrupted
            if isinstance(found, dict):
                yield found


def _ordered(job: RerankJob, scores: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, dict[str, float]]]:
    """Each query's scores, with what has none below the least of them, a step of 1 apart."""
    for query, first in job.run.items():
        if query not in job.queries:
            yield query, dict(first)
            continue
        found = {video: scores[video][query] for video in first if query in scores.get(video, {})}
        rest = [video for video in ranking(first) if video not in found]
        least = min(found.values(), default=0.0)
        yield query, found | {video: least - place for place, video in enumerate(rest, 1)}


def _job_identity(job: RerankJob) -> list[object]:
    """What of the job decides its scores: texts, files by size and time of change."""
    files = []
    references = {query: job.references[query] for query in sorted(set(job.run) & set(job.references))}
    videos = {video for scores in job.run.values() for video in scores} | set(references.values())
    for video in sorted(videos & set(job.videos)):
        status = job.videos[video].stat()
        files.append([video, status.st_size, status.st_mtime_ns])
    texts = {query: job.queries[query] for query in sorted(job.run) if query in job.queries}
    return [texts, files, *([references] if references else ())]
