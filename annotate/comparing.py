"""Which pairs are compared, what a reviewer is shown of two of them, and what an answer says. Pure functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from pydantic import JsonValue

from hardcut.annotate.policy import ReviewCandidate
from hardcut.annotate.responses import Response
from hardcut.annotate.review_content import PreviewLinks, ReviewSubject, decode
from hardcut.annotate.sets import BETTER
from hardcut.schemas.comparisons import PEOPLE, Comparison, Side
from hardcut.schemas.ids import canonical_json, digest
from hardcut.schemas.reviews import query_digest
from hardcut.schemas.settings import ReviewSettings


@dataclass(frozen=True, slots=True)
class Couple:
    """Two pairs of one query, by their ids, that people compare."""

    left: str
    right: str

    @classmethod
    def of(cls, one: str, other: str) -> Couple:
        """The two in the order in which they are shown, which hangs on a digest of both."""
        first, second = sorted((one, other))
        return cls(first, second) if int(digest("left", first, second)[0], 16) % 2 else cls(second, first)

    @property
    def ids(self) -> tuple[str, str]:
        return self.left, self.right


@dataclass(frozen=True, slots=True)
class ShownCouple:
    """What a record of two videos told when it was pushed: what an answer to it is about."""

    query_id: str
    query_digest: str
    left: Side
    right: Side


def choose_couples(
    candidates: Iterable[ReviewCandidate],
    contents: Mapping[str, str],
    compared: Collection[Couple],
    settings: ReviewSettings,
) -> list[Couple]:
    """The couples that `settings.pairwise` answers buy, `PEOPLE` answers each, in the order in which they are asked.

    Of a query's pairs in the order of their margins two neighbours are compared if one of them is near the threshold
    (`near_margin`). First come those with the threshold between them, since their order tells of their labels, and
    those nearest to each other. Every query has one couple before any has its second. What was `compared` already keeps
    its place, so the number is of all answers ever. A pair that the user's own judgments know, two equal margins, and
    two videos with one file (`contents`) are left out.
    """
    by_query: defaultdict[str, list[tuple[float, ReviewCandidate]]] = defaultdict(list)
    for candidate in candidates:
        if candidate.margin is not None and not candidate.known:
            by_query[candidate.query.query_id].append((candidate.margin, candidate))
    found: list[tuple[bool, int, bool, float, str, Couple]] = []
    for query_id, ranked in sorted(by_query.items()):
        ranked.sort(key=lambda each: (each[0], each[1].pair.pair_id))
        near: dict[Couple, tuple[bool, float]] = {}
        for (low, one), (high, other) in pairwise(ranked):
            files = {contents.get(each.pair.video_id, each.pair.video_id) for each in (one, other)}
            if low < high and min(abs(low), abs(high)) <= settings.near_margin and len(files) == 2:
                near[Couple.of(one.pair.pair_id, other.pair.pair_id)] = (not low <= 0 < high, high - low)
        ids = {each.pair.pair_id for _, each in ranked}
        before = {couple: (False, 0.0) for couple in compared if ids.issuperset(couple.ids)}
        places = Counter[bool]()
        order = sorted((couple not in before, *of, couple.ids) for couple, of in (near | before).items())
        for new, aside, gap, (left, right) in order:
            chance = digest(settings.seed, query_id, left, right)
            found.append((new, places[new], aside, gap, chance, Couple(left, right)))
            places[new] += 1
    found.sort(key=lambda each: each[:5])
    return [couple for *_, couple in found[: settings.pairwise // PEOPLE]]


def compared_content(
    left: ReviewSubject, right: ReviewSubject, links: tuple[PreviewLinks, PreviewLinks]
) -> dict[str, JsonValue]:
    """The page of a couple: the query and both whole videos, and nothing that was written or found about them."""
    sides: list[JsonValue] = [
        {
            "clip": clip.clip,
            "sheet": clip.sheet,
            "duration": subject.video.duration_s,
            "fps": subject.video.fps,
        }
        for subject, clip in zip((left, right), links, strict=True)
    ]
    query = left.query
    reference: JsonValue = {"sheet": links[0].reference} if left.reference else None
    return {"query": query.text, "language": query.language, "reference": reference, "sides": sides}


def asked_of(left: ReviewSubject, right: ReviewSubject, run_id: str) -> str:
    """What an answer to a record of two videos is about, as JSON. Kept where reviewers do not see it."""
    sides = [
        {"pair_id": each.pair.pair_id, "video_id": each.video.video_id, "video_sha256": each.video.sha256}
        for each in (left, right)
    ]
    ids = {"query_id": left.query.query_id, "query_digest": query_digest(left.query)}
    return canonical_json({**ids, "left": sides[0], "right": sides[1], "run_id": run_id})


def couple_id(asked: str) -> str:
    """The id of a record of two videos. It covers the words and the files: if one changes, it is another record."""
    told = decode(asked)
    return f"{Comparison.PREFIX}_{digest(told['query_digest'], told['left'], told['right'])[:20]}"


def read_couple(asked: str) -> ShownCouple:
    """Raises ValueError, KeyError, TypeError for a record that is not ours."""
    told = decode(asked)
    left, right = (Side.model_validate(told[side]) for side in ("left", "right"))
    return ShownCouple(str(told["query_id"]), str(told["query_digest"]), left, right)


def read_comparison(shown: ShownCouple, answer: Response, reviewer: str, record_id: str) -> Comparison:
    """The record of an answer."""
    better = str(answer.values.get("better"))
    return Comparison.create(
        query_id=shown.query_id,
        query_digest=shown.query_digest,
        left=shown.left,
        right=shown.right,
        reviewer=reviewer,
        better=next((name for name in BETTER if name == better), None),
        given_at=datetime.fromtimestamp(answer.given_s, UTC).isoformat(timespec="seconds"),
        record_id=record_id,
        status=answer.status,
    )
