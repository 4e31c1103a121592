"""The clips of which a run tells the worst, as one picture: frames, what is said of movement, and what is true.

    python benchmarks/worst_clips.py VIDEOS RUN TRUTH.jsonl --scores SCORES.json [--out docs/worst-clips.jpg]

TRUTH has one clip a line, written by eye: `clip`, `duration_s` and `motion` (what, direction, start, end, certain);
SCORES is what a scorer says of each clip (`clips`: false, false_rate, motions, motions_named). The worst clips are
those with the largest share of false statements, then with the largest share of movements that are not told.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont

from hardcut.engine.run_files import RunFiles
from hardcut.schemas.records import Evidence, Video

WORST, FRAMES, WIDTH, GAP = 3, 6, 960, 6
_GROUND, _INK, _FAINT = (24, 26, 30), (222, 226, 232), (150, 156, 166)


def worst(scores: dict[str, dict[str, float]]) -> list[str]:
    """The names of the worst clips."""
    order = sorted(scores, key=lambda name: (-(scores[name]["false_rate"] or 0), -_missed(scores[name]), name))
    return order[:WORST]


def sheet(path: Path, lines: list[tuple[str, tuple[int, int, int]]], title: str) -> Image.Image:
    """Frames of a clip in a row, each with its second, and lines of text below."""
    with av.open(str(path)) as container:
        pictures = [(float(frame.time or 0), frame.to_image()) for frame in container.decode(video=0)]
    chosen = [pictures[round((number + 0.5) / FRAMES * len(pictures) - 0.5)] for number in range(FRAMES)]
    side = (WIDTH - GAP * (FRAMES + 1)) // FRAMES
    height = round(side * chosen[0][1].height / chosen[0][1].width)
    font, small = ImageFont.load_default(15), ImageFont.load_default(12)
    found = Image.new("RGB", (WIDTH, 26 + height + 20 + 20 * len(lines) + GAP), _GROUND)
    draw = ImageDraw.Draw(found)
    draw.text((GAP, 4), title, font=font, fill=_INK)
    for number, (time_s, picture) in enumerate(chosen):
        x = GAP + number * (side + GAP)
        found.paste(picture.convert("RGB").resize((side, height), Image.Resampling.LANCZOS), (x, 26))
        draw.text((x, 28 + height), f"{time_s:.2f} s", font=small, fill=_FAINT)
    for number, (line, ink) in enumerate(lines):
        draw.text((GAP, 46 + height + 20 * number), line, font=font, fill=ink)
    return found


def _missed(score: dict[str, float]) -> float:
    """Which share of the movements is not told."""
    return 1 - score.get("motions_named", 0) / score["motions"] if score.get("motions") else 0.0


def _lines(said: list[Evidence], truth: dict[str, object]) -> list[tuple[str, tuple[int, int, int]]]:
    told = [
        (f"said:  {each.span.start:.2f}-{each.span.end:.2f} s  {each.text} ({each.confidence or 0:.2f})", _INK)
        for each in sorted(said, key=lambda each: each.span.start if each.span else 0.0)
        if each.span
    ]
    true = [
        (f"true:  {each['start']:.2f}-{each['end']:.2f} s  {each['what']}: {each['direction']}", _FAINT)
        for each in truth["motion"]  # type: ignore[attr-defined]
        if each["certain"]
    ]
    return [*told, *true]


def main() -> None:
    """Draws the picture."""
    parser = argparse.ArgumentParser()
    for name in ("videos", "run", "truth"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/worst-clips.jpg"))
    given = parser.parse_args()
    truth = {one["clip"]: one for one in map(json.loads, given.truth.read_text("utf-8").splitlines())}
    scores = json.loads(given.scores.read_text("utf-8"))["clips"]
    paths = {video.video_id: video.path for video in RunFiles(given.run).read(Video)}
    said = [each for each in RunFiles(given.run).read(Evidence) if each.kind == "motion"]
    sheets = []
    for name in worst(scores):
        told, all_of_them = (scores[name].get(key, 0) for key in ("motions_named", "motions"))
        title = f"{name}: {scores[name]['false']} false, {told} of {all_of_them} movements told"
        lines = _lines([each for each in said if each.video_id == name], truth[name])
        sheets.append(sheet(given.videos / paths[name], lines, title))
    whole = Image.new("RGB", (WIDTH, sum(each.height for each in sheets)), _GROUND)
    top = 0
    for each in sheets:
        whole.paste(each, (0, top))
        top += each.height
    whole.save(given.out, quality=80, optimize=True)


if __name__ == "__main__":
    main()
