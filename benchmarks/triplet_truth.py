"""Are the triplets of unseen worlds true, and do words alone tell positives from hard negatives?

Worlds that nobody tuned to are rendered, run with the teacher `evidence` and exported. Each triplet of the dataset is
held against the world's own truth, on the video that its texts are from: anchor and positive must be both true or both
false, and the hard negative the other way; where the triplet names a video, the anchor must be true of that. Of
composed ones the caption of the video must be true of it, and the other one not. Counted apart is what the reader
here does not understand, such as a thing of two colours, of which the truth knows one; what is about clouds and gulls,
of which the truth says nothing; and what is about print that it takes for too fine to be asked for, with a letter
misread or without.

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
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from hardcut.data.model import Clip, Question, Sought
from hardcut.data.render import render_world
from hardcut.data.truth import answers, tokens
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
from tests.synth.test_counterfactuals import sought_in
from tests.synth.test_queries import DRIFT, LIGHT

Row = dict[str, Any]
_ORDER = re.compile(r' (before|and then|after|while) (?=(?:[^"]*"[^"]*")*[^"]*$)')
_DENIED = re.compile(r" (?:but|and) (?:the screen never shows|nobody says|never) | but ")
_AND = re.compile(r" and (?=the screen shows |somebody says |an? \w+ thing moves |the camera )")
_SENTENCE = re.compile(r'\. (?=(?:[^"]*"[^"]*")*[^"]*$)')
_UNTOLD = re.compile(r"^(?:mostly|much|the camera|the picture cuts|nothing)", re.IGNORECASE)
"""Of colours, the camera and cuts the truth says nothing."""
_TWO_COLOURS = re.compile(r"\b(\w+) and (\w+) thing moves ")
_MISREAD = 0.85
"""Print that has so many letters in common (`difflib`) with what is there is that, misread."""


def reading(text: str) -> Question | None:
    """What a query of the teacher `evidence`, or a rewording of one, asks for; None where it cannot be read."""
    told, *denials = _DENIED.split(text.removesuffix("?"), maxsplit=1)
    said_denied = [_of_denial(text, each) for each in denials]
    halves = _ORDER.split(told)
    parts = halves[::2] if len(halves) == 3 else _AND.split(told)
    if len(halves) not in (1, 3):
        return None
    sought = [_sought(half) for half in parts]
    if None in (*sought, *said_denied):
        return None
    relation = halves[1] if len(halves) == 3 else ""
    if relation == "after":
        sought.reverse()
    ordered = relation in ("before", "and then", "after")
    return Question(text=text, sought=tuple(sought), ordered=ordered, without=tuple(said_denied))  # type: ignore[arg-type]


def _of_denial(text: str, denied: str) -> Sought | None:
    """What is denied: words that are read, unless they are said."""
    found = _sought(denied)
    spoken = re.search(r"nobody says ", text)
    return found.model_copy(update={"what": "speech"}) if found and found.what == "words" and spoken else found


def _sought(clause: str) -> Sought | None:
    """What a clause tells of. A thing of two colours is not read: the truth knows that of a hull, and none of its
    sail."""
    two = _TWO_COLOURS.search(clause)
    if two is not None and {two[1], two[2]} <= COLOURS and '"' not in clause:
        return None
    found = sought_in(clause)
    if found is not None and found.what == "words" and re.match(r"somebody says ", clause):
        return found.model_copy(update={"what": "speech"})
    return found


def caption_is_true(clip: Clip, caption: str) -> bool | None:
    """Whether all sentences of a caption hold, in the order that it tells; None where one cannot be read."""
    before: Sought | None = None
    for sentence in _SENTENCE.split(caption.rstrip(".")):
        then, told = sentence.startswith("Then "), sentence.removeprefix("Then ")
        if _UNTOLD.match(told):
            before = None
            continue
        found = _sought(told)
        if found is None:
            return None
        sought = (before, found) if then and before is not None else (found,)
        if not answers(clip, Question(text=sentence, sought=sought, ordered=len(sought) > 1)):
            return False
        before = found
    return True


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.triplet_truth", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="videos, runs and cache: kept, so that it can go on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[751, 752, 753])
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
    texts = [row[name] for name in ("anchor", "positive", "hard_negative")]
    if any(_is_backdrop(clip, text) for text in texts):
        return "backdrop"
    if any(_is_fine_print(clip, each) for each in readings if each is not None):
        return "fine_print"
    anchor, positive, negative = (answers(clip, each) for each in readings if each is not None)
    named = row["video_id"]
    is_named = named is None or (readings[0] is not None and answers(by_clip[named], readings[0]))
    return "right" if anchor == positive != negative and is_named else "wrong"


def _composed_verdict(row: Row, clip: Clip) -> str:
    """Of twins both captions are of videos, and the positive is true of this one; of an edit one was written."""
    written = row["positive_source"]["kind"] == "written"
    there, not_there = ("hard_negative", "positive") if written else ("positive", "hard_negative")
    if any(_is_backdrop(clip, row[name]) for name in (there, not_there)):
        return "backdrop"
    true, untrue = caption_is_true(clip, row[there]), caption_is_true(clip, row[not_there])
    if true is None or untrue is None or _told(row[there]) == _told(row[not_there]):
        return "unread"
    return "right" if true and not untrue else "wrong"


def _told(caption: str) -> list[str]:
    """The sentences of a caption that the truth says something of."""
    sentences = (each.removeprefix("Then ") for each in _SENTENCE.split(caption.rstrip(".")))
    return [each for each in sentences if not _UNTOLD.match(each)]


def _is_backdrop(clip: Clip, text: str) -> bool:
    """Whether it is about clouds and gulls, which the pictures show and the truth says nothing of: something white,
    grey or small that drifts as they do."""
    return any(
        {*LIGHT, "small"} & set(said.split())
        for said in re.findall(rf"((?:\w+ )+)thing moves (?:from )?{DRIFT[clip.backwards]}", text)
    )


def _is_fine_print(clip: Clip, asked: Question) -> bool:
    """Whether it is about print that is too small or too pale to be asked for by the truth, though it is there."""
    fine = [" ".join(tokens(words.text)) for words in clip.words if not words.legible]
    sought = [" ".join(tokens(each.text)) for each in (*asked.sought, *asked.without) if each.what == "words"]
    return any(_is_of(text, print_) for text in sought for print_ in fine)


def _is_of(text: str, print_: str) -> bool:
    """Whether a text is a piece of print, or all of it with a letter misread."""
    return text in print_ or SequenceMatcher(None, text, print_, autojunk=False).ratio() >= _MISREAD


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
