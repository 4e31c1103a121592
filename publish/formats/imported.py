"""The result of an importer: the inputs of `hardcut run`, and a list of what was left out."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import Field

from hardcut.engine.files import atomic_writer
from hardcut.media.video_files import VIDEO_SUFFIXES
from hardcut.publish._folder import new_folder
from hardcut.publish.given_splits import SPLIT_NAMES
from hardcut.publish.splits import SPLITS
from hardcut.schemas.base import Frozen
from hardcut.schemas.errors import UsageError
from hardcut.schemas.limits import MAX_GRADE, checked_id, shown
from hardcut.schemas.records import Dropped, Id, Span, Split
from hardcut.schemas.trec import format_run

SPLIT_FIELD = "split"
"""Where a run looks for the split of a query, and of a video unless `export.split_field` says otherwise."""
_GRADE = re.compile(r"-?[0-9]{1,20}")


class Rating(Frozen):
    """One annotator's grade, of the whole video or of a stretch of it."""

    annotator: str
    grade: int = Field(ge=-MAX_GRADE, le=MAX_GRADE)
    span: Span | None = None


class ImportedJudgment(Frozen):
    """An imported judgment. `grade` is as published. `ratings` are those of several annotators or moments."""

    query_id: Id
    video_id: Id
    grade: int
    spans: tuple[Span, ...] = ()
    ratings: tuple[Rating, ...] = ()
    teacher_p_yes: float | None = None
    teacher_reasoning: str | None = None


@dataclass(slots=True)
class Imported:
    """Collects what an importer reads. Every method takes ids as the source has them: text or whole numbers."""

    source: str
    queries: dict[str, dict[str, Any]] = field(default_factory=dict)
    videos: dict[str, dict[str, Any]] = field(default_factory=dict)
    judgments: dict[tuple[str, str], list[ImportedJudgment]] = field(default_factory=lambda: defaultdict(list))
    first_stage: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    run: str | None = None
    """The name of the first stage, where its files have one."""
    paths: dict[str, str] = field(default_factory=dict)
    """The path of a video in its collection, where the source has one."""
    skipped: list[Dropped] = field(default_factory=list)
    _used: dict[str, Split] = field(default_factory=dict)
    _said: defaultdict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """The query of each sentence, by video."""

    def query(self, where: str, id: object, text: object, **more: Any) -> str | None:
        """Adds a query and returns its id, or `None` where it is skipped. The same words under one id are one query."""
        query_id = identifier(where, "query", id)
        words = " ".join(text.split()) if isinstance(text, str) else ""
        if not words:
            self.skip(where, "no_text", f"query {query_id} has no text")
            return None
        if SPLIT_FIELD in more:  # `hardcut run` takes a query's split by our names alone
            more[SPLIT_FIELD] = SPLIT_NAMES.get(str(more[SPLIT_FIELD]).casefold())
        known = self.queries.setdefault(query_id, {"query_id": query_id, "query": words})
        if known["query"] != words:
            raise UsageError(f"{where}: query {query_id} has another text before: {known['query']!r}")
        self._add(where, f"query {query_id}", known, more)
        return query_id

    def said(self, where: str, video: object, text: object, spans: tuple[Span, ...] = (), **more: Any) -> str | None:
        """Adds a sentence that somebody wrote of a video: a query that it answers. `id` is its id in the source, else
        it is counted for the video; `ratings` are those of its judgment. The same words for one video are one query,
        and one with a moment asks for it."""
        video_id = self.video(where, video)
        words = " ".join(text.split()) if isinstance(text, str) else ""
        if words and words in self._said[video_id]:
            self._also(self._said[video_id][words], video_id, spans)
            self.skip(where, "repeated", f"{words!r} is there already for {video_id}; its moment is kept")
            return None
        ratings, own = more.pop("ratings", ()), more.pop("id", None)
        id = f"{video_id}#{len(self._said[video_id])}" if own is None else own
        query_id = self.query(where, id, text, **({"kind": "moment"} if spans else {}), **more)
        if query_id is not None:
            self._said[video_id][words] = query_id
            self.judgment(where, query_id, video_id, 1, spans=spans, ratings=ratings)
        return query_id

    def _also(self, query_id: str, video_id: str, spans: tuple[Span, ...]) -> None:
        """Adds moments to what is known of a sentence."""
        first, *others = self.judgments[query_id, video_id]
        more = tuple(span for span in spans if span not in first.spans)
        self.judgments[query_id, video_id] = [first.model_copy(update={"spans": (*first.spans, *more)}), *others]
        if first.spans or more:
            self.queries[query_id]["kind"] = "moment"

    def asked_in(self, split: Split | None, query: object, video: object) -> None:
        """Notes that a list of one split asks for a pair. The split is the query's. A video has that of the first list
        that asks for it, in the order train, validation, test: a split may ask for videos of the ones before it."""
        if split is None:
            return
        query_id, video_id = str(query).strip(), str(video).strip()
        if query_id in self.queries:
            self._add(query_id, f"query {query_id}", self.queries[query_id], {SPLIT_FIELD: split})
        self._used[video_id] = min(split, self._used.get(video_id, split), key=SPLITS.index)

    def video(self, where: str, id: object, **metadata: Any) -> str:
        """Adds a video, or more fields of one."""
        video_id = identifier(where, "video", id)
        self._add(where, f"video {video_id}", self.videos.setdefault(video_id, {}), metadata)
        return video_id

    def _add(self, where: str, named: str, known: dict[str, Any], more: Mapping[str, Any]) -> None:
        """Adds fields of a query or a video. With two splits, the one that is held out more wins, and this is noted."""
        given = {name: value for name, value in more.items() if value not in (None, "", [], {})}
        splits = [str(about[SPLIT_FIELD]) for about in (known, given) if SPLIT_FIELD in about]
        if len(set(splits)) == 2:
            given[SPLIT_FIELD] = max(splits, key=_held_out)
            self.skip(where, "two_splits", f"{named} is in {' and in '.join(splits)}: {given[SPLIT_FIELD]} it is")
        known.update(given)

    def judgment(self, where: str, query: object, video: object, grade: object, **more: Any) -> None:
        """Adds a judgment. A pair may have several, by several annotators."""
        if isinstance(grade, str) and _GRADE.fullmatch(grade.strip()):
            grade = int(grade)
        if isinstance(grade, float) and grade.is_integer():
            grade = int(grade)
        if isinstance(grade, bool) or not isinstance(grade, int) or abs(grade) > MAX_GRADE:
            raise UsageError(f"{where}: the judgment {shown(grade)} is not a whole number of at most {MAX_GRADE:,}")
        query_id, video_id = identifier(where, "query", query), self.video(where, video)
        try:
            judgment = ImportedJudgment(query_id=query_id, video_id=video_id, grade=grade, **more)
        except ValueError as error:
            raise UsageError(f"{where}: {' '.join(str(error).split())}") from error
        self.judgments[query_id, video_id].append(judgment)

    def located(self, video_id: str, paths: object) -> None:
        """Notes the path of a video inside its collection, given as a list that it heads; any other is no use here."""
        path = PurePosixPath(paths[0]) if isinstance(paths, list) and paths and isinstance(paths[0], str) else None
        if path is not None and path.suffix and not path.is_absolute() and ".." not in path.parts:
            self.paths.setdefault(video_id, path.as_posix())

    def of_run(self, where: str, name: str) -> None:
        """Says whose hits follow. Raises UsageError where others are here already: their scores do not compare."""
        if self.run not in (None, name):
            raise UsageError(f"{where}: the first stage {name!r} beside {self.run!r}: import one first stage at a time")
        self.run = name

    def hit(self, where: str, query: object, video: object, score: object) -> None:
        """Adds a line of a first stage."""
        if isinstance(score, bool) or not isinstance(score, int | float) or not abs(score) < float("inf"):
            raise UsageError(f"{where}: the score {shown(score)} is not a number")
        query_id, video_id = identifier(where, "query", query), self.video(where, video)
        if self.first_stage[query_id].setdefault(video_id, float(score)) != score:
            raise UsageError(f"{where}: has another score before: import one first stage at a time")

    def skip(self, item: str, reason: str, detail: str) -> None:
        """Notes an item that is left out."""
        self.skipped.append(Dropped.create(item=item, stage=f"import {self.source}", reason=reason, detail=detail))

    def told_of(self, video_id: str) -> dict[str, Any]:
        """The metadata of a video: its own split, else that of the first list that asks for it."""
        used = self._used.get(video_id)
        return {**({SPLIT_FIELD: used} if used else {}), **self.videos[video_id]}

    def settled(self) -> list[ImportedJudgment]:
        """One judgment a pair, sorted. Of several annotators the grade that more than half of them gave; where there is
        none, or no such query, the pair is skipped."""
        found = []
        for (query_id, video_id), of_pair in sorted(self.judgments.items()):
            votes = Counter(one.grade for one in of_pair)
            grade, count = votes.most_common(1)[0]
            if query_id not in self.queries:
                self.skip(f"{query_id} {video_id}", "no_query", "judged, and no text of the query is given")
            elif 2 * count <= len(of_pair):
                detail = ", ".join(f"{n} x {value}" for value, n in sorted(votes.items()))
                self.skip(f"{query_id} {video_id}", "annotators_disagree", detail)
            else:
                ratings = tuple(Rating(annotator=str(n), grade=one.grade) for n, one in enumerate(of_pair, 1))
                first = next(one for one in of_pair if one.grade == grade)
                found.append(first if len(of_pair) == 1 else first.model_copy(update={"ratings": ratings}))
        return found


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """The numbers of what an import wrote, and of what it skipped, by reason. `splits` has the queries of each split,
    and under `none` those for which no file gave one."""

    out: Path
    queries: int
    splits: Mapping[str, int]
    videos: int
    judgments: int
    grades: Mapping[int, int]
    first_stage: int
    skipped: Mapping[str, int]


def write_import(found: Imported, out: Path, videos: Path | None = None) -> ImportSummary:
    """Writes the inputs of a run to the folder `out`: manifest.jsonl, queries.jsonl, judgments.jsonl, qrels.txt,
    first_stage.trec where there is one, and skipped.jsonl.

    With the folder of the videos each is looked up by its id, and one that is not there is skipped; without it the
    manifest names the path that its source gives, else `ID.mp4`. Raises UsageError where there is nothing to write or
    `out` has something in it.
    """
    files = _files(videos, found.videos) if videos is not None else None
    packed = videos is not None and any(videos.rglob("*.tar"))
    where = f"{videos.name if videos else ''}{': unpack its .tar files first' if packed else ''}"
    paths = {}
    for video_id in sorted(found.videos):
        names = [found.paths.get(video_id, f"{video_id}.mp4")] if files is None else files[video_id]
        if not names:
            found.skip(video_id, "no_file", f"no file of this name in {where}")
        elif len(names) > 1:
            found.skip(video_id, "ambiguous_file", f"{len(names)} files of this name: {', '.join(names[:3])}")
        else:
            paths[video_id] = names[0]
    _without_reference(found, paths)
    judgments = [one for one in found.settled() if _known(found, one, paths)]
    if not found.queries or not paths:
        raise UsageError(
            f"{found.source}: no {'query' if not found.queries else 'video'} found, so nothing was written"
        )
    manifest = [{"path": path, "video_id": id, **found.told_of(id)} for id, path in paths.items()]
    queries = [found.queries[id] for id in sorted(found.queries)]
    qrels = [f"{one.query_id} 0 {one.video_id} {one.grade}" for one in judgments if _fits(found, one)]
    run = _run(found, paths)
    with new_folder(out) as folder:
        _write(folder / "manifest.jsonl", (_json(row) for row in manifest))
        _write(folder / "queries.jsonl", (_json(row) for row in queries))
        _write(folder / "judgments.jsonl", (one.model_dump_json(exclude_none=True) for one in judgments))
        _write(folder / "qrels.txt", qrels)
        if run:
            _write(
                folder / "first_stage.trec", (line.rstrip("\n") for line in format_run(run, found.run or found.source))
            )
        _write(folder / "skipped.jsonl", (one.model_dump_json() for one in found.skipped))
    return ImportSummary(
        out, len(queries), _by_split(queries), len(paths), len(judgments),
        dict(sorted(Counter(one.grade for one in judgments).items())), sum(map(len, run.values())),
        dict(sorted(Counter(one.reason for one in found.skipped).items())),
    )  # fmt: skip


def _by_split(queries: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    counts = Counter(str(row.get(SPLIT_FIELD, "none")) for row in queries)
    return {name: counts[name] for name in (*SPLITS, "none") if counts[name]}


def _without_reference(found: Imported, paths: Mapping[str, str]) -> None:
    """Takes out composed queries whose reference video is not there: nobody could tell what they ask for."""
    gone = {
        id: row["reference_video_id"]
        for id, row in found.queries.items()
        if row.get("reference_video_id") is not None and row["reference_video_id"] not in paths
    }
    for id, video in gone.items():
        found.skip(id, "no_reference", f"it starts from the video {video}, which is not there")
        del found.queries[id]
    for pair in [pair for pair in found.judgments if pair[0] in gone]:
        del found.judgments[pair]


def identifier(where: str, kind: str, value: object) -> str:
    """An id as text: text or a whole number. Raises UsageError naming file and line for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).strip():
        raise UsageError(f"{where}: the {kind}'s id is {shown(value)}: text or a whole number is expected")
    try:
        return checked_id(str(value).strip())
    except ValueError as error:
        raise UsageError(f"{where}: the {kind}'s id {shown(value)} {error}") from error


def _known(found: Imported, one: ImportedJudgment, paths: Mapping[str, str]) -> bool:
    if one.video_id not in paths:
        found.skip(f"{one.query_id} {one.video_id}", "no_video", "judged, and the video is not there")
    return one.video_id in paths


def _fits(found: Imported, one: ImportedJudgment) -> bool:
    """Whether the ids can stand in a TREC file; where not, the judgment is in judgments.jsonl alone."""
    fits = _one_column(one.query_id) and _one_column(one.video_id)
    if not fits:
        found.skip(f"{one.query_id} {one.video_id}", "not_in_qrels", "an id with white space, which TREC cannot hold")
    return fits


def _run(found: Imported, paths: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """The first stage, as far as query and video are there and their ids can stand in a TREC run."""
    run: dict[str, dict[str, float]] = {}
    for query, hits in found.first_stage.items():
        if query not in found.queries:
            found.skip(query, "no_query", f"{len(hits)} lines of the first stage, and no text of the query is given")
            continue
        kept = {video: score for video, score in hits.items() if video in paths}
        fit = {video: score for video, score in kept.items() if _one_column(query) and _one_column(video)}
        if fit:
            run[query] = fit
        if len(fit) < len(kept):
            detail = f"{len(kept) - len(fit)} lines with an id with white space, which TREC cannot hold"
            found.skip(query, "not_in_first_stage", detail)
    return run


def _one_column(id: str) -> bool:
    return id.split() == [id]


def _files(folder: Path, ids: Iterable[str]) -> dict[str, list[str]]:
    """The files that each id may mean. A path inside the folder is surer than a name, and either with its ending is
    surer than without: the first of these that is there decides."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder of videos")
    ways: list[defaultdict[str, list[str]]] = [defaultdict(list) for _ in range(4)]
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            inside = path.relative_to(folder)
            name = inside.as_posix()
            for way, key in zip(ways, (name, inside.with_suffix("").as_posix(), path.name, path.stem), strict=True):
                way[key].append(name)
    return {id: next((way[id] for way in ways if id in way), []) for id in ids}


def _held_out(split: str) -> int:
    name = SPLIT_NAMES.get(split.casefold())
    return -1 if name is None else SPLITS.index(name)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _write(path: Path, lines: Iterable[str]) -> None:
    with atomic_writer(path) as file:
        file.writelines(line + "\n" for line in lines)
