"""The blind scorer sees words, and neither their order nor what denies them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.blind_scorer import solved


class Tables:
    """A dataset of two groups, one of them with a block."""

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        if config == "captions":
            yield "train", {"video_id": "a", "caption": "A red ball rolls, then a bell."}
            yield "train", {"video_id": "b", "caption": "A red kite."}
        if config == "groups":
            sides = [{"query_id": "q2", "query": "a bell, then a red ball", "answered": False, "against": "q1"}]
            for query_id, counterfactuals in (("q1", sides), ("q3", [])):
                yield (
                    "train",
                    {
                        "query_id": query_id,
                        "query": "a red ball, then a bell",
                        "positive": {"video_id": "a"},
                        "negatives": [{"video_id": "b"}],
                        "counterfactuals": counterfactuals,
                    },
                )


def test_it_solves_what_words_tell_and_no_order() -> None:
    found = solved(Tables())  # type: ignore[arg-type]
    assert found == {"groups": 2, "with_blocks": 1, "solved_by_negatives": 1.0, "solved_with_blocks": 0.5}
