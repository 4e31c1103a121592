from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from hardcut.data.render import render_world
from hardcut.data.truth import truth_record
from hardcut.data.world import make_world
from hardcut.media.collection import scan
from hardcut.media.frames import FrameSet
from hardcut.media.ingest import ingest
from hardcut.schemas.settings import MediaSettings
from hardcut.synth.evidence.colours import NAMES, colour_shares
from hardcut.synth.evidence.motion import Finding, find_motion, motion_evidence
from hardcut.synth.evidence.movers import Blob, legs
from hardcut.synth.evidence.shots import find_cuts

pytest.importorskip("cv2", reason='needs pip install "hardcut[vision]"')
pytest.importorskip("scenedetect", reason='needs pip install "hardcut[vision]"')

SIGNS = Path(__file__).resolve().parents[4] / "shared" / "videos" / "signs"
RED, BLUE = (208, 36, 40), (28, 84, 214)


def field(width: int = 640, height: int = 360) -> Image.Image:
    """Soft grey-green structure, the same each time."""
    noise = np.random.default_rng(4).integers(90, 170, (height // 8, width // 8, 1)).repeat(3, axis=2)
    picture = Image.fromarray((noise * [0.9, 1.0, 0.85]).astype(np.uint8))
    return picture.resize((width, height), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1))


def with_discs(
    *discs: tuple[float, float, float, tuple[int, int, int]], ground: Image.Image | None = None
) -> Image.Image:
    """Discs (x, y, radius in pixels, colour) on the field."""
    image = (ground or field()).copy()
    draw = ImageDraw.Draw(image)
    for x, y, r, colour in discs:
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    return image


def told(store_frames, pictures: Sequence[Image.Image], cuts: Sequence[int] = ()) -> list[Finding]:
    found = find_motion(store_frames(pictures, 4), cuts, len(pictures) / 4)
    return [item for item in found if item.kind == "motion"]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ((40, 0), "from left to right"),
        ((-40, 0), "from right to left"),
        ((0, 22), "downwards"),
        ((0, -22), "upwards"),
        ((95, 0), "from left to right"),  # further than it is wide from frame to frame
    ],
)
def test_a_thing_that_crosses(store_frames, step: tuple[int, int], words: str) -> None:
    x0, y0 = (320 - 3.5 * step[0], 180 - 3.5 * step[1])
    pictures = [with_discs((x0 + step[0] * i, y0 + step[1] * i, 40, RED)) for i in range(8)]
    found = told(store_frames, pictures)
    assert [item.text for item in found if "thing" in item.text] == [f"a red thing moves {words}"]
    assert "the camera stands still" in [item.text for item in found]


def test_it_rests_goes_and_rests_again(store_frames, make_video) -> None:
    places = [100] * 4 + [100 + 50 * i for i in range(1, 9)] + [500] * 4
    pictures = [with_discs((x, 200, 40, BLUE)) for x in places]
    findings = find_motion(store_frames(pictures, 4), [], 4.0)
    [item] = [each for each in motion_evidence(make_video(duration_s=4), findings) if "thing" in each.text]
    assert item.text == "a resting blue thing moves from left to right and comes to rest"
    assert item.span is not None and item.box is not None
    assert (item.span.start, item.span.end) == pytest.approx((0.75, 2.75), abs=0.26)
    assert (item.box.left, item.box.right) == pytest.approx((60 / 640, 540 / 640), abs=0.03)
    assert item.extractor == "opencv"


def test_what_arrives_and_stays_leaves_no_hole_that_moves(store_frames) -> None:
    """The thing stands at its end for most of the time and so is part of the background there."""
    heights = [40, 100, 160, 220, 280] + [300] * 15
    found = told(store_frames, [with_discs((320, y, 40, RED)) for y in heights])
    assert [item.text.removesuffix(" and comes to rest") for item in found if "thing" in item.text] == [
        "a red thing moves downwards"
    ]


def test_two_things_in_turn(store_frames) -> None:
    def picture(i: int) -> Image.Image:
        return with_discs((60 + 65 * i, 120, 40, RED) if i < 9 else (600 - 65 * (i - 9), 250, 40, BLUE))

    things = [item for item in told(store_frames, [picture(i) for i in range(18)]) if "thing" in item.text]
    assert [item.text for item in things] == [
        "a red thing moves from left to right",
        "a blue thing moves from right to left",
    ]
    assert things[0].end < things[1].start


def test_a_cut_is_no_movement(store_frames) -> None:
    pictures = [with_discs((200, 180, 50, RED))] * 6 + [with_discs((420, 180, 50, RED), ground=field().rotate(180))] * 6
    assert [item.text for item in told(store_frames, pictures, [6])] == ["the camera stands still"]


@pytest.mark.parametrize(
    ("window", "does"),
    [
        (lambda i: (20 * i, 100, 20 * i + 640, 460), "pans to the right"),
        (lambda i: (300 - 20 * i, 100, 940 - 20 * i, 460), "pans to the left"),
        (lambda i: (200, 12 * i, 840, 12 * i + 360), "tilts down"),
        (lambda i: (16 * i, 9 * i, 1280 - 16 * i, 720 - 9 * i), "zooms in"),
        (lambda i: (160 - 16 * i, 90 - 9 * i, 1120 + 16 * i, 630 + 9 * i), "zooms out"),
    ],
)
def test_the_camera(store_frames, window: Callable[[int], tuple[int, int, int, int]], does: str) -> None:
    wide = field(1280, 720)
    pictures = [wide.crop(window(i)).resize((640, 360), Image.Resampling.BOX) for i in range(10)]
    assert [item.text for item in told(store_frames, pictures)] == [f"the camera {does}"]


def test_a_thing_that_goes_against_the_camera(store_frames) -> None:
    wide = field(1280, 720)
    pictures = [
        with_discs((80 + 45 * i, 180, 45, RED), ground=wide.crop((20 * i, 100, 20 * i + 640, 460))) for i in range(10)
    ]
    found = [item.text for item in told(store_frames, pictures)]
    assert "the camera pans to the right" in found
    assert any("red" in text and "from left to right" in text for text in found)
    assert not any("from right to left" in text for text in found)


def test_a_large_thing_is_no_camera(store_frames) -> None:
    """A lorry with a pattern on its side fills half the picture."""
    side = field(320, 300).point(lambda value: min(255, int(value * 1.5)))
    pictures = []
    for i in range(12):
        picture = field()
        picture.paste(side, (-320 + 80 * i, 30))
        pictures.append(picture)
    found = [item.text for item in told(store_frames, pictures)]
    assert "the camera stands still" in found
    assert any("thing moves from left to right" in text for text in found)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_frames(store_frames, count: int) -> None:
    assert [item.text for item in told(store_frames, [field()] * count) if "moves" in item.text] == []


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (700, 8)])
def test_odd_pictures(store_frames, size: tuple[int, int]) -> None:
    assert not [item for item in told(store_frames, [Image.new("RGB", size)] * 4) if "moves" in item.text]


def test_noise_is_no_movement(store_frames) -> None:
    generator, ground = np.random.default_rng(1), np.asarray(field(), dtype=np.int16)
    pictures = [
        Image.fromarray((ground + generator.normal(0, 6, ground.shape)).clip(0, 255).astype(np.uint8))
        for _ in range(12)
    ]
    assert [item.text for item in told(store_frames, pictures)] == ["the camera stands still"]


def test_colours_have_their_names() -> None:
    named = {
        "black": (10, 10, 12), "grey": (128, 128, 128), "white": (252, 252, 250), "brown": (120, 72, 30), "red": RED,
        "orange": (240, 120, 20), "yellow": (248, 200, 24), "green": (16, 138, 66), "turquoise": (40, 190, 190),
        "blue": BLUE, "purple": (122, 52, 178), "pink": (250, 160, 190),
    }  # fmt: skip
    for name, (red, green, blue) in named.items():
        shares = colour_shares(np.full((4, 4, 3), (blue, green, red), dtype=np.uint8))
        assert NAMES[int(shares.argmax())] == name
    assert colour_shares(np.zeros((2, 2, 3), dtype=np.uint8), np.zeros((2, 2), dtype=np.bool_)).sum() == 0


def test_legs_turn_and_survive_a_hidden_frame() -> None:
    def blob(frame: int, x: float) -> Blob:
        return Blob(frame, (x, 0.3), (x - 0.05, 0.4, x + 0.05, 0.6), 0.01, (1.0,), cut=False)

    there = [0.1 + 0.08 * i for i in range(8)]
    frames = [[blob(i, x)] for i, x in enumerate(there + there[::-1])]
    frames[3] = []
    assert [leg.way for leg in legs(frames)] == ["left to right", "right to left"]
    jitter = random.Random(3)
    assert legs([[blob(i, 0.5 + jitter.uniform(-0.02, 0.02))] for i in range(20)]) == []


def perceived(path: Path, store: Path) -> tuple[FrameSet, list[Finding]]:
    frames = ingest(str(path), str(store), MediaSettings()).frames
    cuts = find_cuts([frame.path for frame in frames.frames], 16.0)
    return frames, [f for f in find_motion(frames.frames, cuts, frames.duration_s) if f.kind == "motion"]


def test_directions_and_twins_of_a_fresh_world(tmp_path: Path) -> None:
    """The direction of at least 98 % of moving things, and every clip told from its twin."""
    world = make_world(53, clips=12, families=("ball", "stack", "passers", "door", "launch"))
    render_world(world, tmp_path / "world")
    truth = {clip.video_id: truth_record(clip) for clip in world.clips}
    found = {
        file.video_id: perceived(file.path, tmp_path / "store")[1] for file in scan(tmp_path / "world" / "videos").files
    }
    wrong, count = [], 0
    for video_id, record in truth.items():
        for thing in record["objects"]:
            if thing["moving"] is None or thing["direction"] in ("opens", "closes"):
                continue
            count += 1
            start, end = thing["moving"]["start"], thing["moving"]["end"]
            lines = [
                item.text
                for item in found[video_id]
                if f"{thing['colour']} " in item.text and "thing" in item.text and item.start < end and item.end > start
            ]
            if not lines or not all(thing["direction"] in line for line in lines):
                wrong.append((video_id, thing["colour"], thing["direction"], lines))
    assert count >= 12
    assert len(wrong) <= 0.02 * count, wrong
    twins = [
        (one, other["video_id"])
        for one, r in truth.items()
        for other in r["relations"]
        if other["kind"] == "chiral_twin"
    ]
    assert len(twins) >= 6
    for one, other in twins:
        assert [item.text for item in found[one]] != [item.text for item in found[other]], (one, other)


def rewritten(source: Path, target: Path, *, backwards: bool) -> Path:
    """The clip's pictures encoded again, in order or in reverse."""
    with av.open(str(source)) as container:
        rate = container.streams.video[0].average_rate
        pictures = [frame.to_image() for frame in container.decode(video=0)]
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "26"})
        stream.width, stream.height, stream.pix_fmt = pictures[0].width // 2 * 2, pictures[0].height // 2 * 2, "yuv420p"
        for picture in reversed(pictures) if backwards else pictures:
            container.mux(stream.encode(av.VideoFrame.from_image(picture.crop((0, 0, stream.width, stream.height)))))
        container.mux(stream.encode())
    return target


def profile(findings: Sequence[Finding], duration_s: float) -> np.ndarray:
    """How much goes which way over the clip: 12 stretches of time by 4 directions."""
    ways = ("left to right", "right to left", "upwards", "downwards")
    table = np.zeros((12, len(ways)))
    for item in findings:
        for column, way in enumerate(ways):
            if way in item.text:
                first, last = int(item.start / duration_s * 12), int(np.ceil(item.end / duration_s * 12))
                table[first:last, column] += item.confidence
    return table / max(float(np.linalg.norm(table)), 1e-9)


@pytest.mark.skipif(not SIGNS.is_dir(), reason="no folder of real videos beside the checkout (../shared/videos)")
def test_signs_and_their_reverse_move_differently(tmp_path: Path) -> None:
    """Every one, and not because evidence is noise: the same pictures encoded again differ less from the clip than the
    reversed ones do, on average over all clips."""
    from_copy, from_reverse = [], []
    for source in sorted(SIGNS.glob("*.mkv")):
        copy = rewritten(source, tmp_path / f"{source.stem}-copy.mp4", backwards=False)
        reverse = rewritten(source, tmp_path / f"{source.stem}-reverse.mp4", backwards=True)
        profiles = []
        for path in (source, copy, reverse):
            frames, findings = perceived(path, tmp_path / "store")
            assert any("moves" in item.text for item in findings), path.name
            profiles.append(profile(findings, frames.duration_s))
        from_copy.append(float(np.linalg.norm(profiles[0] - profiles[1])))
        from_reverse.append(float(np.linalg.norm(profiles[0] - profiles[2])))
        assert from_reverse[-1] > 0.5, source.name
    assert len(from_reverse) == 10
    assert np.mean(from_copy) < 0.85 * np.mean(from_reverse), (from_copy, from_reverse)
