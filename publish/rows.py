"""How a record becomes a row of a config (`columns.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pydantic import JsonValue

from hardcut.publish.columns import CANDIDATE, COUNTERFACTUAL, TEACHER, Row
from hardcut.publish.judgments import Negative
from hardcut.publish.people import answer_rows
from hardcut.publish.teacher_agreement import teacher_agreement
from hardcut.schemas.flags import OF_WORDS, moment, well_formed
from hardcut.schemas.judgments import Judgment, Review
from hardcut.schemas.records import Caption, Facet, Pair, Query, Span, TeacherLabel, TeacherRef, Video

METADATA_CHARACTERS = 2_000
"""Of a value of the metadata, as far as teachers read it too."""
METADATA_ENTRIES = 100
"""Of a field of the metadata that holds many."""


def caption_row(caption: Caption, video: Mapping[str, Any], kinds: Mapping[str, str]) -> Row:
    """A row of `captions`; `video` is the row of `corpus`, `kinds` are those of the video's evidence by id."""
    return {
        "caption_id": caption.caption_id,
        "video_id": caption.video_id,
        "video_path": video["video_path"],
        "sha256": video["sha256"],
        "caption": caption.text,
        "short": caption.short,
        "claims": [
            {
                "text": claim.text,
                "span": _span(claim.span),
                "evidence": sorted({kinds[id] for id in claim.evidence_ids if id in kinds}),
            }
            for claim in caption.claims
        ],
        "teacher": teacher_name(caption.teacher),
    }


def query_row(query: Query, reviews: Sequence[Review] = ()) -> Row:
    """A row of `queries`; `reviews` are the answers about its present words."""
    return {
        "query_id": query.query_id,
        "external_id": query.external_id,
        "query": query.text,
        "language": query.language,
        "view": query.view,
        "kind": query.kind,
        "variant": query.variant,
        "length": query.length,
        "style": query.style,
        "facets": [_facet(facet) for facet in query.facets],
        "source_video_id": query.source_video_id,
        "reference_video_id": query.reference_video_id,
        "parent_query_id": query.parent_query_id,
        "teacher": teacher_name(query.teacher),
        "flags": sorted({flag for review in reviews for flag in review.flags} & OF_WORDS),
        "well_formed": well_formed(reviews),
    }


def facets_of(query: Row, video_id: str) -> list[Row]:
    """The facets of a row of `queries` as they hold in a video: times are those of the query's own source, and say
    nothing of another video, one that answers the query included."""
    facets: list[Row] = query["facets"]
    if video_id == query["source_video_id"]:
        return facets
    return [{**facet, "span": None} for facet in facets]


def corpus_row(
    video: Video, group: str, metadata_fields: Sequence[str], speech: str | None, look: Mapping[str, float] | None
) -> Row:
    """A row of `corpus`. Of the metadata the licence and `metadata_fields` are published, flattened to text and, since
    what stands beside a video may be megabytes, cut where a reader sees it. `look` are the numbers of `media.look`."""
    return {
        "video_id": video.video_id,
        "video_path": video.path,
        "sha256": video.sha256,
        "size_bytes": video.size_bytes,
        "duration_s": video.duration_s,
        "fps": video.fps,
        "width": video.width,
        "height": video.height,
        "codec": video.codec,
        "has_audio": video.has_audio,
        "complete": video.complete,
        "group": group,
        "licence": licence_of(video),
        "speech": speech,
        "look": look,
        "metadata": [entry for name in metadata_fields for entry in _entries(name, video.metadata.get(name))],
    }


def licence_of(video: Video) -> str | None:
    """What a video's metadata says of its licence (field `licence` or `license`)."""
    values = (video.metadata.get(field) for field in ("licence", "license"))
    return next((_cut(value.strip()) for value in values if isinstance(value, str) and value.strip()), None)


def pair_row(
    pair: Pair,
    judgment: Judgment,
    negative: Negative,
    label: TeacherLabel | None,
    unwatched: TeacherLabel | None,
    calibrated: float | None,
    labels: Sequence[TeacherLabel],
    video: Mapping[str, Any],
    caption: str | None,
    reviews: Sequence[Review] = (),
    names: Mapping[str, str] = MappingProxyType({}),
) -> Row:
    """A row of `pairs` but for what its query brings (`OF_QUERY`); `video` is a row of `corpus`, `unwatched` the
    label by metadata alone, `calibrated` the probability of the label's margin under the run's calibration, `labels`
    all labels of the pair, `reviews` the answers about it that count."""
    agreed = teacher_agreement(labels)
    seen = [(teacher_name(each.teacher) or "", each) for each in labels if each.input == "full"]
    return {
        "pair_id": pair.pair_id,
        "query_id": pair.query_id,
        "video_id": pair.video_id,
        "video_path": video["video_path"],
        "sha256": video["sha256"],
        "label": judgment.grade,
        "label_source": judgment.source,
        "negative": negative,
        "logit_margin": label.logit_margin if label else None,
        "p_yes": label.p_yes if label else None,
        "p_calibrated": calibrated,
        "exact": label.exact if label else None,
        "shown": label.shown if label else None,
        "text_only": unwatched.verdict if unwatched else None,
        "teacher": teacher_name(label.teacher) if label else None,
        "teachers": [
            {"teacher": name, **{field: getattr(each, field) for field in TEACHER if field != "teacher"}}
            for name, each in sorted(seen, key=lambda one: (one[0], one[1].sample, one[1].label_id))
        ],
        "agreement": agreed.agreement if agreed else None,
        "reasoning": label.reasoning or None if label else None,
        "first_stage": [found.model_dump() for found in pair.first_stage],
        "caption": caption,
        "origins": list(pair.origins),
        "flags": sorted({flag for review in reviews for flag in review.flags}),
        "well_formed": well_formed(reviews),
        "moment": _span(moment(reviews) or max(judgment.spans, key=_length, default=None)),
        "reviews": answer_rows(reviews, names, judgment.support),
    }


def qrels_row(pair: Mapping[str, Any], query: Mapping[str, Any]) -> Row:
    """A row of `qrels`; `pair` and `query` are rows of `pairs` and `queries`."""
    return {
        "query_id": pair["query_id"],
        "external_id": query["external_id"],
        "video_id": pair["video_id"],
        "grade": pair["label"],
    }


def group_row(
    group_id: str,
    positive: Mapping[str, Any],
    negatives: Iterable[Mapping[str, Any]],
    counterfactuals: Iterable[Mapping[str, Any]] = (),
) -> Row:
    """A row of `groups` out of rows of `pairs`. `counterfactuals` are other queries asked of the positive's video."""
    return {
        "group_id": group_id,
        **{name: positive[name] for name in ("query_id", "query", "kind")},
        "positive": {name: positive[name] for name in CANDIDATE},
        "negatives": [{name: row[name] for name in CANDIDATE} for row in negatives],
        "counterfactuals": [{name: row[name] for name in COUNTERFACTUAL} for row in counterfactuals],
    }


def teacher_name(teacher: TeacherRef | None) -> str | None:
    """A teacher as a reader of the dataset knows it: backend and model, without the address of anybody's server."""
    if teacher is None:
        return None
    return f"{teacher.backend}:{teacher.model}" if teacher.model else teacher.backend


def _length(span: Span) -> float:
    return span.end - span.start


def _span(span: Span | None) -> Row | None:
    return span.model_dump() if span else None


def _facet(facet: Facet) -> Row:
    return {"text": facet.text, "modality": facet.modality, "span": _span(facet.span)}


def _entries(field: str, value: JsonValue) -> list[Row]:
    found = [{"key": _cut(key), "value": _cut(text)} for key, text in _flat(field, value)]
    more = len(found) - METADATA_ENTRIES
    return found if more <= 0 else [*found[:METADATA_ENTRIES], {"key": field, "value": f"... and {more:,} more"}]


def _cut(text: str) -> str:
    return text if len(text) <= METADATA_CHARACTERS else f"{text[:METADATA_CHARACTERS]} ..."


def _flat(key: str, value: JsonValue) -> Iterator[tuple[str, str]]:
    """(key, text) of a JSON value: a list repeats its key, an object's keys are joined by dots, null says nothing."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(key, inner)
    elif isinstance(value, bool):
        yield key, "true" if value else "false"
    elif value is not None:
        yield key, str(value)
