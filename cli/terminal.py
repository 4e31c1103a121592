"""What is printed for people: text from outside that must not steer a terminal, and lines that stay whole in a pipe."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_KEPT = frozenset("\n\t")
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_PIPE_WIDTH = 160
"""Columns of a table in a pipe, where no window says how many there are."""


def output() -> Console:
    """The console on stdout. Lines are never broken (a script greps them); a table keeps to the terminal's width."""
    from rich.console import Console

    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console.width = max(console.width, _PIPE_WIDTH)
    return console


def plain(text: str) -> str:
    """Text from outside as a piece of rich's markup: shown as it is, whatever it holds."""
    from rich.markup import escape

    return escape(visible(text))


def visible(text: str) -> str:
    """The text with control characters, halves of surrogate pairs and what turns the direction of writing spelled out
    (`\\x1b`): a terminal would obey them."""
    return "".join(_spelled(character) for character in text)


def _spelled(character: str) -> str:
    if character in _KEPT or not (character in _TURNING or unicodedata.category(character) in ("Cc", "Cs")):
        return character
    return character.encode("unicode_escape").decode()
