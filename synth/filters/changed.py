"""Counterfactuals that can be seen to be none without asking a judge: what they ask for is known to be in the video."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hardcut.schemas.records import Caption, Query
from hardcut.schemas.text.words import STOP_WORDS, words
from hardcut.synth.filters.repeated import meaning
from hardcut.synth.rewording.translation import primary
from hardcut.teacher.prompts.inputs import EvidenceLine
from hardcut.teacher.prompts.reply_models import WrittenVariant
from hardcut.teacher.rules.judge import NEGATIONS, SLOPE, THRESHOLD, EvidenceJudge, parse_query

_ALL = 0.95
"""Of the words of a text, what must be found in evidence, in the order asked for, for the video to answer it surely."""
_UNSPACED = frozenset({"km", "lo", "my", "th"})
"""Languages whose words are not told apart here."""
_STEM = 4
_READ = frozenset({"en", "und"})
"""Languages whose negations and words of order are understood (`teacher/rules/judge.py`)."""


class KnownWordings:
    """What is known of a video before anybody judges: its evidence, and what queries and the caption's claims say."""

    def __init__(self, evidence: Sequence[EvidenceLine], caption: Caption, queries: Iterable[Query]) -> None:
        self._seen = EvidenceJudge(evidence, None)
        self._told = EvidenceJudge(evidence, " ".join([caption.text, *(query.text for query in queries)]))
        self._said = {meaning(query.text) for query in queries}
        self._written: set[tuple[str, ...]] = set()
        self._claimed = {meaning(text) for text in (*(claim.text for claim in caption.claims), caption.short or "")}

    def add(self, text: str) -> None:
        """Another counterfactual has been written: its words are taken, though of another query's it may say the same
        in others."""
        self._written.add(tuple(words(text)))

    def fault(self, variant: WrittenVariant, text: str, language: str) -> tuple[str, str] | None:
        """Reason and detail of what is wrong with a counterfactual; None where nothing is found.

        `unchanged`: it asks for what a query asks for, whatever the wording. `still_answered`: it asks for what a claim
        says, or for what was surely read, heard and seen, in that order. `denies_nothing`: negated, without a word that
        negates. `ungrounded`: it denies what nothing told of the video knows of, so that the video may well answer it.
        `denies_what_is_there`: the same the other way, of `negated_absent`.
        """
        if tuple(words(text)) in self._written or meaning(text) in self._said:
            return "unchanged", "asks for what another query about this video asks for"
        if meaning(text) in self._claimed:
            return "still_answered", "asks for what the caption says of this video"
        if primary(language) not in _READ:
            return None
        denied = parse_query(text).absent
        if variant in ("negated", "negated_absent") and not denied and not _negates(text):
            return "denies_nothing", "denies nothing: say with no, not, never or without what is not to be there"
        if variant == "negated_absent":
            if self._told.judge(" ".join(denied)).margin >= SLOPE * (_ALL - THRESHOLD):
                return "denies_what_is_there", f"denies {' '.join(denied)!r}, which is in this video"
            return None
        if denied and self._told.judge(" ".join(denied)).margin < 0:
            return "ungrounded", f"denies {' '.join(denied)!r}, which nothing that is known of this video mentions"
        if not denied and self._seen.judge(text).margin >= SLOPE * (_ALL - THRESHOLD):
            return "still_answered", "asks for what was read, said or seen in this video, in this order"
        return None


def unlike(query: Query, variant: WrittenVariant, text: str) -> tuple[str, str] | None:
    """Reason and detail where a counterfactual has no word of the query that it is to change; None where it has one, or
    where the one thing that the query asks for may be exchanged whole. `negated_absent` is the other side of `negated`,
    which may deny all that the query asks for.

    Such a text is no side of a block, and a judge would not tell: that the video does not answer it is true.
    """
    whole = variant == "facet_changed" and len(query.facets) < 2
    if whole or variant == "negated_absent" or primary(query.language) in _UNSPACED:
        return None
    asked, said = _stems(query.text), _stems(text)
    if len(asked) < 2 or asked & said:
        return None
    return "another_query", f"has no word of {query.text!r}: change one thing, and keep the rest"


def _stems(text: str) -> set[str]:
    """The words that tell something, by how they begin: endings differ in many languages."""
    return {word[:_STEM] for word in words(text) if word not in STOP_WORDS}


def _negates(text: str) -> bool:
    return any(word in NEGATIONS or word.endswith("n't") for word in words(text))
