"""Control tokens of chat formats in text from outside: spelled out, so that a tokenizer reads letters in their place.

Most begin with `<`, and the `data` filter of prompts spells out every `<`. Here are those that begin with `[`: the ones
that models are known to have, and in process all that the model's own tokenizer names. A text without any is unchanged.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

_NAMES = (
    # Mistral, Pixtral, Voxtral
    *("INST", "AVAILABLE_TOOLS", "TOOL_RESULTS", "TOOL_CALLS", "TOOL_CONTENT", "CALL_ID", "ARGS", "SYSTEM_PROMPT"),
    *("THINK", "IMG", "IMG_BREAK", "IMG_END", "AUDIO", "BEGIN_AUDIO", "TRANSCRIBE", "MODEL_SETTINGS"),
    *("PREFIX", "MIDDLE", "SUFFIX", "STREAMING_PAD", "STREAMING_WORD", "REPEAT_AUDIO_TEXT", "NEXT_AUDIO_TEXT"),
    *("OUTPUT_AUDIO", "AUDIO_SPEAKER"),
    # BERT, GLM, Kimi
    *("CLS", "SEP", "PAD", "UNK", "MASK", "gMASK", "sMASK", "BOS", "EOS", "EOT", "EOD"),
)
_SQUARE = re.compile(
    rf"\[(?=/?(?:{'|'.join(_NAMES)})\]|\|[^\[\]|]{{1,40}}\|\]|(?:UNUSED_TOKEN_|unused)\d+\])"  # EXAONE; InternLM, BERT
)
_ANGLE = re.compile(r"<(?=[|｜/<!A-Za-z_])")


def spell_out_brackets(text: str) -> str:
    """The text with the first character of each control token that begins with `[` as JSON writes it: \\u005b."""
    return _SQUARE.sub(r"\\u005b", text)


def spell_out(text: str) -> str:
    """The same also for what begins with `<`: for text that no `data` filter has seen, such as a model's own reply."""
    return spell_out_brackets(_ANGLE.sub(r"\\u003c", text))


def spell_out_for(tokenizer: Any | None, text: str) -> str:
    """The text with every special token of a tokenizer that does not begin with `<` spelled out, whatever its name."""
    found = _special(tokenizer) if tokenizer is not None else None
    while found and (changed := found.sub(_first_spelled_out, text)) != text:  # what is left of one may be another
        text = changed
    return text


def part(tokenizer: Any, text: str) -> str:
    """The text with a blank inside every special token of this tokenizer: for text that a model is to write itself."""
    tokens = _tokens(tokenizer)
    for token in tokens:
        text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def _first_spelled_out(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0][0]):04x}{match[0][1:]}"


def _special(tokenizer: Any) -> re.Pattern[str] | None:
    return _pattern(tuple(token for token in _tokens(tokenizer) if token[0] != "<"))


@lru_cache(maxsize=16)
def _pattern(tokens: tuple[str, ...]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(re.escape, tokens))) if tokens else None


def _tokens(tokenizer: Any) -> list[str]:
    """Its special tokens, longest first; no single character and no blanks, which are text as well."""
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    tokens = added | set(tokenizer.all_special_tokens)
    return sorted((token for token in tokens if len(token.strip()) > 1), key=lambda token: (-len(token), token))
