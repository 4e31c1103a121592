"""Are the triplets of unseen worlds true, and do words alone tell positives from hard negatives?

Worlds that nobody tuned to are rendered, run with the teacher `evidence` and exported. Each triplet of the dataset is
held against what its clip is drawn with (`clip_truth.py`), on the video that its texts are from: anchor and positive
must be both true or both false, and the hard negative the other way; where the triplet names a video, the anchor must
be true of that. Of composed ones the caption of the video must be true of it, and the other one not. Counted apart are
texts that the reader here does not understand (`unread`), and triplets that hang on what people could say either way,
such as whether the soft rim of a cloud is blue (`open`).

Of words alone: the auditors of the gate and a naive Bayes see the two texts without the anchor; TF-IDF, fitted on all
texts, takes that for the positive which is nearer to the anchor.

python -m benchmarks.triplet_truth --work DIR [--seeds N ...] [--clips N] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.clip_truth import Shown, Told, both, follow, is_there, meet, shown
from hardcut.data.model import Clip
from hardcut.data.render import render_world
from hardcut.data.truth import tokens
from hardcut.data.world import make_world
from hardcut.engine.files import atomic_writer
from hardcut.engine.run_files import RunFiles
from hardcut.publish.dataset import Dataset
from hardcut.report.statistics.sides import Sides, audit
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.records import Caption, Query
from hardcut.schemas.settings import Settings, TripletSettings
from hardcut.schemas.text.words import COLOURS
from hardcut.schemas.triplets import AFFIRMED, NUANCES
from tests.synth.test_blocks import independent

Row = dict[str, Any]
_UNQUOTED = r'(?=(?:[^"]*"[^"]*")*[^"]*$)'
_ORDER = re.compile(rf" (before|and then|after|while) {_UNQUOTED}")
_DENIED = re.compile(rf" (?:but|and) (?:(?:the )?screen never shows|nobody says|never) {_UNQUOTED}| but {_UNQUOTED}")
_AND = re.compile(
    "".join(rf"(?<!\b{colour})" for colour in sorted(COLOURS))
    + r" and (?=(?:the )?screen shows |somebody says |(?:an? )?(?:(?:small|large) )?\w+(?: and \w+)? thing moves |"
    rf"(?:the )?camera ){_UNQUOTED}"
)
"""Between two clauses, and not between two colours of one thing."""
_SENTENCE = re.compile(rf"\. {_UNQUOTED}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a text asks for: clauses, how two of them follow each other, and what it denies."""

    clauses: tuple[str, ...]
    relation: Literal["", "before", "while"] = ""
    denied: tuple[str, ...] = ()


def reading(text: str) -> Asked | None:
    """A query of the teacher `evidence`, or a rewording of one, in parts; None where it cannot be read."""
    told, *denials = _DENIED.split(text.removesuffix("?"), maxsplit=1)
    spoken = re.search(r"nobody says ", text)
    denied = tuple(f"somebody says {each}" if spoken and each.startswith('"') else each for each in denials)
    halves = _ORDER.split(told)
    if len(halves) == 1:
        return Asked(tuple(_AND.split(told)), denied=denied)
    if len(halves) != 3:
        return None
    first, relation, second = halves
    if relation == "while":
        return Asked((first, second), "while", denied)
    return Asked((second, first) if relation == "after" else (first, second), "before", denied)


def holds(clip: Clip, asked: Asked) -> Told | Literal["unread"]:
    """Whether a text is true of a clip; None where the truth cannot tell."""
    found = [shown(clip, each) for each in asked.clauses]
    denied = [shown(clip, each) for each in asked.denied]
    if None in (*found, *denied):
        return "unread"
    there = [each for each in found if each is not None]
    absent = [is_there(each) for each in denied if each is not None]
    order: Told = True
    if asked.relation:
        order = (follow if asked.relation == "before" else meet)(*there)
    return both(*map(is_there, there), order, *(None if each is None else not each for each in absent))


def caption_holds(clip: Clip, caption: str) -> Told | Literal["unread"]:
    """Whether all sentences of a caption hold, in the order that it tells."""
    told: list[Told] = []
    before: tuple[Shown, ...] | None = None
    for sentence in _SENTENCE.split(caption.rstrip(".")):
        found = shown(clip, sentence.removeprefix("Then "))
        if found is None:
            return "unread"
        told.append(is_there(found))
        if sentence.startswith("Then ") and before is not None:
            told.append(follow(before, found))
        before = found
    return both(*told)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.triplet_truth", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="videos, runs and cache: kept, so that it can go on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1001, 1002, 1003])
    parser.add_argument("--clips", type=int, default=25)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "triplet_truth.json")
    asked = parser.parse_args()
    found = {str(seed): measured(seed, asked.clips, asked.work) for seed in asked.seeds}
    with atomic_writer(asked.out) as file:
        json.dump(found, file, indent=1)
        file.write("\n")
    print(json.dumps(found, indent=1))


def measured(seed: int, clips: int, work: Path) -> dict[str, Any]:
    """The figures of one world."""
    import hardcut

    world = make_world(seed, clips=clips, scripts=("latin",))
    if not (work / str(seed)).exists():
        render_world(world, work / str(seed))
    settings = Settings(triplets=TripletSettings(nuances=NUANCES), export=ExportSettings(licence="cc0-1.0"))
    run = work / f"run{seed}"
    hardcut.run(work / str(seed) / "videos", out=run, cache=work / "cache", settings=settings).export(
        work / f"out{seed}"
    )
    rows = [row for _, row in Dataset(work / f"out{seed}").rows("triplets")]
    by_clip = {clip.video_id: clip for clip in world.clips}
    sources = {query.query_id: query.source_video_id or "" for query in RunFiles(run).read(Query)}
    sources |= {caption.caption_id: caption.video_id for caption in RunFiles(run).read(Caption)}
    told: defaultdict[str, Counter[str]] = defaultdict(Counter)
    wrong: list[Row] = []
    unread: list[str] = []
    for row in rows:
        clip = by_clip[sources[row["anchor_source"]["id"].removesuffix(AFFIRMED)]]
        kind = _verdict(row, clip, by_clip)
        told[row["nuance"]][kind] += 1
        told["all"][kind] += 1
        if kind == "unread":
            unread.append(row["hard_negative"])
        if kind == "wrong":
            wrong.append({name: row[name] for name in ("nuance", "anchor", "positive", "hard_negative", "video_id")})
    return {
        "clips": clips,
        "triplets": {nuance: dict(sorted(counts.items())) for nuance, counts in sorted(told.items())},
        "by_text_alone": dict(_by_text(rows)),
        "wrong": wrong,
        "unread": sorted(set(unread))[:20],
    }


def _verdict(row: Row, clip: Clip, by_clip: dict[str, Clip]) -> str:
    if row["nuance"] == "composed":
        return _composed_verdict(row, clip)
    readings = [reading(row[name]) for name in ("anchor", "positive", "hard_negative")]
    if None in readings:
        return "unread"
    asked = [each for each in readings if each is not None]
    told = [holds(clip, each) for each in asked]
    named = row["video_id"]
    told += [True if named is None else holds(by_clip[named], asked[0])]
    if "unread" in told:
        return "unread"
    anchor, positive, negative, is_named = told
    if is_named is False or {anchor, positive} == {True, False} or (negative is not None and negative is positive):
        return "wrong"
    return "open" if None in told else "right"


def _composed_verdict(row: Row, clip: Clip) -> str:
    """Of twins both captions are of videos, and the positive is true of this one; of an edit one was written."""
    written = row["positive_source"]["kind"] == "written"
    there, not_there = ("hard_negative", "positive") if written else ("positive", "hard_negative")
    true, untrue = caption_holds(clip, row[there]), caption_holds(clip, row[not_there])
    if "unread" in (true, untrue):
        return "unread"
    if true is False or untrue is True:
        return "wrong"
    return "open" if None in (true, untrue) else "right"


def _by_text(rows: Sequence[Row]) -> Iterator[tuple[str, Any]]:
    """By nuance: how often words tell the positive without the anchor, and with it, and how far chance reaches."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    names = ("anchor", "positive", "hard_negative")
    vectorizer = TfidfVectorizer(token_pattern=r"(?u)\w+").fit([row[name] for row in rows for name in names])
    for nuance in (*NUANCES, "all"):
        some = [row for row in rows if nuance in ("all", row["nuance"])]
        sides = [Sides(row["id"], row["positive"], row["hard_negative"], row["set_id"]) for row in some]
        found = audit(sides)
        if found is None:
            yield nuance, {"triplets": len(some), "note": "too few to tell"}
            continue
        anchors, positives, negatives = (vectorizer.transform([row[name] for row in some]) for name in names)
        nearer = (anchors.multiply(positives).sum(axis=1) - anchors.multiply(negatives).sum(axis=1)).A1
        with_anchor = sum(1.0 if each > 1e-9 else 0.5 if each > -1e-9 else 0.0 for each in nearer) / len(some)
        yield (
            nuance,
            {
                "triplets": len(some),
                "worst_auditor": [found.worst[0], round(found.worst[1], 4)],
                "naive_bayes": round(independent(sides), 4),
                "counts_with_anchor": round(sum(map(_counts, some)) / len(some), 4),
                "tf_idf_with_anchor": round(with_anchor, 4),
                "chance_reaches": round(0.5 + found.reach, 4),
            },
        )


def _counts(row: Row) -> float:
    """Whether the positive has more words in common with the anchor than the negative (Jaccard; a tie is half)."""
    anchor, positive, negative = (set(tokens(row[name])) for name in ("anchor", "positive", "hard_negative"))
    one, other = (len(anchor & each) / len(anchor | each) for each in (positive, negative))
    return 1.0 if one > other else 0.5 if one == other else 0.0


if __name__ == "__main__":
    main()
