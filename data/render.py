"""Renders a world as files: videos with their sidecars, queries, judgments, a first-stage run, and the truth.

`python -m hardcut.data.render --seed 7 --out DIR [--clips N]`
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from hardcut.data.draw import draw_frames
from hardcut.data.encode import SUFFIX, write_video
from hardcut.data.first_stage import TitleSearch
from hardcut.data.fonts import Fonts, installed_fonts
from hardcut.data.model import Clip, World
from hardcut.data.speech import sound_track, subtitles
from hardcut.data.truth import judge, truth_record
from hardcut.data.world import CLIPS_A_ROUND, make_world
from hardcut.schemas.errors import HardcutError, UsageError

RUN_TAG = "title-bm25"


def render_world(world: World, out: Path, fonts: Fonts | None = None) -> None:
    """Writes `videos/` with sidecars, `queries.tsv`, `qrels.txt`, `first_stage.trec` and `truth.jsonl` into `out`.

    One clip is held in memory at a time. `out` must be empty or missing (UsageError). `fonts`: default those installed.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there and not an empty folder: give --out a new one")
    fonts = fonts or installed_fonts()
    out.mkdir(parents=True, exist_ok=True)
    for number, clip in enumerate(world.clips, start=1):
        _render_clip(clip, out / "videos", fonts)
        if sys.stderr.isatty():
            print(f"\r{number}/{len(world.clips)} {clip.video_id:<30}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    _write_lines(out / "truth.jsonl", [json.dumps(truth_record(clip), ensure_ascii=False) for clip in world.clips])
    _write_retrieval(world, out)


def _render_clip(clip: Clip, videos: Path, fonts: Fonts) -> None:
    base = videos / clip.video_id
    base.parent.mkdir(parents=True, exist_ok=True)
    indices = clip.stored_frames()
    pictures = zip(indices, draw_frames(clip, fonts, indices), strict=True)
    write_video(base.with_name(base.name + SUFFIX[clip.form.codec]), clip.form, pictures, sound_track(clip))
    meta = clip.meta.model_dump(exclude_none=True)
    _write_lines(base.with_name(base.name + ".json"), [json.dumps(meta, ensure_ascii=False, indent=1)])
    if clip.speech and clip.form.subtitles:
        _write_lines(base.with_name(f"{base.name}.{clip.form.subtitles}"), [subtitles(clip).rstrip("\n")])


def _write_retrieval(world: World, out: Path) -> None:
    search, judged = TitleSearch(world.clips), judge(world)
    depth = min(100, max(10, len(world.clips) // 2))
    ids = [f"q{number:0{max(2, len(str(len(judged))))}}" for number in range(1, len(judged) + 1)]
    _write_lines(out / "queries.tsv", [f"{qid}\t{question.text}" for qid, (question, _) in zip(ids, judged, strict=True)])
    _write_lines(
        out / "qrels.txt",
        [
            f"{qid} 0 {video_id} {grade}"
            for qid, (_, grades) in zip(ids, judged, strict=True)
            for video_id, grade in grades.items()
        ],
    )
    _write_lines(
        out / "first_stage.trec",
        [
            f"{qid} Q0 {video_id} {rank} {score:.6f} {RUN_TAG}"
            for qid, (question, _) in zip(ids, judged, strict=True)
            for rank, (video_id, score) in enumerate(search.rank(question.text, depth), start=1)
        ],
    )


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m hardcut.data.render", description="Render a world of short clips from a seed.")
    parser.add_argument("--seed", type=int, required=True, help="another seed, another world")
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--clips", type=int, default=CLIPS_A_ROUND, help="how many (default: %(default)s, one of every kind)")
    chosen = parser.parse_args(arguments)
    try:
        fonts = installed_fonts()
        render_world(make_world(chosen.seed, chosen.clips, scripts=fonts.scripts), chosen.out, fonts)
    except HardcutError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
