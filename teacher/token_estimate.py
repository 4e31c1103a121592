"""How many tokens a text and pictures are, where nobody has counted them. A count that is not told is not nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from hardcut.media.frames import Frame
from hardcut.schemas.records import Tokens
from hardcut.teacher.backend import Question

BYTES_A_TOKEN = 3.5
"""Of text in UTF-8: so a Chinese character is about one token, and a letter of Cyrillic half of one."""
PIXELS_A_TOKEN = 32 * 32
"""Of Qwen3-VL: patches of 16 pixels, merged two by two."""
_UNKNOWN_PIXELS = 640 * 360


def text_tokens(*texts: str) -> int:
    """Tokens of texts, at least one where there is any text."""
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    return -int(-size // BYTES_A_TOKEN)


def picture_tokens(pictures: Sequence[tuple[str, Frame]]) -> int:
    """Tokens of stored frames, each with its label."""
    return sum(text_tokens(label) + _pixels(frame.path) // PIXELS_A_TOKEN for label, frame in pictures)


def estimated_tokens(question: Question, further: Sequence[tuple[str, str]], written: str) -> Tokens:
    """What a call took that sent a question with `further` messages (role, text), and got `written` back."""
    prompt = text_tokens(question.prompt.system, question.prompt.user, *(text for _, text in further))
    return Tokens(
        prompt=prompt + picture_tokens(question.request.pictures),
        completion=min(text_tokens(written), question.request.sampling.max_tokens),
    )


@lru_cache(maxsize=65536)
def _pixels(path: Path) -> int:
    """Of a stored picture, by its head alone."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return picture.width * picture.height
    except OSError:
        return _UNKNOWN_PIXELS
