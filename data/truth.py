"""What is true of a clip, for whoever judges perception, and which clips answer a query."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from hardcut.data.model import Clip, Frames, Question, Sought, Thing, World

NEGATIVES = 8
"""At most so many judged negatives a query: the relatives of what answers it, then what answers it in part."""


def truth_record(clip: Clip) -> dict[str, Any]:
    """A line of `truth.jsonl`: what is visible, legible and said, and when. Seconds, pixels, shares of the picture."""
    rate = clip.form.rate

    def span(frames: Frames) -> dict[str, float]:
        return frames.seconds(rate).model_dump()

    return {
        "video_id": clip.video_id,
        "duration_s": round(clip.frames / rate, 3),
        "fps": rate,
        "width": clip.form.width,
        "height": clip.form.height,
        "objects": [
            {
                "shape": thing.shape,
                "colour": thing.colour,
                "direction": thing.direction,
                "size": thing.size,
                "visible": span(_in_picture(thing)),
                "moving": span(thing.moving) if thing.direction != "still" else None,
                "from": list(thing.start),
                "to": list(thing.end),
            }
            for thing in clip.things
        ],
        "texts": [
            {
                "text": words.text,
                "script": words.script,
                "span": span(words.shown),
                "centre": list(words.centre),
                "height_px": words.height_px,
                "legible": words.legible,
            }
            for words in clip.words
        ],
        "speech": [{"text": sentence.text, "span": span(sentence.spoken)} for sentence in clip.speech],
        "shots": [span(scene.frames) for scene in clip.scenes],
        "relations": [relation.model_dump() for relation in clip.relations],
        "event": clip.meta.event,
    }


def judge(world: World) -> list[tuple[Question, dict[str, int]]]:
    """Every question that some clip answers, with the grades of the clips that are judged for it, sorted by id.

    2: the clip shows all that is asked, in the order asked. 1: it is a near duplicate of such a clip or shows the same
    event, contradicts nothing, and lacks only words or speech. 0: a relative of an answer that is none, or a clip that
    has some of what is asked.
    """
    index = _Index(world.clips)
    judged = []
    for question in world.questions:
        found = index.clips_with_any(question.sought)
        grades = {clip.video_id: 2 for clip in found if answers(clip, question)}
        if not grades:
            continue
        answering = [index.by_id[video_id] for video_id in sorted(grades)]
        relatives = {
            relation.video_id: relation.kind in ("near_duplicate", "same_event")
            for clip in answering
            for relation in clip.relations
        }
        for video_id, alike in sorted(relatives.items()):
            if video_id not in grades and alike and _answers_in_part(index.by_id[video_id], question):
                grades[video_id] = 1
        others = sorted(relatives.keys() - grades.keys())
        others += [clip.video_id for clip in found if clip.video_id not in grades and clip.video_id not in relatives]
        grades |= dict.fromkeys(others[:NEGATIVES], 0)
        judged.append((question, dict(sorted(grades.items()))))
    return judged


def answers(clip: Clip, question: Question) -> bool:
    """Whether the clip shows all that is asked, in the order asked, and nothing that must not be there."""
    moments = [_moments(clip, sought) for sought in question.sought]
    if not all(moments) or _has_any(clip, question.without):
        return False
    return not question.ordered or _in_order(moments)


def _has_any(clip: Clip, excluded: Sequence[Sought]) -> bool:
    """Whether something excluded is in the clip. Print that is too small or too pale to be asked for is there too."""
    fine_print = [words.text for words in clip.words if not words.legible]
    return any(
        _moments(clip, sought) or (sought.what == "words" and any(_says(text, sought.text) for text in fine_print))
        for sought in excluded
    )


def _answers_in_part(clip: Clip, question: Question) -> bool:
    moments = [_moments(clip, sought) for sought in question.sought]
    missing = {sought.what for sought, when in zip(question.sought, moments, strict=True) if not when}
    there = [when for when in moments if when]
    if not there or "thing" in missing or _has_any(clip, question.without):
        return False
    return not question.ordered or _in_order(there)


def _moments(clip: Clip, sought: Sought) -> list[int]:
    """The frames at which something that fits begins."""
    match sought.what:
        case "thing":
            return [thing.moving.first for thing in clip.things if _fits(thing, sought)]
        case "words":
            return [words.shown.first for words in clip.words if words.legible and _says(words.text, sought.text)]
        case "speech":
            return [sentence.spoken.first for sentence in clip.speech if _says(sentence.text, sought.text)]
        case "tag":
            return [0] if sought.text in clip.meta.tags else []


def _fits(thing: Thing, sought: Sought) -> bool:
    if thing.direction == "still" or sought.direction not in (None, thing.direction):
        return False
    return sought.shape in (None, thing.shape) and sought.colour in (None, thing.colour)


def _says(text: str, wanted: str) -> bool:
    return f" {' '.join(tokens(wanted))} " in f" {' '.join(tokens(text))} "


def _in_order(moments: list[list[int]]) -> bool:
    """Whether one moment of each can be chosen so that each comes after the one before it."""
    now = -1
    for when in moments:
        later = [moment for moment in when if moment > now]
        if not later:
            return False
        now = min(later)
    return True


def tokens(text: str) -> list[str]:
    """Words in small letters, punctuation dropped."""
    return re.findall(r"\w+", text.casefold())


def _in_picture(thing: Thing) -> Frames:
    """The frames at which the thing's centre is in the picture. A straight path enters and leaves it at most once."""
    inside = [
        index
        for index in range(thing.visible.first, thing.visible.end)
        if all(0 <= coordinate <= 1 for coordinate in thing.place(index))
    ]
    return Frames(first=inside[0], end=inside[-1] + 1)


class _Index:
    """Finds the clips that can have something without looking at all of them."""

    def __init__(self, clips: Iterable[Clip]) -> None:
        self.by_id = {clip.video_id: clip for clip in clips}
        self._having: dict[tuple[str, str], set[str]] = defaultdict(set)
        for clip in self.by_id.values():
            for thing in clip.things:
                self._having["thing", thing.shape].add(clip.video_id)
            for what, texts in (
                ("words", [words.text for words in clip.words]),
                ("speech", [sentence.text for sentence in clip.speech]),
                ("tag", clip.meta.tags),
            ):
                for text in texts:
                    for token in tokens(text):
                        self._having[what, token].add(clip.video_id)

    def clips_with_any(self, wanted: Iterable[Sought]) -> list[Clip]:
        """Clips in which at least one of `wanted` is found, sorted by id."""
        clips: dict[str, Clip] = {}
        for sought in wanted:
            key = sought.shape or "" if sought.what == "thing" else tokens(sought.text)[0]
            for video_id in self._having[sought.what, key]:
                if _moments(self.by_id[video_id], sought):
                    clips[video_id] = self.by_id[video_id]
        return [clips[video_id] for video_id in sorted(clips)]
