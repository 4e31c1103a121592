"""A plain first stage: BM25 over titles and descriptions alone, so that there is something left to rerank."""

from __future__ import annotations

from collections import Counter
from math import log

from hardcut.data.model import Clip
from hardcut.data.truth import tokens

_K1, _B = 1.2, 0.75


class TitleSearch:
    """Okapi BM25 (Robertson et al., TREC-3) with the idf of Lucene, which is never negative."""

    def __init__(self, clips: tuple[Clip, ...]) -> None:
        self._texts = {clip.video_id: Counter(tokens(f"{clip.meta.title} {clip.meta.description}")) for clip in clips}
        self._holding = Counter(token for text in self._texts.values() for token in text)
        self._mean_length = sum(text.total() for text in self._texts.values()) / len(self._texts)

    def rank(self, query: str, depth: int) -> list[tuple[str, float]]:
        """The best `depth` clips as (video_id, score), best first, equal scores by id; those without a common word score 0."""
        scores = {video_id: round(self._score(tokens(query), text), 6) for video_id, text in self._texts.items()}
        return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:depth]

    def _score(self, query: list[str], text: Counter[str]) -> float:
        norm = _K1 * (1 - _B + _B * text.total() / self._mean_length)
        return sum(self._idf(token) * text[token] * (_K1 + 1) / (text[token] + norm) for token in query if token in text)

    def _idf(self, token: str) -> float:
        return log(1 + (len(self._texts) - self._holding[token] + 0.5) / (self._holding[token] + 0.5))
