"""A caption with an edit and without: composed triplets out of texts alone (TARA), where no twin shows the edit.

Pure functions. The edit leads from the given caption to the written one, and another one leads back: so each of the two
is once what the anchor asks for, and once what it starts from.
"""

from __future__ import annotations

from collections.abc import Sequence

from hardcut.schemas.records import Caption, Claim, TeacherRef
from hardcut.schemas.text.clean import clean
from hardcut.schemas.text.words import words
from hardcut.schemas.triplets import TextSource, Triplet, composed_anchor
from hardcut.synth.contrasts import SINGLE_SIGN, Said, told, triplet_of
from hardcut.teacher.prompts.reply_models import TurnedReply

PARTS = 4
"""Parts of a caption that are edited at most."""
_CLAIMS = 3
"""Claims in a part at most."""


def parts_of(caption: Caption, max_words: int) -> list[str]:
    """Claims of a caption that follow each other in time, a few together, each in one part at most. Claims without a
    time are about no moment, and hardly anybody would ask for their edit. A part that quotes a single sign, which is
    often a piece of another text or none at all, is left out."""
    timed = [claim for claim in caption.claims if claim.span is not None]
    timed.sort(key=lambda claim: (claim.span.start if claim.span else 0.0, claim.text))
    parts: list[str] = []
    while timed and len(parts) < PARTS:
        size = _fitting(timed, max_words)
        if size:
            parts.append(told(timed[:size]))
        timed = timed[max(1, size) :]
    return [part for part in dict.fromkeys(parts) if not SINGLE_SIGN.search(part)]


def _fitting(claims: Sequence[Claim], max_words: int) -> int:
    """How many of the first claims make a part: at most so many words."""
    sizes = range(min(_CLAIMS, len(claims)), 0, -1)
    return next((size for size in sizes if len(told(claims[:size]).split()) <= max_words), 0)


def edit_fault(text: str, turned: TurnedReply, max_words: int) -> str | None:
    """What can be seen to be wrong with an edit of a text without asking."""
    if _plain(turned.text) == _plain(text):
        return "unchanged"
    if max(len(each.split()) for each in (turned.text, turned.edit, turned.back)) > max_words:
        return "too_long"
    if not (_says(turned.edit, turned.text, text) and _says(turned.back, text, turned.text)):
        return "edit_says_nothing"
    return None


def edited_set(
    given: Said,
    written: Said,
    turned: TurnedReply,
    set_id: str,
    made_from: str | None = None,
    family: str | None = None,
) -> list[Triplet]:
    """The two triplets of a caption and the edited one: from each of them the edit that leads to the other. The given
    one is true of the video `made_from`, the other is not."""
    made = []
    ways = (written, given, turned.edit, None), (given, written, turned.back, made_from)
    for edited, source, edit, video in ways:
        anchor = Said(composed_anchor(source.text, clean(edit)), _edited(given, written.source.teacher))
        whose = {"video_id": video, "made_from": made_from, "family": family}
        made.append(triplet_of("composed", set_id, anchor, edited, source, **whose))
    return made


def _edited(given: Said, teacher: TeacherRef | None) -> TextSource:
    return TextSource(kind="edited", id=given.source.id, teacher=teacher)


def _says(edit: str, after: str, before: str) -> bool:
    """Whether an edit names something that is there after it and was not before it."""
    new = set(words(after)) - set(words(before))
    return bool(edit.strip()) and (not new or bool(new & set(words(edit))))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
