"""Tesseract as a second recogniser: lines in scripts that the first one does not know, by language data on the disk.

It reads only the lines that the first recogniser found and could not read. It answers whatever it is shown, as the
first one does, so each line is prepared three ways, and a reading counts only in the script of its language.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import JsonValue

from hardcut.engine.file_digests import FileDigests
from hardcut.schemas.dependencies import installed, needs
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import EvidenceSettings
from hardcut.schemas.text.clean import clean, script_of
from hardcut.schemas.text.languages import primary_language

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

FOLDERS = ("/usr/share/tesseract-ocr/5/tessdata", "/usr/share/tesseract-ocr/4.00/tessdata", "/usr/share/tessdata")
"""Where Debian, Fedora and Arch put language data; `TESSDATA_PREFIX` comes before them."""
HEIGHT = 48
"""Height in pixels that a line is scaled to."""
SURE = 0.9
"""From this confidence on no other preparation of the line is tried."""
MARGIN = 8
LEAST_LETTERS = 0.8
"""Share of letters and their marks in a reading: what is read from another script is full of figures and signs."""

_SCRIPTS = {
    "und-Cyrl": "rus ukr bul bel mkd srp kaz kir mon tgk", "und-Grek": "ell grc", "ko": "kor kor_vert",
    "und-Arab": "ara fas urd pus uig snd", "und-Deva": "hin mar nep san", "und-Thai": "tha", "und-Hebr": "heb yid",
    "und-Beng": "ben asm", "und-Taml": "tam", "und-Armn": "hye", "und-Geor": "kat", "und-Latn": "vie",
}  # fmt: skip
_SCRIPT_NAMES = {
    "und-Cyrl": "Cyrillic", "und-Grek": "Greek", "ko": "Hangul", "und-Arab": "Arabic", "und-Deva": "Devanagari",
    "und-Thai": "Thai", "und-Hebr": "Hebrew", "und-Beng": "Bengali", "und-Taml": "Tamil", "und-Armn": "Armenian",
    "und-Geor": "Georgian", "und-Latn": "Vietnamese",
}  # fmt: skip
_SCRIPT_OF = {language: script for script, languages in _SCRIPTS.items() for language in languages.split()}
_LATIN = {
    "ca", "cs", "da", "de", "en", "es", "et", "fi", "fr", "hr", "hu", "id", "is", "it", "lt", "lv", "ms", "nb", "nl",
    "nn", "no", "pl", "pt", "ro", "sk", "sl", "sv", "tl", "tr", "vi",
}  # fmt: skip
_WITHIN = re.compile(r"(?<=[^\W\d])[.,:?%](?=[^\W\d])")
_TAGS = {
    "ru": "rus", "uk": "ukr", "bg": "bul", "be": "bel", "mk": "mkd", "sr": "srp", "kk": "kaz", "el": "ell", "ko": "kor",
    "ar": "ara", "fa": "fas", "ur": "urd", "ps": "pus", "hi": "hin", "mr": "mar", "ne": "nep", "th": "tha", "he": "heb",
    "bn": "ben", "ta": "tam", "hy": "hye", "ka": "kat", "vi": "vie",
}  # fmt: skip


class Told(NamedTuple):
    """What a recogniser says of the picture of a line; `reader` names it where it is not the first one."""

    text: str
    confidence: float
    reader: str = ""


def language_settings(options: EvidenceSettings, digests: FileDigests | None = None) -> JsonValue:
    """The version of tesserocr, and the digest of each language's data, for the stage's key.

    Raises MissingDependency, and UsageError where a language has no data or a script that is not known here.
    """
    version = installed("tesserocr", "ocr-scripts", "evidence.ocr_languages = []")
    found = [data_of(language, options.ocr_data) for language in options.ocr_languages]
    try:
        sums = (digests or FileDigests()).sha256(found)
    except OSError as error:
        raise UsageError(f"language data of Tesseract cannot be read: {error}") from error
    return {"tesserocr": version, "data": dict(zip(options.ocr_languages, sums, strict=True))}


def data_of(language: str, folder: str | None) -> Path:
    """The file of a language's data. Raises UsageError where there is none."""
    if language not in _SCRIPT_OF:
        known = ", ".join(sorted(_SCRIPT_OF))
        raise UsageError(
            f"evidence.ocr_languages: {language!r} is none of {known}; Latin, Chinese and Japanese are read"
        )
    places = [folder] if folder else [os.environ.get("TESSDATA_PREFIX", ""), *FOLDERS]
    for place in filter(None, places):
        if (found := Path(place) / f"{language}.traineddata").is_file():
            return found
    package = f"tesseract-ocr-{language.replace('_', '-')}"
    told = f"{language}.traineddata is not in {folder}" if folder else f"no language data for {language}"
    raise UsageError(
        f"evidence.ocr_languages: {told}: apt-get install {package}, or set evidence.ocr_data to the folder that has it"
    )


def scripts_of_data(options: EvidenceSettings) -> dict[str, list[str]]:
    """The languages that have data on the disk, by the name of their script, whether the settings ask for them or
    not; an empty list for a script that none of the data is of."""
    found: dict[str, list[str]] = {}
    for script, languages in _SCRIPTS.items():
        have = found.setdefault(_SCRIPT_NAMES[script], [])
        for language in languages.split():
            try:
                data_of(language, options.ocr_data)
            except UsageError:
                continue
            have.append(language)
    return found


def of_video(languages: Sequence[str], language: str | None) -> tuple[str, ...]:
    """The languages that a video's lines are read in: that of the video where it is known and among them, else all."""
    own = _TAGS.get(primary_language(language) or "", "")
    return (own,) if own in languages else tuple(languages)


def is_latin(language: str | None) -> bool:
    """Whether a language tag (`de`, `en-US`) is of a language that is known and written in Latin letters."""
    return primary_language(language) in _LATIN


class Tesseract:
    """Reads the picture of a line in some languages. One thread; nothing is written or fetched."""

    def __init__(self, languages: Sequence[str], folder: str | None) -> None:
        with needs("tesserocr", "ocr-scripts", "evidence.ocr_languages = []"):
            from tesserocr import OEM, PSM, PyTessBaseAPI
        self._engines: dict[str, Any] = {
            language: PyTessBaseAPI(
                path=str(data_of(language, folder).parent), lang=language, psm=PSM.SINGLE_LINE, oem=OEM.LSTM_ONLY
            )
            for language in languages
        }

    def recognise(self, line: Image, languages: Sequence[str]) -> Told:
        """The surest reading (line: height x width x 3, blue first) in these languages, in this order: the first that
        is sure ends the search. Empty where no language has its script there."""
        prepared = list(_prepared(line))
        best = Told("", 0.0)
        for language in languages:
            for picture in prepared:
                told = self._read(self._engines[language], language, picture)
                best = max(best, told, key=lambda each: each.confidence)
                if told.confidence >= SURE:
                    return best
        return best

    def _read(self, engine: Any, language: str, picture: Image) -> Told:
        height, width = picture.shape
        engine.SetImageBytes(picture.tobytes(), width, height, 1, width)
        text = _words(clean(str(engine.GetUTF8Text())))
        fits = script_of(text) == _SCRIPT_OF[language] and _letters(text) >= LEAST_LETTERS
        return Told(text, engine.MeanTextConf() / 100, f"tesseract-{language}") if fits else Told("", 0.0)


@cache
def tesseract(languages: tuple[str, ...], folder: str | None) -> Tesseract:
    """One a process for each choice of languages."""
    return Tesseract(languages, folder)


def _prepared(line: Image) -> Iterator[Image]:
    """The line in grey, dark on light: for bright letters, for dark letters, and as it is."""
    import cv2
    import numpy as np

    grey = cv2.cvtColor(line, cv2.COLOR_BGR2GRAY)
    scale = HEIGHT / max(1, grey.shape[0])
    size = (max(4, round(grey.shape[1] * scale)), HEIGHT)
    grey = cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
    dark, middle, bright = (float(value) for value in np.percentile(grey, (2, 50, 98)))
    for low, high, turned in ((middle, bright, True), (dark, middle, False), (dark, bright, False)):
        told = ((grey.astype(np.float32) - low) / max(1.0, high - low)).clip(0, 1)
        plain = np.asarray(255 * (1 - told if turned else told), dtype=np.uint8)
        yield np.asarray(
            cv2.copyMakeBorder(plain, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE), dtype=np.uint8
        )


def _words(text: str) -> str:
    """The text without signs that are no part of words: noise is read as those."""
    kept = "".join(c if c in ".,:?%-" or unicodedata.category(c)[0] in "LMN" else " " for c in text)
    apart = _WITHIN.sub(" ", kept)
    return " ".join(word for word in apart.split() if any(map(str.isalnum, word)))


def _letters(text: str) -> float:
    signs = [character for character in text if not character.isspace()]
    return sum(unicodedata.category(sign)[0] in "LM" for sign in signs) / max(1, len(signs))
