"""Who reads a line: the first recogniser, and the second one where the first cannot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from hardcut.schemas.settings import EvidenceSettings
from hardcut.schemas.text.clean import script_of
from hardcut.synth.evidence.lookalikes import may_be_lookalikes
from hardcut.synth.evidence.lost_letters import (
    has_letters_unknown_to_the_first,
    lacks_letters_of,
    may_lack_letters,
)
from hardcut.synth.evidence.readable import SURE, scripts_of
from hardcut.synth.evidence.tesseract import Told, is_latin, of_video, tesseract

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Quad = NDArray[np.float32]

RAPID_SCRIPTS = frozenset({"LATIN", "HAN", "KANA"})
"""What RapidOCR's bundled models know. Of Greek they know some letters, and leave the others out."""
SECOND_SURE = 0.7
"""Least confidence of the second recogniser."""
LATIN = "vie"
"""The language of the second recogniser that is in Latin letters: Vietnamese has many that the first does not know."""


class Engine(Protocol):
    """What finds lines of text in a picture (height x width x 3, blue first) and reads them."""

    def detect(self, picture: Image) -> Sequence[Quad]:
        """Four corners in pixels of every line."""
        ...

    def recognise(self, line: Image) -> Told:
        """Text and confidence of the picture of one line; empty where there is nothing to read."""
        ...


class TwoReaders:
    """Reads the lines of one video. `language` is its tag, where it is known: a video in Latin letters has no
    look-alikes, one in a language of `ocr_languages` is read in that alone, and of one in Vietnamese the first
    recogniser's words are not believed.

    The language that was read last is tried first.
    """

    def __init__(self, first: Engine, settings: EvidenceSettings, language: str | None = None) -> None:
        self._first = first
        self._all_scripts = settings.ocr == "paddle"  # a model of the user's own: what it knows is not known here
        self._languages = list(of_video(settings.ocr_languages, language))
        self._folder = settings.ocr_data
        self._latin = is_latin(language)
        self._lacking = lacks_letters_of(language)

    def detect(self, picture: Image) -> Sequence[Quad]:
        """As the first recogniser does."""
        return self._first.detect(picture)

    def recognise(self, line: Image) -> Told:
        """Text and confidence of a line, and who read it where it was the second one."""
        told = self._first.recognise(line)
        if not self._languages:
            return told
        if told.confidence >= SURE and self.can_read(told.text):
            if LATIN not in self._languages or script_of(told.text) != "und-Latn":
                return told
            vietnamese = self._second(line, [LATIN])
            sure = vietnamese.confidence >= SECOND_SURE
            return vietnamese if sure and has_letters_unknown_to_the_first(vietnamese.text) else told
        second = self._second(line, self._languages)
        if second.confidence < SECOND_SURE:
            return told
        language = second.reader.partition("-")[2]
        self._languages = [language, *(each for each in self._languages if each != language)]
        return second

    def again(self, line: Image, reader: str) -> Told:
        """Reads another crop as the one was read."""
        return self._second(line, [reader.partition("-")[2]]) if reader else self._first.recognise(line)

    def can_read(self, text: str, reader: str = "") -> bool:
        """Whether a reading is in a script that its reader knows, has all its letters, and cannot be of look-alikes.
        Blanks are none: that is what the first recogniser says of Cyrillic, and surely."""
        if reader or not any(map(str.isalnum, text)):
            return bool(reader)
        scripts = scripts_of(text)
        if not self._all_scripts and "LATIN" in scripts and (self._lacking or may_lack_letters(text)):
            return False
        known = self._all_scripts or scripts <= RAPID_SCRIPTS
        latin = script_of(text) in ("und-Latn", None)
        return known and not (latin and not self._latin and may_be_lookalikes(text))

    def _second(self, line: Image, languages: Sequence[str]) -> Told:
        return tesseract(tuple(sorted(self._languages)), self._folder).recognise(line, languages)
