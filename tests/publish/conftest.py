"""Records for the tests of this package, and a small run folder made of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hardcut.schemas.base import Record
from hardcut.schemas.catalogue import RECORDS
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import write_records
from hardcut.schemas.judgments import Judgment, Review
from hardcut.schemas.records import (
    Caption,
    Claim,
    Dropped,
    Facet,
    FirstStage,
    Pair,
    Query,
    Signature,
    Span,
    TeacherLabel,
    TeacherRef,
    Video,
)
from hardcut.schemas.triplets import Triplet
from hardcut.synth.contrasts import Contrast, Said, query_triplets

TEACHER = TeacherRef(backend="openai", model="judge-8b", revision="r1", prompt_digest="ab" * 32)


class Make:
    """Short ways to make one record each."""

    def video(self, video_id: str, content: str | None = None, **metadata: Any) -> Video:
        return Video(
            video_id=video_id,
            path=f"{video_id}.mp4",
            sha256=digest(content or video_id),
            size_bytes=1000,
            duration_s=12.5,
            fps=25,
            width=640,
            height=360,
            codec="h264",
            video_streams=1,
            has_audio=True,
            complete=True,
            metadata=metadata,
        )

    def signature(self, video_id: str) -> Signature:
        """Of four pictures, each of its own colours."""
        pixels = np.random.default_rng(int(digest(video_id)[:8], 16)).integers(0, 256, (4, 6, 6, 3), dtype=np.uint8)
        sheet = Image.new("RGB", (8 * 48, 48))
        for at, picture in enumerate(pixels):
            sheet.paste(Image.fromarray(picture).resize((48, 48)), (48 * at, 0))
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=90)
        encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
        hashes = tuple(digest(f"{video_id} {at}")[:16] for at in range(4))
        return Signature(video_id=video_id, times=(0.0, 1.0, 2.0, 3.0), hashes=hashes, sheet=encoded)

    def caption(self, video_id: str, text: str = "A ball rolls to the left.") -> Caption:
        claim = Claim(text=text, span=Span(start=0, end=2), evidence_ids=("e_1",))
        return Caption.create(video_id=video_id, text=text, claims=(claim,), teacher=TEACHER)

    def query(self, text: str, source: str | None = None, **fields: Any) -> Query:
        facets = (
            Facet(text="the ball", modality="visual", span=Span(start=1, end=2.5)),
            Facet(text="x", modality="ocr"),
        )
        given = {"view": "caption" if source else "user", "kind": "event", "language": "en", "facets": facets}
        return Query.create(text=text, source_video_id=source, teacher=TEACHER, **{**given, **fields})

    def pair(self, query: Query, video_id: str, expected: str | None = None) -> Pair:
        source = query.source_video_id == video_id
        return Pair.create(
            query_id=query.query_id,
            video_id=video_id,
            origins=("source",) if source else ("mined",),
            expected=expected or ("yes" if source else "no" if query.source_video_id else "unknown"),
            first_stage=(FirstStage(run="bm25", rank=1 if source else 2, score=3.25),),
        )

    def label(self, pair: Pair, verdict: str, margin: float | None = None, **fields: Any) -> TeacherLabel:
        p_yes = None if margin is None else round(1 / (1 + 2.718281828459045**-margin), 6)
        given = {"teacher": TEACHER, "logit_margin": margin, "p_yes": p_yes}
        return TeacherLabel.create(
            pair_id=pair.pair_id, query_id=pair.query_id, video_id=pair.video_id, verdict=verdict, **{**given, **fields}
        )

    def triplets(self, query: Query, changed: Query) -> list[Triplet]:
        """The set of a query and its counterfactual, each said again."""
        nuance = {"reversed": "temporal", "negated": "negation"}.get(changed.variant, "facet")
        sides = Said.of_query(query), Said.of_query(changed)
        contrast = Contrast(nuance, *sides, query.source_video_id, query.query_id)  # type: ignore[arg-type]
        return query_triplets(contrast, f"here {query.text}", f"here {changed.text}", 0, TEACHER)

    def review(self, pair: Pair, query: Query, relevance: int | None, reviewer: str = "ada", **fields: Any) -> Review:
        given = {"query_digest": digest(query.text), "blind": True, "status": "submitted"}
        return Review.create(
            pair_id=pair.pair_id,
            query_id=pair.query_id,
            video_id=pair.video_id,
            reviewer=reviewer,
            relevance=relevance,
            **{**given, **fields},
        )

    def judgment(self, pair: Pair, grade: int, label: TeacherLabel | None = None) -> Judgment:
        return Judgment(
            pair_id=pair.pair_id,
            query_id=pair.query_id,
            video_id=pair.video_id,
            grade=grade,
            source="teacher" if label else "human",
            support=(label.label_id,) if label else (),
        )

    def dropped(self, item: str, stage: str, reason: str, detail: str = "") -> Dropped:
        return Dropped.create(item=item, stage=stage, reason=reason, detail=detail)


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()


def written(folder: Path, records: Iterable[Record]) -> Path:
    """A run folder as the engine writes it: each kind in its file, sorted by id."""
    folder.mkdir(parents=True, exist_ok=True)
    everything = list(records)
    for kind in RECORDS:
        chosen = sorted((record for record in everything if isinstance(record, kind)), key=lambda record: record.id)
        with (folder / kind.FILE).open("w", encoding="utf-8") as file:
            write_records(file, chosen)
    return folder


@pytest.fixture(scope="session")
def write_run() -> Callable[[Path, Iterable[Record]], Path]:
    return written
