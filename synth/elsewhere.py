"""What other videos show, for the two sides of a block to be made of the same words.

A query is turned by exchanging or denying something. Were the other thing invented, its words would give the turned
query away: here it is true of other videos of the collection.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from hardcut.engine.stage import Unit
from hardcut.schemas.ids import digest
from hardcut.schemas.records import Caption, Evidence, Video
from hardcut.synth.request_inputs import video_inputs
from hardcut.teacher.prompts.inputs import ElsewhereLine, EvidenceLine
from hardcut.teacher.rules.judge import SURE, EvidenceJudge
from hardcut.teacher.rules.mentions import can_be_asked, mention_of

NEIGHBOURS = 6
"""Videos whose evidence is looked through for a video."""
_MOST = 12
"""Lines that a writer is shown."""


class Ring:
    """The videos of a collection in a round that falls by digest, so that everybody's things go to anybody."""

    def __init__(self, videos: Iterable[str]) -> None:
        self.videos: Sequence[str] = sorted(videos, key=_place)

    def index(self, video_id: str) -> int | None:
        """The place of a video in the round; None for one that is not there."""
        at = bisect_left(self.videos, _place(video_id), key=_place)
        return at if at < len(self.videos) and self.videos[at] == video_id else None

    def following(self, video_id: str) -> Iterator[str]:
        """All that follow a video, itself aside, once round."""
        at = bisect_right(self.videos, _place(video_id), key=_place)
        size = len(self.videos)
        found = (self.videos[(at + step) % size] for step in range(size))
        return (video for video in found if video != video_id)

    def after(self, video_id: str) -> list[str]:
        """The `NEIGHBOURS` that follow a video."""
        return list(islice(self.following(video_id), NEIGHBOURS))


def _place(video_id: str) -> tuple[str, str]:
    return digest(video_id), video_id


def elsewhere(others: Iterable[Unit], evidence: Sequence[EvidenceLine], caption: str) -> tuple[ElsewhereLine, ...]:
    """What the other videos (Video, Evidence, Caption) show or say and this one, of which `evidence` and `caption` are
    known, does not; each once.

    A video of which half of the texts or more, read or said, are in this one too may be of the same scene. What is
    known of it alone may be here as well, and was not read: nothing is taken from it.
    """
    judge = EvidenceJudge(evidence, caption)

    def is_here(line: ElsewhereLine) -> bool:
        return judge.judge(f'"{line.text}"').margin >= 0

    found: dict[str, ElsewhereLine] = {}
    for unit in others:
        lines = {line.text: line for line in _lines_of(unit)}
        here = {text for text, line in lines.items() if is_here(line)}
        texts = {text for text, line in lines.items() if line.modality in ("ocr", "speech")}
        if not texts or 2 * len(texts & here) < len(texts):
            found |= {text: line for text, line in lines.items() if text not in here}
    return tuple(found.values())


def some_of(lines: Iterable[ElsewhereLine], query_id: str) -> list[ElsewhereLine]:
    """As many of them as a writer is shown, for each query others, by digest."""
    return sorted(lines, key=lambda line: digest(query_id, line.text))[:_MOST]


def _lines_of(unit: Unit) -> Iterator[ElsewhereLine]:
    """What can be asked for of a video: evidence that is sure enough, and claims that no line of evidence tells."""
    video = unit.one(Video)
    for given in video_inputs(video, unit.all(Evidence))["evidence"]:  # type: ignore[union-attr]
        line = EvidenceLine.model_validate(given)
        sure = line.confidence is None or line.confidence >= SURE.get(line.kind, 0.0)
        if sure and can_be_asked(line, video.duration_s):
            mention = mention_of(line)
            yield ElsewhereLine(text=mention.phrase, modality=mention.modality)
    for caption in unit.all(Caption):
        for claim in caption.claims:
            if not claim.evidence_ids:
                yield ElsewhereLine(text=claim.text.rstrip("."), modality="visual")
