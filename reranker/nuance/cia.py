"""Chirality in Action, as TARA's files hold it (bpiyush/TARA, `data/nuanced_retrieval_inputs-*.csv` and `labels`).

A text's id is `TRIPLET_DIRECTION` (0.0 or 1.0); the other direction is its chiral distractor. Candidate sets: *chiral*
(both directions), *static* (the same direction of all actions), *all*. The same files hold lists of NegBench
(`negation`) and WebVid-CoVR (`multimodal`), which are measured too where they have rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hardcut.reranker.nuance.benchmark import Asked, Benchmark, Choice, Part, trec_id
from hardcut.reranker.nuance.files import csv_rows, json_object, literal, one_file
from hardcut.schemas.errors import UsageError

_OTHER_WAY = {"0.0": "1.0", "1.0": "0.0"}
_MODES = ("chiral", "static", "all")
_RANKED = ("mAP", "R@1", "R@5", "R@10")
_EDITED = "video-text"


@dataclass(frozen=True, slots=True)
class _Rows:
    """The ids of one source, by modality, in the order of the file; labels of all."""

    of: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, tuple[str, ...]]

    def rivals(self, text: str, mode: str) -> tuple[str, ...]:
        """The texts that a text stands against."""
        action, way = text.rsplit("_", 1)
        texts = self.of.get("text", ())
        if mode == "chiral":
            return tuple(other for other in texts if other == f"{action}_{_OTHER_WAY[way]}")
        if mode == "static":
            return tuple(other for other in texts if other.rsplit("_", 1)[1] == way and other != text)
        return tuple(other for other in texts if other != text)


def read_cia(files: Sequence[Path]) -> Benchmark:
    """Reads a .csv (id, value, nuance, source, modality) and its .json of labels ({id: [ids]})."""
    table, labels = one_file("cia", files, ".csv"), one_file("cia", files, ".json")
    answers = {
        trec_id(id): tuple(trec_id(str(each)) for each in _ids(labels, id, ids))
        for id, ids in json_object(labels).items()
    }
    by_source: defaultdict[tuple[str, str], defaultdict[str, dict[str, None]]] = defaultdict(lambda: defaultdict(dict))
    known: dict[str, Asked] = {}
    for where, row in csv_rows(table, ("id", "value", "nuance", "source", "modality")):
        id, modality = trec_id(row["id"]), row["modality"]
        if row["nuance"] == "time" and modality == "text" and row["id"].rsplit("_", 1)[-1] not in _OTHER_WAY:
            raise UsageError(f"{where}: the id {row['id']!r} of a text does not end in _0.0 or _1.0")
        by_source[row["nuance"], row["source"]][modality][id] = None
        known[id] = _asked(where, modality, row["value"])
    parts: list[Part] = []
    for (nuance, source), of in by_source.items():
        rows = _Rows({modality: tuple(ids) for modality, ids in of.items()}, answers)
        for id in (id for modality, ids in rows.of.items() for id in ids if _is_query(nuance, modality)):
            if id not in answers:
                raise UsageError(f"{labels}: no labels of {id!r}, which {table.name} asks about")
        if nuance == "time":
            for mode in _MODES:
                parts.append(Part(f"{source} t2v {mode}", _RANKED, partial(_to_videos, rows, mode), mode == "all"))
                parts.append(Part(f"{source} v2t {mode}", _RANKED, partial(_to_texts, rows, mode), mode == "all"))
        elif nuance == "negation":
            for kind in ("standard", "negation"):
                if rows.of.get(f"text-{kind}"):
                    among: Callable[[], Iterator[Choice]] = partial(
                        _among_all, rows, f"text-{kind}", ("image", "video")
                    )
                    parts.append(Part(f"{source} {kind}", _RANKED, among, kind == "standard"))
        elif nuance == "multimodal":
            parts.append(Part(source, _RANKED, partial(_among_all, rows, _EDITED, ("video",))))
        else:
            raise UsageError(f"{table}: the nuance {nuance!r} is not time, negation or multimodal")
    return Benchmark("cia", tuple(parts), known, known)


def _is_query(nuance: str, modality: str) -> bool:
    return nuance == "time" or modality.startswith("text") or modality == _EDITED


def _to_videos(rows: _Rows, mode: str) -> Iterator[Choice]:
    for text in rows.of.get("text", ()):
        mine = rows.labels[text]
        others = (video for rival in rows.rivals(text, mode) for video in rows.labels[rival])
        yield Choice(text, tuple(dict.fromkeys((*mine, *others))), frozenset(mine))


def _to_texts(rows: _Rows, mode: str) -> Iterator[Choice]:
    for video in rows.of.get("video", ()):
        right = rows.labels[video][0]
        yield Choice(video, (right, *rows.rivals(right, mode)), frozenset({right}))


def _among_all(rows: _Rows, modality: str, candidates: Sequence[str]) -> Iterator[Choice]:
    among = tuple(id for kind in candidates for id in rows.of.get(kind, ()))
    for query in rows.of.get(modality, ()):
        yield Choice(query, among, frozenset(rows.labels[query]) & set(among))


def _asked(where: str, modality: str, value: str) -> Asked:
    if modality.startswith("text"):
        return Asked(text=value)
    if modality == _EDITED:
        both = literal(where, value, dict)
        if not all(isinstance(both.get(name), str) for name in ("video", "text")):
            raise UsageError(f"{where}: the value has no video and text")
        return Asked(both["text"], both["video"])
    return Asked(video=value)


def _ids(path: Path, id: str, ids: Any) -> list[Any]:
    if not isinstance(ids, list) or not ids:
        raise UsageError(f"{path}: the labels of {id!r} are not a list of ids")
    return ids
