"""The folder of a diagnosis: what is to be scored, in files that any program reads.

`queries.tsv` (id, tab, text) · `run.trec` the pairs of the videos as they are · `made.trec` those of the videos in
`videos/` · `sets/NAME.trec` and `sets/NAME.qrels` each nuance by itself · `plan.json` what belongs together, written
last · `left_out.jsonl` what could not be made · `pictures/` a strip of each video, for the page.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardcut.engine.files import atomic_writer, storage_error
from hardcut.media.clip import write_pictures
from hardcut.reranker.clips import Clips
from hardcut.reranker.diagnosis.altering import Quads, altered_frames
from hardcut.reranker.diagnosis.trials import AS_IS, Altered, File, Plan, Trial
from hardcut.reranker.examples import ClipRef
from hardcut.schemas.errors import DropItem, ItemError, UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import parse_json
from hardcut.schemas.trec import format_run

PLAN, QUERIES, RUN, MADE, VIDEOS, SETS, PICTURES, LEFT_OUT = (
    *("plan.json", "queries.tsv", "run.trec", "made.trec", "videos", "sets", "pictures", "left_out.jsonl"),
)
FRAMES = 16
"""Of a video that something is made of, spread evenly: 16 different ones are written, at their times."""
_TAG = "to-score"
_LOOKED_AT = 3
"""Frames that text is looked for in, before it is looked for in all."""
_STRIP = 6
_STRIP_HEIGHT = 96
_WORSE = 36
"""x264's crf of `again`."""


@dataclass(frozen=True, slots=True)
class Made:
    """A folder with its plan, and what could not be made (why, by id)."""

    folder: Path
    plan: Plan
    left_out: Mapping[str, str]


def write_folder(plan: Plan, folder: Path, clips: Clips, quads: Quads | None, say: Callable[[str], None]) -> Made:
    """Makes the videos and writes the files. Goes on where it was stopped, and makes nothing twice.

    Raises UsageError where the folder holds another plan, StorageError where it cannot be written.
    """
    key, path = digest("diagnosis", plan.model_dump(mode="json"), FRAMES), folder / PLAN
    if path.is_file():
        return read_folder(folder, key)
    try:
        for name in (VIDEOS, SETS, PICTURES):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(folder, error) from error
    by_video: defaultdict[str, list[Altered]] = defaultdict(list)
    for each in plan.altered:
        by_video[each.video_id].append(each)
    left_out = {
        video: "its id has white space, by which the columns of a TREC file are parted"
        for videos in plan.pairs(False).values()
        for video in videos
        if video.split() != [video]
    }
    for number, video in enumerate(sorted(plan.files), 1):
        say(f"video {number} of {len(plan.files)}: {len(by_video[video])} made of it")
        left_out |= _make(video, plan.files[video], by_video[video], folder, clips, quads)
    usable = plan.model_copy(
        update={
            "altered": tuple(each for each in plan.altered if each.id not in left_out),
            "trials": tuple(trial for trial in plan.trials if not _lacks(trial, left_out)),
            "crossed": tuple(pair for pair in plan.crossed if pair.video not in left_out),
        }
    )
    _write_files(usable, folder)
    with atomic_writer(folder / LEFT_OUT) as file:
        file.writelines(json.dumps({"item": id, "detail": why}) + "\n" for id, why in sorted(left_out.items()))
    with atomic_writer(path) as file:
        json.dump({"key": key, "left_out": left_out, "plan": usable.model_dump(mode="json")}, file)
    return Made(folder, usable, left_out)


def read_folder(folder: Path, key: str | None = None) -> Made:
    """A folder that was written. Raises UsageError where it is none, or holds another plan than `key` names."""
    path = folder / PLAN
    try:
        found: Any = parse_json(path.read_text("utf-8"))
        made = Made(folder, Plan.model_validate(found["plan"]), dict(found["left_out"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not the plan of a diagnosis: {error}") from error
    if key not in (None, found.get("key")):
        raise UsageError(f"{folder}: holds the diagnosis of another dataset or split: name another folder")
    return made


def strip_of(folder: Path, id: str) -> Path:
    """Where the strip of a video of the dataset, or of what was made of one, is."""
    return folder / PICTURES / f"{id if _is_made(id) else digest(id)[:12]}.jpg"


def _is_made(id: str) -> bool:
    head, dash, _ = id.partition("-")
    return bool(dash) and len(head) == 12 and all(each in "0123456789abcdef" for each in head)


def _lacks(trial: Trial, left_out: Mapping[str, str]) -> bool:
    return any(pair.video in left_out for of in trial.versions.values() for pair in (of.right, of.wrong))


def _make(
    video: str, file: File, wanted: Sequence[Altered], folder: Path, clips: Clips, quads: Quads | None
) -> dict[str, str]:
    """Makes what is wanted of a video; says by id why something is not there."""
    missing = [each for each in wanted if not (folder / VIDEOS / f"{each.id}.mp4").is_file()]
    strip = strip_of(folder, video)
    if not missing and strip.is_file():
        return {}
    try:
        clip = clips.read(ClipRef(video, file.path, file.sha256), FRAMES)
    except (ItemError, DropItem) as error:
        return {video: str(error), **{each.id: f"{video}: {error}" for each in wanted}}
    frames, times = list(clip.array), list(clip.times_s)
    if times[-1] == times[0]:  # a single frame, which is taken twice
        frames, times = frames[:1], times[:1]
    _write_strip(frames, strip)
    left_out = {}
    step = (times[-1] - times[0]) / max(1, len(times) - 1)
    for each in missing:
        if each.how in ("reversed", "shuffled", "one-frame") and len(frames) < 2:
            left_out[each.id] = f"{video}: it has one frame, and no order"
            continue
        found = None
        if each.how != "muted" or (quads and _has_text(frames, quads)):
            found = altered_frames(each, frames, quads)
        if found is None:
            why = "no text is seen in it" if quads else "nothing here finds text: pip install 'hardcut[ocr]'"
            left_out[each.id] = f"{video}: {why}"
            continue
        crf = _WORSE if each.how == "again" else 12
        shown = [time - times[0] for time in times]
        write_pictures(found, shown, shown[-1] + max(step, 0.2), folder / VIDEOS / f"{each.id}.mp4", crf)
        _write_strip(found, strip_of(folder, each.id))
    return left_out


def _has_text(frames: Sequence[Any], quads: Quads) -> bool:
    from PIL import Image

    step = max(1, len(frames) // _LOOKED_AT)
    return any(len(quads(Image.fromarray(frame))) for frame in frames[step // 2 :: step])


def _write_strip(frames: Sequence[Any], path: Path) -> None:
    """Some of the frames beside each other, small."""
    from PIL import Image

    chosen = [frames[(2 * i + 1) * len(frames) // (2 * _STRIP)] for i in range(_STRIP)]
    height, width, _ = chosen[0].shape
    size = max(1, round(width * _STRIP_HEIGHT / height)), _STRIP_HEIGHT
    strip = Image.new("RGB", ((size[0] + 2) * _STRIP - 2, size[1]), (255, 255, 255))
    for number, frame in enumerate(chosen):
        strip.paste(Image.fromarray(frame).resize(size), (number * (size[0] + 2), 0))
    with atomic_writer(path, "wb") as file:  # what is there is not made again: so it is there whole
        strip.save(file, "JPEG", quality=82)


def _write_files(plan: Plan, folder: Path) -> None:
    with atomic_writer(folder / QUERIES) as file:
        file.writelines(f"{query}\t{' '.join(text.split())}\n" for query, text in sorted(plan.queries.items()))
    for name, made in ((RUN, False), (MADE, True)):
        with atomic_writer(folder / name) as file:
            file.writelines(format_run(_flat(plan.pairs(made)), _TAG))
    nuances: defaultdict[str, list[Trial]] = defaultdict(list)
    for trial in plan.trials:
        if trial.probe == "nuance":
            nuances[trial.name.replace(" ", "_")].append(trial)
    for name, trials in sorted(nuances.items()):
        grades: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for trial in trials:
            of = trial.versions[AS_IS]
            grades[of.wrong.query].setdefault(of.wrong.video, 0)
            grades[of.right.query][of.right.video] = 1
        with atomic_writer(folder / SETS / f"{name}.qrels") as file:
            for query, videos in sorted(grades.items()):
                file.writelines(f"{query} 0 {video} {grade}\n" for video, grade in sorted(videos.items()))
        with atomic_writer(folder / SETS / f"{name}.trec") as file:
            file.writelines(format_run(_flat({query: set(videos) for query, videos in grades.items()}), _TAG))


def _flat(pairs: Mapping[str, set[str]]) -> dict[str, dict[str, float]]:
    """Pairs as a run that prefers none of them."""
    return {query: dict.fromkeys(sorted(videos), 0.0) for query, videos in pairs.items()}
