"""Which files lie beside a video, by their names alone: subtitles with their language, metadata, and what a downloader
leaves there."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal, NamedTuple

SUBTITLE_SUFFIXES = frozenset({".srt", ".vtt", ".ass", ".ssa"})
_PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_UNFINISHED = frozenset({".part", ".ytdl"})
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
_ORIGINAL = re.compile(r"[-_]orig$")
_MOST_TAGS = 3

Variant = Literal["plain", "hearing", "automatic", "forced"]
"""Subtitles of one language: everything that is said; with sounds, for the hard of hearing; recognised by a machine;
only what is in another language."""
_VARIANTS: dict[str, Variant] = {
    **dict.fromkeys(("default", "full"), "plain"),
    **dict.fromkeys(("sdh", "cc", "hi"), "hearing"),
    **dict.fromkeys(("auto", "orig"), "automatic"),
    **dict.fromkeys(("forced", "foreign"), "forced"),
}


class SubtitleName(NamedTuple):
    """What the name of a subtitle file says: the language as BCP 47 has it, and the variant."""

    language: str | None
    variant: Variant


class Beside(NamedTuple):
    """A file that belongs to the video whose path without its suffix is `stem`. `role` is what it is there for;
    `subtitles` is None unless it has some."""

    stem: str
    role: Literal["metadata", "downloaded", "description", "subtitles", "thumbnail", "unfinished"]
    subtitles: SubtitleName | None = None


def belonging(stem: str, suffix: str, stems: Collection[str]) -> Beside | None:
    """To which of the videos a file belongs, and as what; None where to none. `stem` and `suffix` are the parts of its
    path, `stems` those of the videos.

    >>> belonging("talk.en.sdh", ".srt", {"talk"})
    Beside(stem='talk', role='subtitles', subtitles=SubtitleName(language='en', variant='hearing'))
    """
    if suffix == ".json":
        if stem in stems:
            return Beside(stem, "metadata")
        downloaded = stem.removesuffix(".info")
        return Beside(downloaded, "downloaded") if downloaded != stem and downloaded in stems else None
    if suffix == ".description" and stem in stems:
        return Beside(stem, "description")
    if suffix in _PICTURE_SUFFIXES and stem in stems:
        return Beside(stem, "thumbnail")
    if suffix in _UNFINISHED:
        return Beside(stem, "unfinished")
    return _subtitles(stem, stems) if suffix in SUBTITLE_SUFFIXES else None


def _subtitles(stem: str, stems: Collection[str]) -> Beside | None:
    tags: list[str] = []
    while stem not in stems and len(tags) < _MOST_TAGS:
        stem, dot, tag = stem.rpartition(".")
        if not dot or "/" in tag:
            return None
        tags.insert(0, tag)
    name = _named(tags) if stem in stems else None
    return Beside(stem, "subtitles", name) if name else None


def _named(tags: list[str]) -> SubtitleName | None:
    """None where a tag is neither a language nor a variant. `hi` alone is Hindi; after a language it is a variant."""
    language: str | None = None
    variant: Variant = "plain"
    for tag in tags:
        word = tag.lower()
        if word in _VARIANTS and (word != "hi" or language is not None):
            variant = _VARIANTS[word]
        elif language is None and _LANGUAGE.fullmatch(bare := _ORIGINAL.sub("", tag)):
            language = bare.replace("_", "-")
            variant = "automatic" if bare != tag else variant
        else:
            return None
    return SubtitleName(language, variant)
