"""NegBench (m1k2zoo/negbench): retrieval by captions with and without negation, and multiple choice.

Each file is a part, called by its name: give the plain and the negated list, and the choices. R@5 of retrieval and the
accuracy of the choices, in all and by the kind of the right answer, are the paper's figures. Scores of choices may be
compared as they are: since March 2025 NegBench normalises them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from hardcut.reranker.nuance.benchmark import Asked, Benchmark, Choice, Part, trec_id
from hardcut.reranker.nuance.files import csv_rows, header, literal
from hardcut.schemas.errors import UsageError

_PLAIN_NAME = re.compile(r"negat|neg_|_neg", re.IGNORECASE)
_RANKED = ("R@1", "R@5", "R@10", "mAP")


def read_negbench(files: Sequence[Path]) -> Benchmark:
    """Reads .csv files of retrieval (image_id or filepath, captions as a Python list) and of choices (image_path,
    caption_0 ..., correct_answer, correct_answer_template)."""
    if not files:
        raise UsageError("--benchmark negbench takes .csv files of retrieval and of choices (--file)")
    parts: list[Part] = []
    known: dict[str, Asked] = {}
    for path in files:
        names = header(path)
        parts += _choices(path, known) if "caption_0" in names else [_retrieval(path, names, known)]
    return Benchmark("negbench", tuple(parts), known, known)


def _retrieval(path: Path, names: Sequence[str], known: dict[str, Asked]) -> Part:
    column = next((name for name in ("filepath", "image_id") if name in names), "filepath")
    captions: dict[str, str] = {}
    shown: dict[str, None] = {}
    for number, (where, row) in enumerate(csv_rows(path, (column, "captions"))):
        picture = trec_id(row[column])
        shown[picture] = None
        known[picture] = Asked(video=row[column])
        for place, caption in enumerate(literal(where, row["captions"], list)):
            if not isinstance(caption, str):
                raise UsageError(f"{where}: a caption is not a text")
            id = f"{trec_id(path.stem)}/{number}/{place}"
            captions[id] = picture
            known[id] = Asked(text=caption)
    return Part(path.stem, _RANKED, partial(_ranked, captions, tuple(shown)), not _PLAIN_NAME.search(path.stem))


def _ranked(captions: dict[str, str], pictures: tuple[str, ...]) -> Iterator[Choice]:
    return (Choice(caption, pictures, frozenset({picture})) for caption, picture in captions.items())


def _choices(path: Path, known: dict[str, Asked]) -> list[Part]:
    by_kind: dict[str, list[Choice]] = {}
    for number, (where, row) in enumerate(csv_rows(path, ("image_path", "caption_0", "correct_answer"))):
        places = sorted(int(name.removeprefix("caption_")) for name in row if re.fullmatch(r"caption_\d+", name))
        if row["correct_answer"] not in map(str, places):
            raise UsageError(f"{where}: correct_answer is {row['correct_answer']!r}")
        picture = trec_id(row["image_path"])
        known[picture] = Asked(video=row["image_path"])
        ids = {place: f"{trec_id(path.stem)}/{number}/{place}" for place in places}
        known |= {ids[place]: Asked(text=row[f"caption_{place}"]) for place in places}
        choice = Choice(picture, tuple(ids.values()), frozenset({ids[int(row["correct_answer"])]}))
        for kind in ("all", *filter(None, [row.get("correct_answer_template")])):
            by_kind.setdefault(kind, []).append(choice)
    kinds = sorted(by_kind, key=lambda kind: (kind != "all", kind))
    return [Part(f"{path.stem} {kind}", ("accuracy",), partial(iter, tuple(by_kind[kind]))) for kind in kinds]
