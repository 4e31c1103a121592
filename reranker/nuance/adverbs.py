"""Adverbs (Doughty and Snoek, CVPR 2022; as TARA measures them): is a video nearer to its adverb than to the antonym.

The texts are "The action ACTION is performed ADVERB."; the figure is the share of clips that are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from hardcut.reranker.nuance.benchmark import Asked, Benchmark, Choice, Part, trec_id
from hardcut.reranker.nuance.files import csv_rows, header
from hardcut.schemas.errors import UsageError

_CLIP = ("seg_id", "clip_id", "video_id", "id")
_ACTION = ("clustered_action", "clustered_verb", "action", "verb")
_ADVERB = ("clustered_adverb", "adverb")


def read_adverbs(files: Sequence[Path]) -> Benchmark:
    """Reads a .csv of annotations (a clip, its action and adverb) and one of antonyms (adverb, antonym)."""
    antonym_files = [path for path in files if "antonym" in header(path)]
    annotation_files = [path for path in files if path not in antonym_files]
    if len(antonym_files) != 1 or len(annotation_files) != 1:
        raise UsageError(
            "--benchmark adverbs takes two .csv files: annotations, and antonyms (adverb,antonym) (--file)"
        )
    antonyms = {row["adverb"]: row["antonym"] for _, row in csv_rows(antonym_files[0], ("adverb", "antonym"))}
    path = annotation_files[0]
    clip, action, adverb = (_column(path, names) for names in (_CLIP, _ACTION, _ADVERB))
    known: dict[str, Asked] = {}
    choices: list[Choice] = []
    for where, row in csv_rows(path, (clip, action, adverb)):
        if row[adverb] not in antonyms:
            raise UsageError(f"{where}: {antonym_files[0].name} has no antonym of {row[adverb]!r}")
        texts = [
            (trec_id(f"{row[action]}/{each}"), f"The action {row[action]} is performed {each}.")
            for each in (row[adverb], antonyms[row[adverb]])
        ]
        known |= {id: Asked(text=text) for id, text in texts}
        video = trec_id(row[clip])
        known[video] = Asked(video=row[clip])
        choices.append(Choice(video, tuple(id for id, _ in texts), frozenset({texts[0][0]})))
    return Benchmark("adverbs", (Part(path.stem, ("accuracy",), partial(_each, choices)),), known, known)


def _each(choices: Sequence[Choice]) -> Iterator[Choice]:
    return iter(choices)


def _column(path: Path, names: Sequence[str]) -> str:
    found = next((name for name in names if name in header(path)), None)
    if found is None:
        raise UsageError(f"{path}, line 1: no column {' or '.join(names)}")
    return found
