"""What reviewers' flags do: what may leave in no dataset, what is not trained on, what is corrected. Pure functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from hardcut.schemas.judgments import Flag, Review
from hardcut.schemas.records import Query, Span
from hardcut.schemas.reviews import consensus, is_answer, query_digest

UNKNOWN_LANGUAGE = "und"
Withheld = Literal["flagged_unsafe", "flagged_broken"]
WITHHELD: frozenset[Withheld] = frozenset(get_args(Withheld))
"""Why something leaves in no file of a dataset."""
Untrained = Literal["ambiguous", "needs_other_words"]
"""Why a query is not trained on until it is reworded."""
OF_WORDS: frozenset[Flag] = frozenset({"ambiguous", "unsafe_query", "wrong_language"})
"""The flags that are about a query, whatever the video."""


@dataclass(frozen=True, slots=True)
class Flagged:
    """What the answers of a run take out or correct, by id of video or query. `videos` and `queries` are withheld with
    all of their pairs; `untrained` queries stay in evaluation."""

    videos: Mapping[str, Withheld] = field(default_factory=dict)
    queries: Mapping[str, Withheld] = field(default_factory=dict)
    untrained: Mapping[str, Untrained] = field(default_factory=dict)
    languages: Mapping[str, str] = field(default_factory=dict)

    def withheld(self, query_id: str, video_id: str) -> Withheld | None:
        """Why a pair is withheld: for its video or for its query."""
        return self.videos.get(video_id) or self.queries.get(query_id)


NOTHING_FLAGGED = Flagged()


def flagged(
    reviews: Iterable[Review],
    queries: Iterable[Query],
    contents: Mapping[str, str],
    groups: Mapping[str, str] | None = None,
) -> Flagged:
    """What the flags of a run's reviews do. `queries` are all of the run, of which few are kept;
    `contents` the digests of the videos' files, `groups` the family of each video that has near
    duplicates, mirrored ones included.

    One person is enough to withhold what is `unsafe`: the video, with its copies, and what was written from it; or the
    words, with all their pairs and what teachers made of them (a reviewer's wording stays). A video is broken where at
    least half of those who looked at its file say so. A query is not trained on, or its language is another, where at
    least half of those who answered about its words say so. What teachers made of its words is not trained on either.

    Drafts say nothing. A discarded answer still tells its flags. Flags of a video belong to the file that was seen,
    flags of words to these words: of a replaced file or another wording they do nothing.
    """
    said = [review for review in reviews if review.status != "draft"]
    of_file = [review for review in said if _saw_the_file(review, contents)]
    videos = _videos(of_file, contents, groups or {})
    words = {review.query_id: review.query_digest for review in said}
    present, out, made_of = dict[str, str](), dict[str, Withheld](), dict[str, str]()
    for query in queries:
        if query.parent_query_id is not None and query.variant != "rewritten":
            made_of[query.query_id] = query.parent_query_id
        if query.query_id in words:
            present[query.query_id] = query_digest(query)
        for video_id in (query.source_video_id, query.reference_video_id):
            if video_id is not None and video_id in videos:
                out.setdefault(query.query_id, videos[video_id])
    of_words = [review for review in said if review.query_digest == present.get(review.query_id)]
    unsafe = {review.query_id for review in of_words if "unsafe_query" in review.flags}
    out |= dict.fromkeys(sorted(_with_descendants(unsafe, made_of)), "flagged_unsafe")
    by_query: defaultdict[str, list[Review]] = defaultdict(list)
    for review in of_words:
        if is_answer(review):
            by_query[review.query_id].append(review)
    untrained: dict[str, Untrained] = {}
    for id, told in sorted(by_query.items()):
        if why := _untrained(told):
            untrained |= dict.fromkeys(sorted(_with_descendants({id}, made_of)), why)
    languages = {id: tag for id, told in sorted(by_query.items()) if (tag := _language(told))}
    return Flagged(videos, out, untrained, languages)


def well_formed(reviews: Collection[Review]) -> bool | None:
    """Whether the words of a query are well formed: not where at least half of those who said so deny it; None where
    nobody said."""
    told = {review.reviewer: True for review in reviews if review.well_formed is not None}
    told |= {review.reviewer: False for review in reviews if review.well_formed is False}
    return None if not told else 2 * list(told.values()).count(False) < len(told)


def moment(reviews: Sequence[Review]) -> Span | None:
    """The moment that reviewers in force mark in a pair's video: the median of the beginnings and of the ends, of those
    whose answer decided; None where nobody marked one, or the video does not answer."""
    found = consensus(reviews)
    if found is None or found.relevance == 0:
        return None
    spans = [each.span for each in found.reviews if each.relevance == found.relevance and each.span is not None]
    if not spans:
        return None
    starts, ends = (sorted(getattr(span, side) for span in spans) for side in ("start", "end"))
    middle = (len(spans) - 1) // 2
    return Span(start=starts[middle], end=ends[middle])


def _videos(reviews: Sequence[Review], contents: Mapping[str, str], groups: Mapping[str, str]) -> dict[str, Withheld]:
    """The videos that are withheld, by reviews of their present files: unsafe ones with all copies, broken ones with
    those of the same file."""
    found: dict[str, Withheld] = {}
    alike = _alike(contents, groups)
    for video_id in _broken(reviews):
        same_file = {id for id, sha256 in contents.items() if sha256 == contents.get(video_id)}
        found |= dict.fromkeys(same_file | {video_id}, "flagged_broken")
    for video_id in sorted({review.video_id for review in reviews if "unsafe" in review.flags}):
        found |= dict.fromkeys(alike.get(contents.get(video_id, ""), set()) | {video_id}, "flagged_unsafe")
    return found


def _alike(contents: Mapping[str, str], groups: Mapping[str, str]) -> Mapping[str, set[str]]:
    """The videos that show what a file shows, by the file's digest: the same file, and copies of the recording."""
    members: defaultdict[str, set[str]] = defaultdict(set)
    for video_id, sha256 in contents.items():
        members[sha256].add(video_id)
    copies: defaultdict[str, set[str]] = defaultdict(set)
    for video_id, group in groups.items():
        copies[group] |= members[contents[video_id]] if video_id in contents else {video_id}
    found = defaultdict[str, set[str]](set, {sha256: set(ids) for sha256, ids in members.items()})
    for ids in copies.values():
        for video_id in ids & contents.keys():
            found[contents[video_id]] |= ids
    return found


def _saw_the_file(review: Review, contents: Mapping[str, str]) -> bool:
    present = contents.get(review.video_id)
    return None in (present, review.video_sha256) or review.video_sha256 == present


def _with_descendants(ids: set[str], made_of: Mapping[str, str]) -> set[str]:
    """The queries and those that were made of them, at any remove. `made_of`: parents by id."""
    found = set(ids)
    while found and (more := {id for id, parent in made_of.items() if parent in found and id not in found}):
        found |= more
    return found


def _broken(reviews: Iterable[Review]) -> list[str]:
    """The videos that at least half of those who looked at their file call broken."""
    looked: defaultdict[str, dict[str, bool]] = defaultdict(dict)
    for review in reviews:
        if is_answer(review) or "broken_video" in review.flags:
            people = looked[review.video_id]
            people[review.reviewer] = people.get(review.reviewer, False) or "broken_video" in review.flags
    return [id for id, people in sorted(looked.items()) if _at_least_half(people.values())]


def _untrained(reviews: Sequence[Review]) -> Untrained | None:
    """Why a query with these answers about its words is not trained on."""
    if _at_least_half(_by_person(reviews, "ambiguous")):
        return "ambiguous"
    return "needs_other_words" if well_formed(reviews) is False else None


def _language(reviews: Sequence[Review]) -> str | None:
    """The language that a query is said to have in place of its own: the one named most, else unknown."""
    people: dict[str, bool] = {}
    for review in reviews:
        says = "wrong_language" in review.flags or review.language is not None
        people[review.reviewer] = people.get(review.reviewer, False) or says
    if not _at_least_half(people.values()):
        return None
    named = Counter(review.language for review in reviews if review.language is not None)
    return min(named, key=lambda tag: (-named[tag], tag), default=UNKNOWN_LANGUAGE)


def _by_person(reviews: Iterable[Review], flag: str) -> Iterable[bool]:
    """Whether each person flags a query so in any answer about it."""
    people: dict[str, bool] = {}
    for review in reviews:
        people[review.reviewer] = people.get(review.reviewer, False) or flag in review.flags
    return people.values()


def _at_least_half(said: Iterable[bool]) -> bool:
    told = list(said)
    return any(told) and 2 * sum(told) >= len(told)
