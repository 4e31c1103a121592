"""Who judges, and what of a video a judge is told. Counterfactuals are verified with the request that scores send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

from hardcut.schemas.records import Caption, Evidence, Modality, Sampling, Video, View
from hardcut.schemas.text.clean import sentence
from hardcut.synth.request_inputs import video_inputs
from hardcut.teacher.protocol import Teacher


class _Facet(Protocol):
    @property
    def modality(self) -> Modality: ...


class Asked(Protocol):
    """A query, as far as it decides what a judge is told."""

    @property
    def view(self) -> View: ...
    @property
    def facets(self) -> Sequence[_Facet]: ...


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a video: `all`, and `seen`, what of it is seen, read or heard and not taken from metadata."""

    all: Mapping[str, JsonValue]
    seen: Mapping[str, JsonValue]

    @classmethod
    def from_records(cls, video: Video, evidence: Sequence[Evidence], caption: Caption | None) -> Known:
        """Claims of the caption that cite metadata alone are metadata too: the citation decides."""
        named = {item.evidence_id for item in evidence if item.kind == "metadata"}
        everything: dict[str, JsonValue] = video_inputs(video, evidence)
        shown = video_inputs(video, [item for item in evidence if item.evidence_id not in named])
        claims = caption.claims if caption else ()
        seen = [claim for claim in claims if not claim.evidence_ids or set(claim.evidence_ids) - named]
        text = caption.text if caption else None
        if len(seen) < len(claims):
            text = " ".join(sentence(claim.text) for claim in seen) or None
        return cls({**everything, "caption": caption.text if caption else None}, {**shown, "caption": text})


@dataclass(frozen=True, slots=True)
class Judge:
    """A teacher with how it is asked. One that is kept from the caption judges by what is seen, read and heard: the
    caption is what queries are written from, and who reads it can agree without a look at the video. One that is kept
    from metadata is told it only where a query asks for it: a title alone makes no positive."""

    teacher: Teacher
    sampling: Sampling
    sees_caption: bool = True
    sees_metadata: bool = True

    def told(self, known: Known, query: Asked) -> dict[str, JsonValue]:
        """What the judge is told of a video where it is asked for a query."""
        told = known.all if self.sees_metadata or _asks_for_metadata(query) else known.seen
        return dict(told) if self.sees_caption else {**told, "caption": None}


def unusual(judges: Sequence[Judge]) -> dict[str, JsonValue]:
    """Of judges what is part of a key only where it is not as usual, so that earlier keys stay."""
    found: dict[str, JsonValue] = {}
    if not all(judge.sees_caption for judge in judges):
        found["sees_caption"] = [judge.sees_caption for judge in judges]
    if not all(judge.sees_metadata for judge in judges):
        found["sees_metadata"] = [judge.sees_metadata for judge in judges]
    return found


def _asks_for_metadata(query: Asked) -> bool:
    return query.view == "metadata" or any(facet.modality == "metadata" for facet in query.facets)
