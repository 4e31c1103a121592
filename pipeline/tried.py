"""Stages that see the whole collection, tried out on what a run knows so far. They ask nobody."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

from hardcut.pipeline.preview import RunRecords
from hardcut.schemas.base import Record
from hardcut.schemas.copies import Group, Signature
from hardcut.schemas.records import TURNED, Caption, Pair, Query, TeacherRef
from hardcut.schemas.settings import Settings
from hardcut.schemas.text_only import TEXT_ONLY_RANK, asked_text_only
from hardcut.schemas.twin import Twin
from hardcut.synth.duplicates import DuplicateStage
from hardcut.synth.negatives import DENIAL_CANDIDATES, NegativeStage
from hardcut.synth.twins import TwinStage

R = TypeVar("R", bound=Record)

_LOOKED_AT = 2000
"""Videos of which twins are looked for in a plan: it takes about a tenth of a second each."""


@dataclass(frozen=True, slots=True)
class Mined:
    """Of queries by their id: the pairs that a judge is asked about, and those that it is asked about by metadata too.
    The pair of a counterfactual with its source is none of them: it was judged before. `videos`: which share of the
    pairs is with each video."""

    shown: Mapping[str, float]
    in_words: Mapping[str, float]
    videos: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Twins:
    """The groups of copies and the twins of a collection."""

    groups: tuple[Group, ...] = ()
    twins: tuple[Twin, ...] = ()

    def composed(self, most: int) -> dict[str, int]:
        """How many twins, up to `most`, each video has that a composed query can start from."""
        return {video: min(most, count) for video, count in Counter(twin.video_id for twin in self.twins).items()}


def tried_pairs(settings: Settings, records: RunRecords, twins: Twins | None, videos: Collection[str]) -> Mined:
    """The pairs of the queries that there are, in a collection of these `videos`: where few of them are known, mined
    candidates are more in proportion, up to as many as are taken. `twins`: None where the run has them itself."""
    shown: defaultdict[str, float] = defaultdict(float)
    in_words: defaultdict[str, float] = defaultdict(float)
    told = {video for video, kinds in records.evidence_kinds.items() if "metadata" in kinds}
    met: Counter[str] = Counter()
    more = max(1.0, (len(videos) - 1) / max(1, len(records.videos) - 1))
    stage = NegativeStage(settings.negatives, settings.filters)
    for query_id, output in stage.run(_Reader(records, twins)) if records.queries else ():
        query = records.queries.get(query_id)
        pairs = [record for record in output.records if isinstance(record, Pair)]
        if query is None or not pairs:
            continue
        if query.variant in TURNED:
            pairs = [pair for pair in pairs if pair.video_id != query.source_video_id]
        met.update(pair.video_id for pair in pairs)
        mined = [pair for pair in pairs if pair.origins == ("mined",)]
        by_words = [pair for pair in pairs if asked_text_only(pair) and pair.video_id in told]
        mined_by_words = sum(pair in mined for pair in by_words)
        most = DENIAL_CANDIDATES if query.variant == "negated_absent" else settings.negatives.per_query
        shown[query_id] = len(pairs) + _scaled(len(mined), more, most)
        in_words[query_id] = len(by_words) + _scaled(mined_by_words, more, TEXT_ONLY_RANK)
    met = met or Counter(videos)
    return Mined(shown, in_words, {video: count / met.total() for video, count in met.items()})


def _scaled(found: int, more: float, most: int) -> float:
    """How many more there are in a larger collection."""
    return max(0.0, min(most, found * more) - found)


def tried_twins(records: RunRecords) -> Twins:
    """The twins that will be found. They are looked for where the evidence of all videos is there, and these are not
    too many."""
    known = records.videos.keys() <= records.settled["evidence"] & records.settled["signatures"]
    if not known or len(records.videos) > _LOOKED_AT:
        return Twins()
    copies = [record for _, output in DuplicateStage().run(_Reader(records)) for record in output.records]
    groups = tuple(record for record in copies if isinstance(record, Group))
    found = [record for _, output in TwinStage().run(_Captioned(records, Twins(groups))) for record in output.records]
    return Twins(groups, tuple(record for record in found if isinstance(record, Twin)))


class _Reader:
    """The records of a run as a collection stage sees them; `twins` in the place of its own."""

    def __init__(self, records: RunRecords, twins: Twins | None = None) -> None:
        self._records = records
        self._given: dict[type[Record], list[Record]] = {Signature: list(records.read(Signature))}
        self._given[Group] = list(twins.groups if twins else records.read(Group))
        if twins:
            self._given[Twin] = list(twins.twins)
        self._by_video: dict[type[Record], defaultdict[str, list[Record]]] = {}
        for kind, found in self._given.items():
            self._by_video[kind] = defaultdict(list)
            for record in found:
                self._by_video[kind][record.about].append(record)

    def all(self, kind: type[R]) -> Iterator[R]:
        found: Iterable[Record] = self._records.queries.values() if kind is Query else self._of_videos(kind)
        yield from cast(list[R], sorted(found, key=lambda record: record.id))

    def get(self, kind: type[R], id: str) -> R | None:
        return next((record for record in self.about(kind, id) if record.id == id), None)

    def about(self, kind: type[R], subject: str) -> list[R]:
        if kind in self._by_video:
            return cast(list[R], sorted(self._by_video[kind][subject], key=lambda record: record.id))
        return list(self._records.reference(subject).all(kind)) if subject in self._records.videos else []

    def _of_videos(self, kind: type[Record]) -> Iterable[Record]:
        if kind in self._given:
            return self._given[kind]
        return [each for video in self._records.videos for each in self._records.reference(video).all(kind)]


class _Captioned(_Reader):
    """Each video that may still get a caption has one that says nothing."""

    def about(self, kind: type[R], subject: str) -> list[R]:
        found = super().about(kind, subject)
        if kind is not Caption or found or subject in self._records.settled["captions"]:
            return found
        silent = Caption.create(video_id=subject, text="-", teacher=TeacherRef(backend="none", model="none"))
        return cast(list[R], [silent])
