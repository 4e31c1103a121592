"""The filters that queries and pairs pass on their way into training data: a name, which is the reason in
`dropped.jsonl` of what one leaves out, and in a few words what it looks for."""

from __future__ import annotations

from collections.abc import Mapping

FILTERS: Mapping[str, str] = {
    "leak": "the query copies the title, the file's name or a line of the caption",
    "duplicate": "another query says the same, in nearly the same words or with its parts in another place",
    "ungrounded": "a facet of the query is nowhere in what was read, said, seen or told of its video",
    "unsafe": "the query has a word or phrase of the list in `filters.unsafe`",
    "positive_below_depth": "the first stage does not find the query's own video",
    "negative_outscores_positive": "the first stage scores another video far above the query's own",
    "misjudged_source": "the teacher denies that the query's own video answers it",
    "unspecific": "the teacher finds that too many videos answer the query",
    "without_watching": "the teacher tells the query's own video from others by their metadata alone",
}
"""In the order in which they are applied: those up to `negative_outscores_positive` before any pair is scored."""
