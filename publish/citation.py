"""How a dataset is cited: its own entry in BibTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "{": "(", "}": ")", "`": "'"}
)
"""What TeX would take for a command. BibTeX counts braces even behind a backslash, a backtick could end the card's
fence, and no reader of cards gets a tag to see."""


def bibtex(name: str, authors: Sequence[str], version: str) -> str:
    """The entry. Authors stand as they were given, in braces, so that no part of a name is taken for a surname. It has
    no year and no address: both are known where the dataset is published, and not here."""
    key = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "dataset"
    fields = {"title": f"{{{_plain(name)}}}"}
    if authors:
        fields["author"] = " and ".join(f"{{{_plain(each)}}}" for each in authors)
    fields["note"] = f"Dataset, version {version}, made with Hardcut"
    lines = ",\n".join(f"  {field} = {{{value}}}" for field, value in fields.items())
    return f"@misc{{{key},\n{lines}\n}}"


def _plain(text: str) -> str:
    """A text in one line, in which nothing is a command of TeX."""
    return " ".join(text.split()).translate(_TEX)
