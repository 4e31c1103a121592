from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from hardcut.data.render import render_world
from hardcut.data.truth import truth_record
from hardcut.data.world import make_world
from hardcut.media.collection import scan
from hardcut.media.ingest import ingest
from hardcut.schemas.settings import MediaSettings
from hardcut.synth.evidence.colours import NAMES, colour_shares
from hardcut.synth.evidence.motion import Finding, find_colours, find_motion, motion_evidence

pytest.importorskip("cv2", reason='needs pip install "hardcut[vision]"')
pytest.importorskip("scenedetect", reason='needs pip install "hardcut[vision]"')

SHARED = Path(__file__).resolve().parents[4] / "shared"
RED, BLUE = (208, 36, 40), (28, 84, 214)
FPS = 12
STILL = "the camera stands still"


@dataclass(frozen=True)
class Shown:
    """Pictures as a burst."""

    images: tuple[Image.Image, ...]
    fps: float = FPS

    @property
    def times(self) -> tuple[float, ...]:
        return tuple(number / self.fps for number in range(len(self.images)))

    @property
    def start_s(self) -> float:
        return 0.0

    @property
    def end_s(self) -> float:
        return len(self.images) / self.fps

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        for image in self.images:
            small = image.copy()
            small.thumbnail((256, 256), Image.Resampling.BOX)
            yield np.ascontiguousarray(np.asarray(small.convert("RGB"))[..., ::-1])  # blue first


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


def noisy(pictures: Sequence[Image.Image], levels: float = 3) -> list[Image.Image]:
    """As a camera and a codec give them."""
    generator = np.random.default_rng(1)

    def grainy(picture: Image.Image) -> Image.Image:
        given = np.asarray(picture.convert("RGB"), dtype=np.int16)
        return Image.fromarray((given + generator.normal(0, levels, given.shape)).clip(0, 255).astype(np.uint8))

    return [grainy(picture) for picture in pictures]


def told(pictures: Sequence[Image.Image], fps: float = FPS) -> list[Finding]:
    return find_motion([Shown(tuple(pictures), fps)])


def texts(pictures: Sequence[Image.Image], fps: float = FPS) -> list[str]:
    return [item.text for item in told(pictures, fps)]


# Things


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ((13, 0), "from left to right"),
        ((-13, 0), "from right to left"),
        ((0, 7), "downwards"),
        ((0, -7), "upwards"),
        ((32, 0), "from left to right"),  # two and a half picture widths a minute, nearly its own width a picture
        ((2.5, 0), "from left to right"),  # it creeps
    ],
)
def test_a_thing_that_crosses(step: tuple[float, float], words: str) -> None:
    count = 15 if abs(step[0]) > 20 else 60 if abs(step[0]) < 5 and not step[1] else 24
    x0, y0 = 320 - step[0] * (count - 1) / 2, 180 - step[1] * (count - 1) / 2
    found = texts(noisy([with_discs((x0 + step[0] * i, y0 + step[1] * i, 40, RED)) for i in range(count)]))
    things = [text for text in found if "thing" in text]
    assert things == [f"a red thing moves {words}"]
    assert STILL in found


def test_it_rests_goes_and_rests_again(make_video) -> None:
    places = [100] * 12 + [100 + 16 * i for i in range(1, 26)] + [500] * 12
    findings = told(noisy([with_discs((x, 200, 40, BLUE)) for x in places]))
    [item] = [each for each in motion_evidence(make_video(duration_s=4), findings) if "thing" in each.text]
    assert item.text == "a blue thing moves from left to right"
    assert item.span is not None and item.box is not None and item.support is not None
    assert (item.span.start, item.span.end) == pytest.approx((1.0, 3.1), abs=0.3)
    assert (item.box.left, item.box.right) == pytest.approx((60 / 640, 540 / 640), abs=0.06)
    assert item.extractor == "opencv"
    assert item.support["path"] == pytest.approx(400 / 640, rel=0.2)
    assert item.support["of_size"] == pytest.approx(400 / 80, rel=0.4)
    assert item.support["explained"] > 0.6


def test_what_comes_in_and_leaves_at_the_edge() -> None:
    entering = noisy([with_discs((-60 + 13 * i, 180, 40, RED)) for i in range(30)])
    assert "a red thing moves from left to right as it enters" in texts(entering)
    assert "a red thing moves from right to left as it leaves" in texts(entering[::-1])


def test_two_things_in_turn() -> None:
    def picture(i: int) -> Image.Image:
        return with_discs((60 + 20 * i, 120, 40, RED) if i < 27 else (600 - 20 * (i - 27), 250, 40, BLUE))

    things = [item for item in told(noisy([picture(i) for i in range(54)])) if "thing" in item.text]
    assert [item.text.removesuffix(" as it leaves").removesuffix(" as it enters") for item in things] == [
        "a red thing moves from left to right",
        "a blue thing moves from right to left",
    ]
    assert things[0].end < things[1].start + 0.3


def test_to_and_fro_is_one_movement() -> None:
    places = [320 + 120 * np.sin(2 * np.pi * i / 15) for i in range(60)]
    things = [text for text in texts(noisy([with_discs((x, 180, 40, RED)) for x in places])) if "thing" in text]
    assert things == ["a red thing moves to and fro"]


@pytest.mark.parametrize("side", [60, 90, 130])
@pytest.mark.parametrize("ground", [(255, 255, 255), (128, 128, 128)])
@pytest.mark.parametrize("across", [-1, 0, 1])
@pytest.mark.parametrize("down", [-1, 0, 1])
def test_over_a_plain_background_the_thing_moves_and_not_the_camera(
    side: int, ground: tuple[int, int, int], across: int, down: int
) -> None:
    if not across and not down:
        pytest.skip("no direction")
    photo = field(160, 160).resize((side, side))
    pictures = []
    for i in range(24):
        picture = Image.new("RGB", (640, 360), ground)
        shift = (i - 11.5) * 7
        picture.paste(photo, (round(320 - side / 2 + across * shift * 1.4), round(180 - side / 2 + down * shift)))
        pictures.append(picture)
    found = texts(noisy(pictures, 1))
    assert not [text for text in found if text.startswith("the camera") and text != STILL]
    sideways, upright = {1: "from left to right", -1: "from right to left"}, {1: "downwards", -1: "upwards"}
    right = [sideways[across]] if across else []
    right += [upright[down]] if down else []
    [thing] = [text for text in found if "thing" in text]
    assert any(words in thing for words in right)


def behind(at: tuple[int, int], *discs: tuple[float, float, float, tuple[int, int, int]]) -> Image.Image:
    """Discs that pass behind a wall, which is as dark as a part of them."""
    picture = with_discs(*discs)
    ImageDraw.Draw(picture).rectangle((at[0], 0, at[1], 360), fill=(90, 100, 88))
    return picture


def test_what_is_lost_from_sight_for_a_moment_is_one_thing() -> None:
    """It passes behind a wall."""
    pictures = noisy([behind((290, 350), (100 + 12 * i, 190, 30, RED)) for i in range(40)])
    assert [text for text in texts(pictures) if "thing" in text] == ["a red thing moves from left to right"]


def test_two_of_one_colour_are_two() -> None:
    """The second one comes in at the edge when the first one is gone behind the wall."""
    places = [
        [(60 + 12 * i, 190, 30, RED)] * (i < 22) + [(-40 + 12 * (i - 22), 190, 30, RED)] * (i >= 22) for i in range(44)
    ]
    found = [text for text in texts(noisy([behind((290, 350), *discs) for discs in places])) if "thing" in text]
    assert len(found) == 2 and all("red thing moves from left to right" in text for text in found)


# What is no movement


def flicker(i: int) -> Image.Image:
    return field().point(lambda value: value * (0.6 + 0.4 * (i % 3 == 0)))


def fade(i: int) -> Image.Image:
    return field().point(lambda value: value * min(1.0, i / 12, (35 - i) / 12))


def gain(i: int) -> Image.Image:
    """Exposure that follows the light."""
    return field().point(lambda value: value * (0.8 + 0.3 * np.sin(i / 6)))


def subtitle(i: int) -> Image.Image:
    picture = field()
    lines = ("First of all", "and this is the second one", "", "the last")
    ImageDraw.Draw(picture).text((120, 300), lines[i // 9 % 4], fill=(255, 255, 255), font_size=30)
    return picture


def slide(i: int) -> Image.Image:
    picture = Image.new("RGB", (640, 360), (250, 250, 250))
    for line in range(2 + i // 18):
        ImageDraw.Draw(picture).text(
            (50, 50 + 70 * line), f"Line {line} of page {i // 18}", fill=(20, 20, 20), font_size=30
        )
    return picture


def plate(i: int) -> Image.Image:
    """A plate with text that gives way to a smaller one in one picture, as a recipe's steps do."""
    picture = field()
    width, text = ((300, "SQUEEZE LEMON"), (256, "WHISK CREAM"))[i >= 18]
    draw = ImageDraw.Draw(picture)
    draw.rounded_rectangle((320 - width, 90, 320 + width, 170), 12, fill=(250, 244, 224), outline=(170, 140, 90))
    draw.text((320, 130), text, fill=(40, 40, 50), font_size=54, anchor="mm")
    return picture


def uncovered(i: int) -> Image.Image:
    """A curtain of light passes over a wall."""
    ramp = np.clip((np.arange(640) - 30 * i + 200) / 200, 0.55, 1)
    return Image.fromarray((np.asarray(field()) * ramp[None, :, None]).astype(np.uint8))


def ripples(i: int) -> Image.Image:
    """Water: the picture wavers everywhere and goes nowhere."""
    rows, columns = np.mgrid[0:360, 0:640]
    wave = (
        25
        * np.sin(columns / 9 + 1.7 * np.sin(i * 1.3 + rows / 23))
        * np.sin(rows / 7 + 2 * np.cos(i * 1.1 + columns / 31))
    )
    return Image.fromarray((np.array([60, 130, 160]) + wave[..., None]).clip(0, 255).astype(np.uint8))


def noise(i: int) -> Image.Image:
    return noisy([field()], 9)[0] if i % 2 else field()


def swaying(i: int) -> Image.Image:
    """A large thing that stirs by a tenth of its width."""
    return with_discs((320 + 12 * np.sin(i / 3), 190, 120, RED))


@pytest.mark.parametrize("picture", [flicker, fade, gain, subtitle, slide, plate, uncovered, ripples, noise, swaying])
def test_what_is_no_movement(picture: Callable[[int], Image.Image]) -> None:
    found = texts(noisy([picture(i) for i in range(36)], 2))
    assert [text for text in found if "moves" in text or (text.startswith("the camera") and text != STILL)] == []


def test_bursts_are_looked_at_one_by_one() -> None:
    """A thing that stands elsewhere after a cut, or after a gap, did not move there."""
    left, right = (Shown((with_discs((x, 180, 50, RED)),) * 18) for x in (160, 480))
    later = [Finding(each.kind, each.text, 0, 1.5, None, 1) for each in find_motion([left, right])]
    assert {each.text for each in later} == {STILL}


# The camera


WIDE = field(1600, 900)


@pytest.mark.parametrize(
    ("window", "does"),
    [
        (lambda i: (7 * i, 100, 7 * i + 640, 460), "pans to the right"),
        (lambda i: (300 - 7 * i, 100, 940 - 7 * i, 460), "pans to the left"),
        (lambda i: (200, 5 * i, 840, 5 * i + 360), "tilts down"),
        (lambda i: (6.4 * i, 3.6 * i, 1280 - 6.4 * i, 720 - 3.6 * i), "zooms in"),
        (lambda i: (160 - 4.8 * i, 90 - 2.7 * i, 1120 + 4.8 * i, 630 + 2.7 * i), "zooms out"),
    ],
)
def test_the_camera(window: Callable[[int], tuple[float, float, float, float]], does: str) -> None:
    pictures = [
        WIDE.transform((640, 360), Image.Transform.EXTENT, window(i), Image.Resampling.BILINEAR) for i in range(30)
    ]
    assert texts(noisy(pictures)) == [f"the camera {does}"]


def hand(i: int, far: float = 14) -> tuple[float, float]:
    """Where a hand-held camera points."""
    return 300 + far * (np.sin(i / 5) + 0.6 * np.sin(i / 2.1)), 150 + far * (np.cos(i / 4.3) + 0.5 * np.sin(i / 1.7))


def test_a_hand_held_camera_moves_no_thing() -> None:
    """What stands still stays a thing that stands, whatever the hand does; nor does the camera stand."""
    ground = with_discs((600, 330, 60, RED), ground=WIDE.copy())
    pictures = [
        ground.transform((640, 360), Image.Transform.EXTENT, (x, y, x + 640, y + 360), Image.Resampling.BILINEAR)
        for x, y in map(hand, range(60))
    ]
    assert not [text for text in texts(noisy(pictures)) if "thing" in text or text == STILL]


def test_layers_of_depth_move_no_thing() -> None:
    """A camera that walks past: what is near goes by faster."""
    pictures = []
    for i in range(40):
        ground = WIDE.transform((640, 360), Image.Transform.EXTENT, (4 * i, 100, 4 * i + 640, 460))
        near = [(120 + 260 * number - 9 * i, 250, 45, BLUE) for number in range(4)]
        pictures.append(with_discs(*near, ground=ground))
    assert not [text for text in texts(noisy(pictures)) if "thing" in text]


def test_a_thing_that_goes_against_the_camera() -> None:
    pictures = [
        with_discs((80 + 16 * i, 180, 45, RED), ground=WIDE.crop((7 * i, 100, 7 * i + 640, 460))) for i in range(30)
    ]
    found = texts(noisy(pictures))
    assert "the camera pans to the right" in found
    assert any("red" in text and "from left to right" in text for text in found)
    assert not any("from right to left" in text for text in found)


def test_a_large_thing_is_no_camera() -> None:
    """A lorry with a pattern on its side fills half the picture."""
    side = field(320, 300).point(lambda value: min(255, int(value * 1.5)))
    pictures = []
    for i in range(40):
        picture = field()
        picture.paste(side, (-320 + 26 * i, 30))
        pictures.append(picture)
    found = texts(noisy(pictures))
    assert not any(text.startswith("the camera") and text != STILL for text in found)
    assert any("thing moves from left to right" in text for text in found)


def test_a_camera_that_drifts_far_does_not_stand() -> None:
    """So slowly that no second shows it."""
    pictures = [
        WIDE.transform(
            (640, 360), Image.Transform.EXTENT, (0.09 * i, 9, 0.09 * i + 640, 369), Image.Resampling.BILINEAR
        )
        for i in range(240)
    ]
    assert texts(noisy(pictures)) == []


def test_the_camera_stands_through_a_cut_in_one_line() -> None:
    one, other = Shown((field(),) * 24), _Later((field().rotate(180),) * 24)
    assert [(item.text, item.start, item.end) for item in find_motion([one, other])] == [(STILL, 0.0, 4.0)]


class _Later(Shown):
    @property
    def times(self) -> tuple[float, ...]:
        return tuple(2 + number / self.fps for number in range(len(self.images)))

    @property
    def start_s(self) -> float:
        return 2.0

    @property
    def end_s(self) -> float:
        return 2 + len(self.images) / self.fps


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_pictures(count: int) -> None:
    assert [text for text in texts([field()] * count) if "moves" in text] == []


@pytest.mark.parametrize("seed", [1011, 1012])
def test_what_a_thing_drags_along_for_a_moment_is_no_thing(seed: int, tmp_path: Path) -> None:
    """Two things pass over a structured backdrop. A green or grey piece of it was told to move beside them."""
    world = make_world(seed, clips=25, scripts=("latin",))
    [clip] = [each for each in world.clips if each.video_id == "motion/passers-01-b"]
    render_world(world.model_copy(update={"clips": (clip,), "questions": ()}), tmp_path / "world")
    path = tmp_path / "world" / "videos" / f"{clip.video_id}.mp4"
    survey = ingest(str(path), str(tmp_path / "store"), MediaSettings(), None, True).survey
    assert survey is not None
    told = {found.text.split(" thing ")[0] for found in find_motion(survey.bursts) if " thing " in found.text}
    assert told <= {f"a {thing.colour}" for thing in clip.things} and told


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (700, 8)])
def test_odd_pictures(size: tuple[int, int]) -> None:
    assert texts([Image.new("RGB", size)] * 20) == []


def test_colours_of_each_shot(store_frames) -> None:
    frames = store_frames([Image.new("RGB", (64, 36), RED)] * 4 + [Image.new("RGB", (64, 36), BLUE)] * 4, 4)
    found = find_colours(frames, [1.0], 2.0)
    assert [(item.kind, item.text, item.start, item.end) for item in found] == [
        ("colour", "mostly red", 0.0, 1.0),
        ("colour", "mostly blue", 1.0, 2.0),
    ]
    assert find_colours([], [], 2.0) == []


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


def perceived(path: Path, store: Path) -> list[Finding]:
    survey = ingest(str(path), str(store), MediaSettings(), None, True).survey
    assert survey is not None
    return find_motion(survey.bursts)


def test_directions_and_twins_of_a_fresh_world(tmp_path: Path) -> None:
    """The direction of at least 98 % of moving things, the camera standing, and every clip told from its twin. A door
    that turns on its hinge goes nowhere: nothing is told of it."""
    world = make_world(53, clips=12, families=("ball", "stack", "passers", "door", "launch"))
    render_world(world, tmp_path / "world")
    truth = {clip.video_id: truth_record(clip) for clip in world.clips}
    found = {
        file.video_id: perceived(file.path, tmp_path / "store") for file in scan(tmp_path / "world" / "videos").files
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
    assert {item.text for each in found.values() for item in each if item.text.startswith("the camera")} == {STILL}
    twins = [
        (one, other["video_id"])
        for one, r in truth.items()
        for other in r["relations"]
        if other["kind"] == "chiral_twin" and "door" not in one
    ]
    assert len(twins) >= 6
    for one, other in twins:
        assert [item.text for item in found[one]] != [item.text for item in found[other]], (one, other)


CASES = SHARED / "cases" / "media"
RIGHT = {
    "LR_photo60_white": "from left to right", "LR_square130_white": "from left to right",
    "sq_white": "from left to right",
    "UP_photo90_gray": "upwards", "flicker": None, "fade": None, "slides": None, "panright": None, "cuts57s": None,
    "moving/handheld_ball": None, "moving/parallax_plant_1fps": None, "moving/followed_runner": None,
    "moving/swung_pool": None,
}  # fmt: skip


@pytest.mark.skipif(not CASES.is_dir(), reason="no folder of shared cases beside the checkout (../shared/cases)")
@pytest.mark.parametrize("name", RIGHT)
def test_shared_cases(name: str, tmp_path: Path) -> None:
    found = [item.text for item in perceived(CASES / f"{name}.mp4", tmp_path)]
    things = [text for text in found if not text.startswith("the camera")]
    words = RIGHT[name]
    assert all(words and words in text for text in things), things
    assert bool(things) == bool(words)
    moves = {text for text in found if text.startswith("the camera") and text != STILL}
    assert moves <= ({"the camera pans to the right"} if name == "panright" else set())
    if name.startswith("moving/") or name == "panright":
        assert STILL not in found


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
    ways = tuple(BACKWARDS)
    table = np.zeros((12, len(ways)))
    for item in findings:
        for column, way in enumerate(ways):
            if way in item.text:
                first, last = int(item.start / duration_s * 12), int(np.ceil(item.end / duration_s * 12))
                table[first:last, column] += item.confidence
    return table / max(float(np.linalg.norm(table)), 1e-9)


BACKWARDS = {
    "left to right": "right to left",
    "right to left": "left to right",
    "upwards": "downwards",
    "downwards": "upwards",
}


def ways_of(findings: Sequence[Finding]) -> list[str]:
    """Which ways things go, in order of time."""
    told = [(item.start, way) for item in findings for way in BACKWARDS if way in item.text]
    return [way for _, way in sorted(told)]


SIGNS = SHARED / "videos" / "signs"


@pytest.mark.skipif(not SIGNS.is_dir(), reason="no folder of real videos beside the checkout (../shared/videos)")
def test_signs_and_their_reverse_move_differently(tmp_path: Path) -> None:
    """Not because evidence is noise: the same pictures encoded again differ less from the clip than the reversed ones
    do, on average over all clips. A hand that only goes up and comes down ("night") does the same backwards."""
    from_copy, from_reverse = [], []
    for source in sorted(SIGNS.glob("*.mkv")):
        copy = rewritten(source, tmp_path / f"{source.stem}-copy.mp4", backwards=False)
        reverse = rewritten(source, tmp_path / f"{source.stem}-reverse.mp4", backwards=True)
        clip, again, back = (perceived(path, tmp_path / "store") for path in (source, copy, reverse))
        from_copy.append(float(np.linalg.norm(profile(clip, 3.0) - profile(again, 3.0))))
        from_reverse.append(float(np.linalg.norm(profile(clip, 3.0) - profile(back, 3.0))))
        same_backwards = ways_of(clip) == [BACKWARDS[way] for way in reversed(ways_of(clip))]
        assert from_reverse[-1] > 0.4 or same_backwards, source.name
    assert len(from_reverse) == 10 and sum(far > 0.4 for far in from_reverse) >= 9
    assert np.mean(from_copy) < 0.85 * np.mean(from_reverse), (from_copy, from_reverse)
