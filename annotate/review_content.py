"""What a reviewer is shown of a pair: the content of the page, and how it travels so that nothing in it can act.

Argilla puts a record as JSON into a script of its page, unescaped, and that page is the reviewer's session: a query
with `</script>` in it would run there. So all content goes as one text in which no character means anything to HTML,
to a template or to a replacement pattern; the page parses it and puts every piece in as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from hardcut.annotate.policy import UNAIDED, SetName
from hardcut.annotate.previews import Window, window
from hardcut.annotate.responses import ShownPair
from hardcut.annotate.sets import RELEVANCE
from hardcut.schemas.ids import canonical_json, digest
from hardcut.schemas.judgments import Relevance, Review, Stratum
from hardcut.schemas.records import Evidence, Pair, Query, Span, TeacherLabel, Video
from hardcut.schemas.reviews import query_digest
from hardcut.schemas.settings import Settings

MAX_LINES = 60
MAX_TEXT = 600
MAX_REASONING = 6000
SILENT = frozenset({"shot"})
"""Evidence that tells a reviewer nothing that is not seen."""

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_ACTIVE = re.compile("[<>&#$`'{}\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""HTML, templates, what `String.replace` takes for a pattern, and what no server stores."""


@dataclass(frozen=True, slots=True)
class ReviewSubject:
    """A pair with all that is known about it."""

    pair: Pair
    query: Query
    video: Video
    evidence: Sequence[Evidence]
    labels: Sequence[TeacherLabel]
    reviews: Sequence[Review] = ()
    """The reviews that apply. Adjudicators see them without names."""
    reference: Video | None = None
    """What a composed query starts from."""
    nobody_left: bool = False
    """Everybody who reviews this run has voted on it."""


@dataclass(frozen=True, slots=True)
class PreviewLinks:
    """Where the page finds a pair's preview and contact sheet: URLs, `data:` ones too. `note` says what is missing."""

    clip: str | None = None
    sheet: str | None = None
    note: str = ""
    reference: str | None = None
    """The contact sheet of the video that the query starts from."""


def page_content(
    subject: ReviewSubject, set_name: SetName, media: PreviewLinks, settings: Settings
) -> dict[str, JsonValue]:
    """The page of a pair.

    The page of a set in `UNAIDED` is made of the query's words and the whole video alone, so that it is the same
    however the two met. Facets, evidence, a moment or a file's name would tell it.
    """
    query, video = subject.query, subject.video
    cut = window(query, video, settings.review, whole=set_name in UNAIDED)
    shown: dict[str, JsonValue] = {
        "query": query.text,
        "language": query.language,
        "video": {"duration": video.duration_s, "fps": video.fps},
        "clip": {"url": media.clip, "told": media.note, **_clip(cut)},
        "sheet": media.sheet,
        "reference": {"sheet": media.reference} if subject.reference else None,
    }
    if set_name == "adjudication":
        shown["votes"] = [_vote(review) for review in subject.reviews]
        shown["nobody_left"] = subject.nobody_left
    if set_name in UNAIDED:
        return shown
    source = query.source_video_id == video.video_id
    shown["metadata"] = _metadata(video, settings.evidence.metadata_fields)
    shown["facets"] = [
        {"text": facet.text, "modality": facet.modality, **_times(facet.span)} for facet in query.facets if source
    ]
    shown["evidence"] = [
        {"kind": line.kind, "text": line.text[:MAX_TEXT], **_times(line.span)} for line in _lines(subject.evidence)
    ]
    if subject.labels:
        shown["teachers"] = [_teacher(label) for label in subject.labels]
    return shown


def asked(subject: ReviewSubject, stratum: Stratum, run_id: str) -> str:
    """Whose answer a record brings back, as JSON. It is kept where reviewers do not see it."""
    return canonical_json(
        {
            "pair_id": subject.pair.pair_id,
            "query_id": subject.query.query_id,
            "video_id": subject.video.video_id,
            "query_digest": query_digest(subject.query),
            "video_sha256": subject.video.sha256,
            "stratum": stratum,
            "run_id": run_id,
        }
    )


def suggestion(subject: ReviewSubject, set_name: SetName) -> tuple[Relevance, float | None] | None:
    """The teachers' verdict as an answer, with its probability; for the assisted set only, and where there is one."""
    if set_name != "assisted" or not subject.labels:
        return None
    yes = sum(label.verdict == "yes" for label in subject.labels)
    relevance: Relevance = 2 if 2 * yes >= len(subject.labels) else 0
    known = [label.p_yes for label in subject.labels if label.p_yes is not None]
    if not known:
        return relevance, None
    mean = sum(known) / len(known)
    return relevance, round(mean if relevance else 1 - mean, 4)


def encode(shown: Mapping[str, JsonValue]) -> str:
    """The content as JSON whose texts hold nothing active: such characters are escapes of four digits."""
    text = json.dumps(shown, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return _STRING.sub(lambda string: _ACTIVE.sub(lambda found: f"\\u{ord(found[0]):04x}", string[0]), text)


def decode(text: str) -> dict[str, Any]:
    """What `encode` was given. Raises ValueError for anything else."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("a page is a JSON object")
    return value


def read_shown(asked: str, page: str, suggested: Relevance | None) -> ShownPair:
    """What a record says of its pair: by `asked`, or by its page, which early versions wrote it into. Raises
    ValueError, KeyError, TypeError for a record that is not ours."""
    pair = decode(asked) if asked else decode(page)["pair"]
    return ShownPair(
        pair_id=str(pair["pair_id"]),
        query_id=str(pair["query_id"]),
        video_id=str(pair["video_id"]),
        query_digest=str(pair["query_digest"]),
        video_sha256=str(pair["video_sha256"]) if "video_sha256" in pair else None,
        stratum=pair["stratum"],
        suggested=suggested,
        run_id=str(pair["run_id"]) if "run_id" in pair else None,
    )


def pushed_by(asked: str) -> str | None:
    """The id of the run that pushed a record; None where the record does not tell."""
    try:
        return str(decode(asked)["run_id"])
    except (ValueError, KeyError):
        return None


def page_digest(
    encoded: str, suggested: tuple[Relevance, float | None] | None, asked: str, voters: Sequence[str] = ()
) -> str:
    """Changes whenever a record has to be pushed again."""
    return digest(encoded, list(suggested) if suggested else None, asked, list(voters))


def _metadata(video: Video, fields: Sequence[str]) -> list[JsonValue]:
    """The fields that teachers may read, as pairs of name and text, in the order of the settings."""
    values = ((name, video.metadata.get(name)) for name in fields)
    return [[name, _plain(value)[:MAX_TEXT]] for name, value in values if value not in (None, "", [])]


def _plain(value: JsonValue) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return json.dumps(value, ensure_ascii=False)


def _lines(evidence: Sequence[Evidence]) -> list[Evidence]:
    """At most `MAX_LINES`, evenly spread over the video; metadata has its own place on the page."""
    lines = [line for line in evidence if line.kind not in SILENT and line.kind != "metadata"]
    lines.sort(key=lambda line: (line.span.start if line.span else -1.0, line.kind, line.evidence_id))
    if len(lines) <= MAX_LINES:
        return lines
    return [lines[(2 * place + 1) * len(lines) // (2 * MAX_LINES)] for place in range(MAX_LINES)]


def _times(span: Span | None) -> dict[str, JsonValue]:
    return {"start": span.start, "end": span.end} if span else {"start": None, "end": None}


def _clip(shown: Window) -> dict[str, JsonValue]:
    """Where the preview lies in the video, and what of it is the moment; all in the video's own time."""
    return {"start": shown.cut.start, "end": shown.cut.end, "moment": _times(shown.moment)}


def _teacher(label: TeacherLabel) -> dict[str, JsonValue]:
    return {
        "name": f"{label.teacher.backend}: {label.teacher.model}" if label.teacher.model else label.teacher.backend,
        "verdict": label.verdict,
        "p_yes": label.p_yes,
        "reasoning": label.reasoning[:MAX_REASONING],
    }


def _vote(review: Review) -> dict[str, JsonValue]:
    said = next(title for value, title in RELEVANCE.values() if value == review.relevance)
    return {"said": said, "flags": list(review.flags), **_times(review.span)}
