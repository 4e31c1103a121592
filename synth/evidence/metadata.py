"""What people wrote about a video beside it, as evidence: only the fields that the settings allow."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from hardcut.schemas.records import Dropped, Evidence, Video
from hardcut.schemas.text.clean import clean
from hardcut.synth.evidence.look import Extractor, Look

MAX_CHARACTERS = 2000


def metadata_evidence(video: Video, fields: Sequence[str]) -> tuple[list[Evidence], list[Dropped]]:
    """One line of evidence ("title: …") for each allowed field that says something, in the order of `fields`.

    Strings, numbers and lists of them are told, cut at 2,000 characters; anything else is dropped as `not_text`.
    """
    found: list[Evidence] = []
    dropped: list[Dropped] = []
    for field in dict.fromkeys(fields):
        value = video.metadata.get(field)
        if value is None:
            continue
        told = _value_text(value)
        if told is None:
            detail = f"field {field!r} of the metadata is neither a text, a number nor a list of them"
            dropped.append(Dropped.create(item=video.video_id, stage="evidence", reason="not_text", detail=detail))
        elif text := clean(told, MAX_CHARACTERS):
            found.append(
                Evidence.create(
                    video_id=video.video_id, kind="metadata", text=f"{clean(field)}: {text}", extractor="sidecar"
                )
            )
    return found, dropped


def _value_text(value: JsonValue) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, list):
        parts = [None if isinstance(part, list) else _value_text(part) for part in value]
        return None if None in parts else ", ".join(part for part in parts if part)
    return None


async def _metadata(look: Look) -> list[Evidence | Dropped]:
    found, dropped = metadata_evidence(look.video, look.setup.options.metadata_fields)
    return [*found, *dropped]


METADATA = Extractor("metadata", None, _metadata, frames=False)
