"""What is printed for people: text from outside that must not steer a terminal, and lines that stay whole in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardcut.schemas.text.visible import replace_hidden

if TYPE_CHECKING:
    from rich.console import Console

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
    """Text from outside as a piece of rich's markup: shown as it is, without markup."""
    from rich.markup import escape

    return escape(visible(text))


def visible(text: str) -> str:
    """The text with control characters, halves of surrogate pairs and what turns the direction of writing spelled out
    (`\\x1b`): a terminal would obey them."""
    return replace_hidden(text, lambda character: character.encode("unicode_escape").decode())
