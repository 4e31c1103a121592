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
from hardcut.teacher.rules.mentions import QUOTED, pick_by_digest, shuffled

_SCENES = ("a scene in which {}", "a clip where {}", "footage in which {}", "a video in which {}")
_BARE = ("a scene with this: {}", "a clip of this: {}", "footage of this: {}")
"""For a caption without a verb."""
_VERBS = (
    ("open", "close"), ("enter", "leave"), ("push", "pull"), ("raise", "lower"), ("fold", "unfold"),
    ("uncover", "cover"), ("appear", "disappear"), ("arrive", "depart"), ("load", "unload"), ("unpack", "pack"),
    ("wrap", "unwrap"), ("unlock", "lock"), ("attach", "detach"), ("ascend", "descend"), ("accelerate", "brake"),
    ("begin", "stop"), ("give", "receive"), ("buy", "sell"), ("throw", "catch"), ("build", "dismantle"),
    ("inhale", "exhale"), ("freeze", "melt"), ("tighten", "loosen"), ("dress", "undress"), ("untie", "tie"),
    ("unplug", "plug"), ("unzip", "zip"),
)  # fmt: skip
"""Actions and their reverses (TARA, arXiv 2512.13511, temporal hard negatives)."""
_FORMS = {
    "begin": ("begins", "beginning", "began"), "stop": ("stops", "stopping", "stopped"),
    "give": ("gives", "giving", "gave"), "buy": ("buys", "buying", "bought"), "sell": ("sells", "selling", "sold"),
    "catch": ("catches", "catching", "caught"), "throw": ("throws", "throwing", "threw"),
    "build": ("builds", "building", "built"), "leave": ("leaves", "leaving", "left"),
    "zip": ("zips", "zipping", "zipped"), "unzip": ("unzips", "unzipping", "unzipped"),
    "plug": ("plugs", "plugging", "plugged"), "unplug": ("unplugs", "unplugging", "unplugged"),
    "freeze": ("freezes", "freezing", "froze"), "tie": ("ties", "tying", "tied"),
    "untie": ("unties", "untying", "untied"),
}  # fmt: skip
_NOUNS_TOO = frozenset(
    {
        *("leaves", "left", "covers", "packs", "locks", "ties", "plugs", "zips", "stops", "building", "dresses"),
        *("wraps", "loads", "catches", "brakes", "folds"),
    }
)
_AFTER = r"(?:he|she|it|they|who|that|and|then|which|man|woman|boy|girl|person|child|player|is|are|was|were)"
"""What a form that may be a noun too must follow to be taken for a verb."""
_PARTICLES = (
    ("up", "down"), ("into", "out of"), ("onto", "off"), ("forwards", "backwards"), ("forward", "backward"),
    ("upwards", "downwards"), ("from left to right", "from right to left"), ("to the left", "to the right"),
    ("towards", "away from"), ("toward", "away from"), ("turns on", "turns off"), ("turning on", "turning off"),
    ("picks up", "puts down"), ("picking up", "putting down"), ("takes off", "puts on"), ("taking off", "putting on"),
    ("gets in", "gets out"), ("gets on", "gets off"), ("getting on", "getting off"), ("sits down", "stands up"),
    ("sitting down", "standing up"), ("lies down", "gets up"), ("inside", "outside"),
)  # fmt: skip
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
        for one, other in _ANTONYMS:
            yield from ((turned, "", "") for turned in _swapped(text, one, other))
    elif nuance == "negation":
        for pattern, instead in _NEGATIONS:
            turned = _outside_quotes(text, re.compile(pattern), instead)
            if turned != text:
                yield turned, "", ""
    elif nuance == "composed":
        for word, other in _exchanges(text):
            for turned in _swapped(text, word, other):
                yield turned, f"{other} in place of {word}", f"{word} in place of {other}"
    else:
        for word, other in reversed(_exchanges(text)):  # the last, so that it seldom is that of an edit
            yield from ((turned, "", "") for turned in _swapped(text, word, other))


def _exchanges(text: str) -> list[tuple[str, str]]:
    """Words of the text that stand there once, each with another of its kind that does not, by a digest of the text."""
    said = re.findall(r"\w+", _masked(text).lower())
    found = []
    for kind in _KINDS:
        for word in kind:
            others = [other for other in kind if other not in said]
            if said.count(word) == 1 and others:
                found.append((word, pick_by_digest(others, digest(text, word))))
    return shuffled(found, digest(text))


def _swapped(text: str, one: str, other: str) -> Iterator[str]:
    """The text with the one phrase said as the other, or the other as the one, where just one of them stands there,
    and once."""
    places = [(phrase, _places(text, phrase)) for phrase in (one, other)]
    there = [(phrase, hits) for phrase, hits in places if hits]
    if len(there) != 1 or len(there[0][1]) != 1:
        return
    phrase, [hit] = there[0]
    instead = other if phrase == one else one
    instead = instead.capitalize() if hit[0][0].isupper() else instead
    before = text[: hit.start()]
    article = re.search(r"\b(an?) $", before, re.IGNORECASE)
    if article:
        wanted = "an" if instead[0].lower() in "aeiou" else "a"
        before = before[: article.start(1)] + (wanted.capitalize() if article[1][0].isupper() else wanted) + " "
    yield before + instead + text[hit.end() :]


def _places(text: str, phrase: str) -> list[re.Match[str]]:
    """Where the phrase stands outside of quotation marks, and not as a part of another word ("close-up")."""
    hits = re.finditer(rf"(?<![\w-]){re.escape(phrase)}(?![\w-])", _masked(text), re.IGNORECASE)
    found = [hit for hit in hits if not text[: hit.start()].lower().endswith("close ")]
    if phrase in _NOUNS_TOO:
        return [hit for hit in found if re.search(rf"\b{_AFTER} $", text[: hit.start()], re.IGNORECASE)]
    return found


def _outside_quotes(text: str, pattern: re.Pattern[str], instead: str) -> str:
    """The text with the first match replaced that is not in quotation marks."""
    hit = pattern.search(_masked(text))
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


def _masked(text: str) -> str:
    return QUOTED.sub(lambda match: "\0" * len(match[0]), text)


def _inflected(verb: str) -> tuple[str, str, str]:
    """Third person, -ing and past of a verb."""
    if verb in _FORMS:
        return _FORMS[verb]
    stem = verb[:-1] if verb.endswith("e") else verb
    third = f"{verb}es" if verb.endswith(("s", "sh", "ch", "x")) else f"{verb}s"
    return third, f"{stem}ing", f"{stem}ed"


_ANTONYMS: tuple[tuple[str, str], ...] = (
    *sorted(_PARTICLES, key=lambda pair: -len(pair[0].split())),
    *(pair for one, other in _VERBS for pair in zip(_inflected(one), _inflected(other), strict=True)),
)
"""Longer phrases come first, so that "picks up" is not turned into "picks down"."""
