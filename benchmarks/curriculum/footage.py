"""The clips as real video files, drawn and encoded by the sample's own script."""

from __future__ import annotations

from pathlib import Path
from random import Random

from benchmarks.curriculum.stories import Half, Story
from hardcut.data.draw import draw_frames
from hardcut.data.encode import SUFFIX, write_video
from hardcut.data.fonts import Fonts
from hardcut.data.model import BackdropKind, Clip, Form, Frames, Meta, Point, Scene, Thing, Words, mirrored
from hardcut.schemas.settings import MediaSettings

SIDE_PX = 64
RATE = 2
FRAMES = 4
"""Two for each half: as many as one temporal patch of Qwen3-VL takes."""
MEDIA = MediaSettings(fps=RATE, max_frames=FRAMES, max_pixels=SIDE_PX**2, jpeg_quality=95)
_FORM = Form(width=SIDE_PX, height=SIDE_PX, rate=RATE, quality=18)
_BACKDROPS: tuple[BackdropKind, ...] = ("meadow", "street", "shore", "room")
_SCENERIES = 8
"""Different pictures of each backdrop in a split; no two splits share one."""
_PATHS: dict[str, tuple[Point, Point]] = {
    "right": ((0.22, 0.68), (0.78, 0.68)),
    "left": ((0.78, 0.68), (0.22, 0.68)),
    "down": ((0.5, 0.54), (0.5, 0.8)),
    "up": ((0.5, 0.8), (0.5, 0.54)),
}


def clip(video_id: str, story: Story, seed: int, family: int, *, backwards: bool = False) -> Clip:
    """A story as the sample's script draws it, before the backdrop that its family has in the split of `seed`.

    `backwards`: exactly the pictures of the reverse story, last to first.
    """
    if backwards:
        return mirrored(clip(video_id, story.reverse, seed, family))
    rng = Random(f"{seed}/{family}")
    scene = Scene(
        backdrop=rng.choice(_BACKDROPS),
        seed=seed * _SCENERIES + rng.randrange(_SCENERIES),
        frames=Frames(first=0, end=FRAMES),
    )
    each = FRAMES // 2
    stretches = [Frames(first=at * each, end=(at + 1) * each) for at in range(2)]
    shown = list(zip(story.halves, stretches, strict=True))
    return Clip(
        video_id=video_id,
        form=_FORM,
        scenes=(scene,),
        things=tuple(_thing(half, frames) for half, frames in shown),
        words=tuple(_sign(half.sign, frames) for half, frames in shown if half.sign),
        meta=Meta(title="", description="", tags=()),
    )


def write_clip(folder: Path, made: Clip, fonts: Fonts) -> Path:
    """Renders a clip unless its file is there, which is whole or absent; returns its path."""
    path = folder / f"{made.video_id}{SUFFIX[made.form.codec]}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"unfinished{path.suffix}")
        write_video(unfinished, made.form, enumerate(draw_frames(made, fonts)))
        unfinished.replace(path)
    return path


def _thing(half: Half, frames: Frames) -> Thing:
    start, end = _PATHS[half.direction]
    return Thing.model_validate(
        {
            "shape": half.shape,
            "colour": half.colour,
            "size": 0.4,
            "visible": frames,
            "moving": frames,
            "start": start,
            "end": end,
        }
    )


def _sign(text: str, frames: Frames) -> Words:
    return Words(
        text=text, script="latin", centre=(0.5, 0.16), height_px=14, ink="white", plate="navy", shown=frames
    )  # fmt: skip
