"""First stages: BM25 over what is known of the videos, or the user's own TREC run. Ties go by id."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hardcut.schemas.errors import UsageError

BM25_RUN = "bm25"

_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")
"""A word, or one character of the scripts that put no spaces between words."""


class Hit(NamedTuple):
    """A video that a first stage found for a query; `rank` starts at 1."""

    video_id: str
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class TrecRun:
    """A run as the user gave it: for each of its query ids the hits, best first."""

    name: str
    hits: Mapping[str, tuple[Hit, ...]]


def tokens(text: str) -> list[str]:
    """The words of a text, without regard to case."""
    return _TOKEN.findall(text.casefold())


class Bm25:
    """BM25 (bm25s, Lucene's variant, k1 1.5, b 0.75) over one document a video.

    A query costs one pass over the postings of its words; nothing of the size queries x videos is ever held.
    """

    def __init__(self, documents: Iterable[tuple[str, Iterable[str]]]) -> None:
        """`documents` are pairs of a video's id and its words, sorted by id."""
        import bm25s

        self._ids: list[str] = []
        vocabulary: dict[str, int] = {}
        corpus: list[list[int]] = []
        for video_id, words in documents:
            self._ids.append(video_id)
            corpus.append([vocabulary.setdefault(word, len(vocabulary)) for word in words])
        self._vocabulary = vocabulary
        self._index: Any = None
        if vocabulary:
            self._index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
            self._index.index((corpus, dict(vocabulary)), show_progress=False)

    def search(self, text: str, depth: int) -> list[Hit]:
        """The best `depth` videos that share a word with the text, by score, ties by id."""
        import numpy as np

        words = [self._vocabulary[word] for word in tokens(text) if word in self._vocabulary]
        if not words:
            return []
        scores = self._index.get_scores_from_ids(words)
        found = np.flatnonzero(scores > 0)
        if len(found) > depth:
            least = np.partition(scores[found], len(found) - depth)[len(found) - depth]
            found = found[scores[found] >= least]  # ties with the last one too: the id decides below
        best = found[np.lexsort((found, -scores[found]))][:depth]  # the documents are numbered in the order of ids
        return [Hit(self._ids[at], rank, round(float(scores[at]), 6)) for rank, at in enumerate(best, 1)]


def read_run(path: Path) -> TrecRun:
    """A TREC run: `query Q0 video rank score tag` a line. Ranks follow from the scores; the rank column is not used.

    Raises UsageError, which names file and line.
    """
    found: dict[str, dict[str, float]] = {}
    name = ""
    for line, (query_id, video_id, score, tag) in _lines(path):
        name = name or tag
        if tag != name:
            raise UsageError(f"{path}, line {line}: the run is called {tag!r} here and {name!r} before: give one run a file")
        hits = found.setdefault(query_id, {})
        if video_id in hits:
            raise UsageError(f"{path}, line {line}: video {video_id!r} is listed twice for query {query_id!r}")
        hits[video_id] = score
    if not found:
        raise UsageError(f"{path}: no line of a run in it")
    return TrecRun(name, {query_id: _ranked(hits) for query_id, hits in found.items()})


def _ranked(scores: Mapping[str, float]) -> tuple[Hit, ...]:
    ordered = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Hit(video_id, rank, score) for rank, (video_id, score) in enumerate(ordered, 1))


def _lines(path: Path) -> Iterator[tuple[int, tuple[str, str, float, str]]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                cells = line.split()
                if not cells:
                    continue
                if len(cells) != 6:
                    raise UsageError(
                        f"{path}, line {number}: {len(cells)} columns, expected 6: query Q0 video rank score tag"
                    )
                try:
                    score = float(cells[4])
                except ValueError:
                    score = math.nan
                if not math.isfinite(score):
                    raise UsageError(f"{path}, line {number}: the score {cells[4]!r} is no number")
                yield number, (cells[0], cells[2], score, cells[5])
    except OSError as error:
        raise UsageError(f"{path}: the run cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 ({error.reason}): save it as UTF-8") from error
