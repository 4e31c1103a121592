"""A judged pair as a conversation, for trainers of chat models: the videos, the question, and yes or no."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from hardcut.publish.dataset import Row
from hardcut.publish.formats.given import Given
from hardcut.publish.formats.writing import of_split, seen_caption

DESCRIBE = "Describe the video."
UNSEEN_CAPTION = "captions: nothing that they say can be seen, and the model is shown pictures alone"
_TAG = re.compile(r"<(?=/?(?:video|image|audio)>|\|[^|<>\s]{1,64}\|>)", re.IGNORECASE)
"""Tags of media, and the control tokens of chat models: `<|im_end|>`, `<|video_pad|>`."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One question about videos, and its answer. `videos` are ids, in the order in which the question names them;
    `parts` is the question, `None` where a video stands."""

    videos: tuple[str, ...]
    parts: tuple[str | None, ...]
    answer: str


def judged(given: Given, split: str) -> Iterator[Turn]:
    """A turn for each pair of a split: whether the video answers the query. A composed query shows its reference video
    first."""
    for row in of_split(given, "pairs", split, ("query_id", "query", "video_id", "label")):
        answer, query = "yes" if row["label"] > 0 else "no", untagged(row["query"])
        reference = given.references.get(row["query_id"])
        if reference is None:
            parts = (None, f"Query: {query}\nDoes the video answer the query? Answer yes or no.")
            yield Turn((row["video_id"],), parts, answer)
        else:
            question = f"Query: like the first video, but: {query}\nDoes the second video answer the query? "
            parts_of_two = (None, None, question + "Answer yes or no.")
            yield Turn((reference, row["video_id"]), parts_of_two, answer)


def described(given: Given, split: str) -> Iterator[Turn]:
    """A turn for each caption of a split, as far as pictures alone show what it says."""
    for row in of_split(given, "captions", split):
        caption = seen_caption(row)
        if caption is None:
            given.left_out[UNSEEN_CAPTION] += 1
        else:
            yield Turn((row["video_id"],), (None, DESCRIBE), untagged(caption))


def untagged(text: str) -> str:
    """A text in which no tag of media is left, since trainers count them and put a video where one stands, and no
    control token of a model, which would end the turn, or stand for a video that is not there."""
    return _TAG.sub("< ", text)


def references(given: Given, row: Row) -> tuple[str, ...]:
    """The video that the query of a row starts from, where it does, as a path."""
    reference = given.references.get(row["query_id"])
    return () if reference is None else (given.paths[reference],)
