"""Temporal antonyms: what happens, and the same turned round in time or direction (TARA, arXiv 2512.13511). English
alone. What stands in quotation marks is never touched."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hardcut.teacher.rules.mentions import QUOTED

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


def turned_in_time(text: str) -> Iterator[str]:
    """The text with one action or direction turned round, once for each that stands in it alone and once. A word of a
    phrase that can be turned is not turned alone."""
    done: set[str] = set()
    for one, other in _ANTONYMS:
        found = [] if done & {one, other} else list(swapped(text, one, other))
        if found:
            done.update(one.split(), other.split())
            yield from found


def swapped(text: str, one: str, other: str) -> Iterator[str]:
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
    hits = re.finditer(rf"(?<![\w-]){re.escape(phrase)}(?![\w-])", masked(text), re.IGNORECASE)
    found = [hit for hit in hits if not text[: hit.start()].lower().endswith("close ")]
    if phrase in _NOUNS_TOO:
        return [hit for hit in found if re.search(rf"\b{_AFTER} $", text[: hit.start()], re.IGNORECASE)]
    return found


def masked(text: str) -> str:
    """The text with quotations blotted out, every place kept."""
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
