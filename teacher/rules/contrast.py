"""Captions turned without a model: antonyms of actions, negators, and words of one kind exchanged for each other.

English alone. What stands in quotation marks is touched by edits alone, and only where nothing else can be exchanged:
then another text is read. A caption in which nothing can be turned has no contrast.
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
    ("young", "old"), ("sunny", "rainy"), ("crowded", "deserted"),
)  # fmt: skip
"""Words of one kind: of two in one of these, a picture shows one and not the other, if they are not `_LIKE`. Sizes are
none: what one person calls small another one does not."""
_HUES = ("red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink")
"""In a round: each is like the one before and the one after it."""
_LIKE = frozenset(
    {
        *(frozenset(pair) for pair in zip(_HUES, (*_HUES[1:], _HUES[0]), strict=True)),
        *(frozenset({"grey", other}) for other in ("black", "white", "brown", "blue", "turquoise")),
        *(frozenset({"brown", other}) for other in ("black", "red", "orange", "yellow")),
    }
)
"""Colours that one person calls so and another one so."""
_SHADES = frozenset({"black", "grey", "white", "brown"})
_THING = re.compile(r"\b(\w+)(?: and (\w+))? thing\b")
"""Of a thing nothing is known but its colours and its movement. Others that nobody noticed are mostly pale or dark, so
that it is not exchanged for one of a shade."""
_WHOLE_PICTURE = re.compile(r"(?<!\w)(?:mostly|of many colours)\b[^.]*", re.IGNORECASE)
"""What fills a picture is told by its largest colours. It has others too, and no exchange of them is false."""
_SIGNS = ("exit", "closed", "menu", "danger", "sale", "no parking", "open daily", "push", "lost and found", "tickets")
"""What may be written in the place of other words, in one of its own cases."""
_WRITTEN = re.compile(r'(?<=\btext )"([^"]{3,})"')
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
        yield from _other_signs(text)
    else:
        for word, other in reversed(_exchanges(text)):  # the last, so that it seldom is that of an edit
            yield from ((turned, "", "") for turned in swapped(text, word, other))


def _exchanges(text: str) -> list[tuple[str, str]]:
    """Words of the text that stand there once, each with another of its kind that does not and is like none that does,
    by a digest of the text."""
    plain = masked(text).lower()
    said, of_parts = re.findall(r"\w+", plain), re.findall(r"\w+", _WHOLE_PICTURE.sub("", plain))
    taken = {*said, *(word for pair in _LIKE if not pair.isdisjoint(of_parts) for word in pair)}
    things = {word for hit in _THING.finditer(plain) for word in hit.groups()}
    found = []
    for kind in _KINDS:
        for word in kind:
            others = [other for other in kind if other not in taken and not (word in things and other in _SHADES)]
            if said.count(word) == 1 and word in of_parts and others:
                found.append((word, pick_by_digest(others, digest(text, word))))
    return shuffled(found, digest(text))


def _other_signs(text: str) -> Iterator[tuple[str, str, str]]:
    """The text with something else written in the place of a text that can be read, for each of these."""
    said = set(re.findall(r"\w+", text.lower()))
    fresh = [sign for sign in _SIGNS if said.isdisjoint(sign.split())]
    for hit in shuffled(list(_WRITTEN.finditer(text)), digest(text)) if fresh else ():
        sign = pick_by_digest(fresh, digest(text, hit[1]))
        sign = sign.upper() if hit[1].isupper() else sign
        turned = f"{text[: hit.start(1)]}{sign}{text[hit.end(1) :]}"
        yield turned, f'"{sign}" in place of "{hit[1]}"', f'"{hit[1]}" in place of "{sign}"'


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
