"""Speech out of the subtitles inside a video's file, where no file beside it has that language."""

from __future__ import annotations

from hardcut.media.subtitle_streams import stream_cues
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Dropped, Evidence, Span
from hardcut.schemas.text.languages import primary_language
from hardcut.synth.evidence.cues import spoken
from hardcut.synth.evidence.look import Extractor, Look, Setup


async def _embedded(look: Look) -> list[Evidence | Dropped]:
    """Every cue as evidence of speech, as from a file; streams that are pictures are dropped with their number."""
    video = look.video
    known = [primary_language(sidecar.language) for sidecar in video.subtitles]
    try:
        cues, unread = await look.pool.call(stream_cues, str(look.path), known)
    except ItemError as error:  # the frames are in the store, so all else can be looked at
        detail = f"whether it has subtitles inside, nobody knows: {error}"
        return [Dropped.create(item=video.video_id, stage="evidence", reason="subtitle_unreadable", detail=detail)]
    found: dict[str, Evidence | Dropped] = {}
    for cue in cues:
        text = spoken(cue.text)
        if text and cue.start < video.duration_s:
            item = Evidence.create(
                video_id=video.video_id,
                kind="speech",
                text=text,
                span=Span(start=cue.start, end=min(cue.end, video.duration_s)),
                language=cue.language,
                extractor="embedded",
            )
            found.setdefault(item.evidence_id, item)
    for each in unread:
        name = f"{video.video_id}: stream {each.stream}"
        found[name] = Dropped.create(item=name, stage="evidence", reason="subtitle_unreadable", detail=each.reason)
    return list(found.values())


def _on(setup: Setup) -> bool:
    return setup.options.speech != "off"


EMBEDDED = Extractor("embedded", None, _embedded, on=_on, frames=False)
