"""What an importer makes of other people's files: the inputs of `hardcut run`, and a list of what was left out."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hardcut.engine.files import atomic_writer
from hardcut.schemas.base import Frozen
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Dropped, Id, Span
from hardcut.schemas.trec import format_run

VIDEO_SUFFIXES = (".mp4", ".webm", ".mkv", ".mov", ".avi", ".m4v")


class Rating(Frozen):
    """What one annotator said, of the whole video or of a stretch of it."""

    annotator: str
    grade: int
    span: Span | None = None


class ImportedJudgment(Frozen):
    """A judgment of others: `grade` as published; `ratings` where several annotators or several moments were graded."""

    query_id: Id
    video_id: Id
    grade: int
    spans: tuple[Span, ...] = ()
    ratings: tuple[Rating, ...] = ()
    teacher_p_yes: float | None = None
    teacher_reasoning: str | None = None


@dataclass(slots=True)
class Imported:
    """Collects what is found. Every method takes ids as the source has them: text or whole numbers."""

    source: str
    queries: dict[str, dict[str, Any]] = field(default_factory=dict)
    videos: dict[str, dict[str, Any]] = field(default_factory=dict)
    judgments: dict[tuple[str, str], list[ImportedJudgment]] = field(default_factory=lambda: defaultdict(list))
    first_stage: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    skipped: list[Dropped] = field(default_factory=list)

    def query(self, where: str, id: object, text: object, **more: Any) -> str | None:
        """Adds a query; one that is there already with the same words is the same. Its id, or `None` where skipped."""
        query_id = identifier(where, "query", id)
        words = " ".join(text.split()) if isinstance(text, str) else ""
        if not words:
            self.skip(where, "no_text", f"query {query_id} has no text")
            return None
        known = self.queries.get(query_id)
        if known is not None and known["query"] != words:
            raise UsageError(f"{where}: query {query_id} has another text before: {known['query']!r}")
        self.queries[query_id] = {"query_id": query_id, "query": words, **_given(more)}
        return query_id

    def video(self, where: str, id: object, **metadata: Any) -> str:
        """Adds a video, or more about one."""
        video_id = identifier(where, "video", id)
        self.videos.setdefault(video_id, {}).update(_given(metadata))
        return video_id

    def judgment(self, where: str, query: object, video: object, grade: object, **more: Any) -> None:
        """Adds a judgment; of the same pair there may be several, by several annotators."""
        if isinstance(grade, str) and grade.strip().lstrip("-").isdigit():
            grade = int(grade)
        if isinstance(grade, float) and grade.is_integer():
            grade = int(grade)
        if isinstance(grade, bool) or not isinstance(grade, int):
            raise UsageError(f"{where}: the judgment {grade!r} is not a whole number")
        query_id, video_id = identifier(where, "query", query), self.video(where, video)
        try:
            told = ImportedJudgment(query_id=query_id, video_id=video_id, grade=grade, **more)
        except ValueError as error:
            raise UsageError(f"{where}: {' '.join(str(error).split())}") from error
        self.judgments[query_id, video_id].append(told)

    def hit(self, where: str, query: object, video: object, score: object) -> None:
        """Adds a line of a first stage."""
        if isinstance(score, bool) or not isinstance(score, int | float) or not abs(score) < float("inf"):
            raise UsageError(f"{where}: the score {score!r} is not a number")
        query_id, video_id = identifier(where, "query", query), self.video(where, video)
        self.first_stage[query_id][video_id] = float(score)

    def skip(self, item: str, reason: str, detail: str) -> None:
        """Notes what is left out."""
        self.skipped.append(Dropped.create(item=item, stage=f"import {self.source}", reason=reason, detail=detail))

    def settled(self) -> list[ImportedJudgment]:
        """One judgment a pair, sorted. Of several annotators the grade that more than half of them gave; where there is
        none, or no such query, the pair is skipped."""
        found = []
        for (query_id, video_id), told in sorted(self.judgments.items()):
            votes = Counter(one.grade for one in told)
            grade, count = votes.most_common(1)[0]
            if query_id not in self.queries:
                self.skip(f"{query_id} {video_id}", "no_query", "judged, and no text of the query is given")
            elif 2 * count <= len(told):
                detail = ", ".join(f"{n} x {value}" for value, n in sorted(votes.items()))
                self.skip(f"{query_id} {video_id}", "annotators_disagree", detail)
            else:
                ratings = tuple(Rating(annotator=str(n), grade=one.grade) for n, one in enumerate(told, 1))
                first = next(one for one in told if one.grade == grade)
                found.append(first if len(told) == 1 else first.model_copy(update={"ratings": ratings}))
        return found


@dataclass(frozen=True, slots=True)
class Written:
    """What an import wrote, in numbers, and what it skipped, by reason."""

    out: Path
    queries: int
    videos: int
    judgments: int
    grades: Mapping[int, int]
    first_stage: int
    skipped: Mapping[str, int]


def write_import(found: Imported, out: Path, videos: Path | None = None) -> Written:
    """Writes the inputs of a run to the folder `out`: manifest.jsonl, queries.jsonl, judgments.jsonl, qrels.txt,
    first_stage.trec where there is one, and skipped.jsonl.

    With the folder of the videos each is looked up by its id, and one that is not there is skipped; without it the
    manifest names `ID.mp4`. Raises UsageError where there is nothing to write or `out` has something in it.
    """
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty: name a new folder for the import")
    files = _files(videos) if videos is not None else None
    paths = {}
    for video_id in sorted(found.videos):
        path = f"{video_id}.mp4" if files is None else files.get(video_id)
        if path is None:
            found.skip(video_id, "no_file", f"no file of this name in {videos.name if videos else ''}")
        else:
            paths[video_id] = path
    judgments = [one for one in found.settled() if _known(found, one, paths)]
    if not found.queries or not paths:
        raise UsageError(
            f"{found.source}: no {'query' if not found.queries else 'video'} found, so nothing was written"
        )
    out.mkdir(parents=True, exist_ok=True)
    manifest = [{"path": path, "video_id": id, **found.videos[id]} for id, path in paths.items()]
    queries = [found.queries[id] for id in sorted(found.queries)]
    _write(out / "manifest.jsonl", (_json(row) for row in manifest))
    _write(out / "queries.jsonl", (_json(row) for row in queries))
    _write(out / "judgments.jsonl", (one.model_dump_json(exclude_none=True) for one in judgments))
    _write(
        out / "qrels.txt", (f"{one.query_id} 0 {one.video_id} {one.grade}" for one in judgments if _fits(found, one))
    )
    run = {
        query: kept
        for query, hits in found.first_stage.items()
        if query in found.queries and (kept := {video: score for video, score in hits.items() if video in paths})
    }
    if run:
        _write(out / "first_stage.trec", (line.rstrip("\n") for line in format_run(run, found.source)))
    _write(out / "skipped.jsonl", (one.model_dump_json() for one in found.skipped))
    return Written(
        out, len(queries), len(paths), len(judgments),
        dict(sorted(Counter(one.grade for one in judgments).items())), sum(map(len, run.values())),
        dict(sorted(Counter(one.reason for one in found.skipped).items())),
    )  # fmt: skip


def identifier(where: str, kind: str, value: object) -> str:
    """An id as text: text or a whole number. Raises UsageError naming file and line for anything else."""
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise UsageError(f"{where}: the {kind}'s id is {value!r}: text or a whole number is expected")


def _known(found: Imported, one: ImportedJudgment, paths: Mapping[str, str]) -> bool:
    if one.video_id not in paths:
        found.skip(f"{one.query_id} {one.video_id}", "no_video", "judged, and the video is not there")
    return one.video_id in paths


def _fits(found: Imported, one: ImportedJudgment) -> bool:
    """Whether the ids can stand in a TREC file; where not, the judgment is in judgments.jsonl alone."""
    fits = one.query_id.split() == [one.query_id] and one.video_id.split() == [one.video_id]
    if not fits:
        found.skip(f"{one.query_id} {one.video_id}", "not_in_qrels", "an id with white space, which TREC cannot hold")
    return fits


def _files(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder of videos")
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            name = path.relative_to(folder).as_posix()
            for key in (path.stem, name.rsplit(".", 1)[0]):
                found.setdefault(key, name)
    return found


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _write(path: Path, lines: Iterable[str]) -> None:
    with atomic_writer(path) as file:
        file.writelines(line + "\n" for line in lines)
