"""Captions turned without a model: antonyms of actions, negators, and words of one kind exchanged for each other.

English alone. What stands in quotation marks is never touched. A caption in which nothing can be turned has no
contrast.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hardcut.schemas.ids import digest
from hardcut.schemas.text.words import COLOURS
from hardcut.schemas.triplets import Nuance
from hardcut.teacher.prompts.inputs import ContrastInputs
from hardcut.teacher.prompts.reply_models import ContrastReply, TurnedReply
from hardcut.teacher.rules.antonyms import masked, swapped, turned_in_time
from hardcut.teacher.rules.mentions import pick_by_digest, shuffled

_SCENES = ("a scene in which {}", "a clip where {}", "footage in which {}", "a video in which {}")
_BARE = ("a scene with this: {}", "a clip of this: {}", "footage of this: {}")
"""For a caption without a verb."""
_KINDS = (
    tuple(sorted(COLOURS)), ("man", "woman"), ("men", "women"), ("boy", "girl"), ("boys", "girls"),
    ("dog", "cat", "horse", "goat"), ("dogs", "cats", "horses", "goats"), ("car", "bus", "truck", "bicycle"),
    ("two", "three", "four", "five", "six"), ("guitar", "piano", "violin", "trumpet"),
    ("kitchen", "garden", "bathroom", "garage", "office"), ("street", "beach", "field", "forest"),
    ("football", "basketball", "tennis", "volleyball"), ("morning", "evening"), ("summer", "winter"),
    ("apple", "banana", "carrot", "tomato"), ("bread", "cheese", "soup", "rice"), ("hat", "scarf"),
    ("shirt", "coat"), ("table", "bed"), ("bottle", "bowl"),
    ("ball", "stick", "rope", "book"), ("river", "lake", "road", "mountain"), ("bird", "fish", "monkey", "rabbit"),
    ("small", "large"), ("young", "old"), ("sunny", "rainy"), ("crowded", "deserted"),
)  # fmt: skip
"""Words of one kind: of two in one of these, a picture shows one and not the other."""
_NEGATIONS = (
    (r"\bis not (\w+ing)\b", r"is \1"), (r"\bare not (\w+ing)\b", r"are \1"), (r"\bwithout\b", "with"),
    (r"\bnobody\b", "somebody"), (r"\bno one\b", "someone"),
    (r"\bis (\w+ing)\b", r"is not \1"), (r"\bare (\w+ing)\b", r"are not \1"), (r"\bwith (an?)\b", r"without \1"),
    (r"\bwearing\b", "not wearing"), (r"\bsomebody\b", "nobody"), (r"\bsomeone\b", "no one"),
    (r"\b(can be|is) (seen|heard)\b", r"\1 not \2"),
)  # fmt: skip
"""A denial is taken out before one is put in."""
_VERB = re.compile(r"\b(is|are|was|were|\w{3,}s|\w+ed)\b")


def write_contrasts(inputs: ContrastInputs) -> ContrastReply:
    """For each nuance the first turn of the caption that can be made; none where there is none."""
    found = []
    for nuance in inputs.nuances:
        made = next(_turns(nuance, inputs.text), None)
        if made is None:
            continue
        text, edit, back = made
        again, text_again = _reworded(inputs.text, text)
        if max(len(each.split()) for each in (text, again, text_again)) <= inputs.max_words:
            found.append(
                TurnedReply(nuance=nuance, text=text, again=again, text_again=text_again, edit=edit, back=back)
            )
    return ContrastReply(contrasts=tuple(found))


def _turns(nuance: Nuance, text: str) -> Iterator[tuple[str, str, str]]:
    """Other texts, each with the edit that leads there and the one that leads back, where the nuance has one."""
    if nuance == "temporal":
        yield from ((turned, "", "") for turned in turned_in_time(text))
    elif nuance == "negation":
        for pattern, instead in _NEGATIONS:
            turned = _outside_quotes(text, re.compile(pattern), instead)
            if turned != text:
                yield turned, "", ""
    elif nuance == "composed":
        for word, other in _exchanges(text):
            for turned in swapped(text, word, other):
                yield turned, f"{other} in place of {word}", f"{word} in place of {other}"
    else:
        for word, other in reversed(_exchanges(text)):  # the last, so that it seldom is that of an edit
            yield from ((turned, "", "") for turned in swapped(text, word, other))


def _exchanges(text: str) -> list[tuple[str, str]]:
    """Words of the text that stand there once, each with another of its kind that does not, by a digest of the text."""
    said = re.findall(r"\w+", masked(text).lower())
    found = []
    for kind in _KINDS:
        for word in kind:
            others = [other for other in kind if other not in said]
            if said.count(word) == 1 and others:
                found.append((word, pick_by_digest(others, digest(text, word))))
    return shuffled(found, digest(text))


def _outside_quotes(text: str, pattern: re.Pattern[str], instead: str) -> str:
    """The text with the first match replaced that is not in quotation marks."""
    hit = pattern.search(masked(text))
    return text if hit is None else text[: hit.start()] + hit.expand(instead) + text[hit.end() :]


def _reworded(text: str, other: str) -> tuple[str, str]:
    """Both captions in other words, the same for both."""
    has_verb = _VERB.search(text.lower()) and _VERB.search(other.lower())
    frame = pick_by_digest(_SCENES if has_verb else _BARE, digest(text))
    return frame.format(_inner(text)), frame.format(_inner(other))


def _inner(text: str) -> str:
    """As it stands inside a sentence: an article or pronoun at its start in a small letter, no full stop at its end."""
    first, _, rest = text.rstrip(" .").partition(" ")
    small = first.lower() in {"a", "an", "the", "two", "three", "four", "five", "some", "people", "someone", "somebody",
                              "there", "he", "she", "they", "no", "nobody", "one"}  # fmt: skip
    return f"{first.lower() if small else first} {rest}".rstrip()
