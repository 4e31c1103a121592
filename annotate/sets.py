"""The sets of records that reviewers see: what they are asked, and what they are told beforehand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from hardcut.annotate.policy import SetName
from hardcut.schemas.comparisons import PEOPLE, Better
from hardcut.schemas.ids import digest
from hardcut.schemas.judgments import Flag, Relevance

PAGE = "page"
"""The one field of a record: all that is shown, see page.py."""

RELEVANCE: Mapping[str, tuple[Relevance, str]] = {
    "answers": (2, "Answers it"),
    "in_part": (1, "In part"),
    "does_not": (0, "Does not"),
}
"""The answers to the first question by their names in Argilla, in the order of their keys 1, 2, 3."""
BETTER: Mapping[Better, str] = {
    "left": "The left one",
    "right": "The right one",
    "both": "Both alike",
    "neither": "Neither",
}
"""The answers to the question about two videos, in the order of their keys 1 to 4."""
WELL_FORMED: Mapping[str, tuple[bool, str]] = {"yes": (True, "Well formed"), "no": (False, "Needs other words")}
FLAGS: Mapping[Flag, str] = {
    "ambiguous": "Ambiguous",
    "unsafe": "Unsafe or personal video",
    "unsafe_query": "Unsafe or personal words",
    "broken_video": "Broken video",
    "wrong_language": "Wrong language",
}


@dataclass(frozen=True, slots=True)
class ReviewSet:
    """A set as Argilla knows it: a dataset with its guidelines, and how many answers a record needs. `compares`: its
    records are of two videos, with a question of their own."""

    name: str
    guidelines: str
    template: str
    min_submitted: int
    compares: bool = False


def review_set(run_name: str, name: SetName, overlap: int, *, routes: bool = True) -> ReviewSet:
    """The set of a run. Blind records need more than one answer, and so do two videos that are compared, and
    adjudication on a server that does not keep records from who has voted on them (`routes` is False): one more than
    can have voted."""
    needed = {
        "blind": overlap,
        "assisted": 1,
        "adjudication": 1 if routes else overlap + 1,
        "pairwise": PEOPLE,
    }
    compares = name == "pairwise"
    own = _text(f"guidelines.{name}.md")
    page = _text("pairwise.html" if compares else "page.html")
    return ReviewSet(
        name=f"{slug(run_name)}-{name}",
        guidelines=own if compares else own + "\n\n" + _text("guidelines.md"),
        template="\n".join((_script("frame.js"), page, _script("answers.js"))),
        min_submitted=needed[name],
        compares=compares,
    )


def slug(name: str) -> str:
    """A run's name in the letters that Argilla takes; where that loses some, with a digest that keeps it apart."""
    kept = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")
    return kept if kept == name else f"{kept or 'run'}-{digest(name)[:6]}"


def _script(name: str) -> str:
    return f"<script>\n{_text(name)}\n</script>"


def _text(name: str) -> str:
    return files("hardcut.annotate").joinpath(name).read_text(encoding="utf-8").strip()
