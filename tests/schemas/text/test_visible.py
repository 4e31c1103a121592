"""Which characters count as hidden."""

import sys
import unicodedata

from hardcut.schemas.text.visible import BIDI_CONTROLS, replace_hidden


def test_every_control_character_is_replaced_and_no_other_character() -> None:
    text = "".join(map(chr, range(sys.maxunicode + 1)))
    hidden = {
        character
        for character in text
        if character in BIDI_CONTROLS
        or (unicodedata.category(character) in {"Cc", "Cs"} and character not in {"\n", "\t"})
    }
    replaced: list[str] = []
    shown = replace_hidden(text, lambda character: replaced.append(character) or "?")  # type: ignore[func-returns-value]
    assert set(replaced) == hidden
    assert len(shown) == len(text)
