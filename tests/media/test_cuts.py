"""Cuts among all pictures of a video, and what is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from hardcut.media.cuts import Cut, CutFinder

pytest.importorskip("scenedetect", reason='needs pip install "hardcut[vision]"')
pytest.importorskip("cv2", reason='needs pip install "hardcut[vision]"')

Picture = NDArray[np.uint8]
FPS = 25


def scene(seed: int, width: int = 96, height: int = 54) -> Picture:
    """Soft structure in a colour of its own, the same for each seed."""
    generator = np.random.default_rng(seed)
    noise = generator.integers(40, 216, (height // 6, width // 6)).astype(np.uint8)
    grey = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1))
    tint = generator.uniform(0.5, 1.0, 3)
    return (np.asarray(grey, dtype=np.float32)[..., None] * tint).astype(np.uint8)


def noisy(pictures: Sequence[Picture], seed: int = 9) -> list[Picture]:
    generator = np.random.default_rng(seed)
    return [(each + generator.normal(0, 1.5, each.shape)).clip(0, 255).astype(np.uint8) for each in pictures]


def found(pictures: Sequence[Picture], fps: float = FPS, times: Sequence[float] | None = None) -> list[Cut]:
    finder = CutFinder()
    moments = times or [number / fps for number in range(len(pictures))]
    cuts = [cut for time_s, each in zip(moments, pictures, strict=True) for cut in finder.see(time_s, each)]
    return cuts + finder.finish()


@pytest.mark.parametrize("fps", [4, 12, 30])
def test_every_cut_is_found_at_its_picture(fps: float) -> None:
    each = round(3 * fps)
    pictures = noisy([scene(number) for number in range(8) for _ in range(each)])
    assert [round(cut.time_s, 3) for cut in found(pictures, fps)] == [3.0 * number for number in range(1, 8)]


def test_a_cut_at_either_end_is_found() -> None:
    pictures = [scene(1)] + [scene(2)] * 30 + [scene(3)]
    assert [(cut.before_s, cut.time_s) for cut in found(pictures)] == [(0, 0.04), (1.2, 1.24)]


def views_of_one_room() -> tuple[Picture, Picture, Picture]:
    """A room towards one side, towards the other, and nearer: wall and floor are the same, and most things are others.
    96 x 54."""
    generator = np.random.default_rng(5)
    room = np.full((108, 384, 3), (176, 160, 138), dtype=np.uint8)
    room[72:] = (110, 84, 60)
    for left in range(4, 376, 22):
        top, width, height = generator.integers(20, 60), generator.integers(8, 18), generator.integers(16, 44)
        room[top : top + height, left : left + width] = np.array((140, 110, 84)) + generator.integers(-70, 60, 3)
    whole = Image.fromarray((room * np.linspace(1.0, 0.7, 384)[:, None]).astype(np.uint8))  # a window at the left
    places = ((0, 0, 192, 108), (192, 0, 384, 108), (30, 20, 126, 74))
    one, other, near = (np.asarray(whole.crop(place).resize((96, 54), Image.Resampling.BOX)) for place in places)
    return one, other, near


def test_a_cut_between_two_views_of_one_room_is_found() -> None:
    one, other, near = views_of_one_room()
    pictures = noisy([view for view in (one, other, near, one) for _ in range(30)])
    assert [round(cut.time_s, 2) for cut in found(pictures)] == [1.2, 2.4, 3.6]


def test_of_one_view_where_little_changes_no_cut_is_told() -> None:
    """One camera and one room, and a person is elsewhere from one picture to the next: pictures may be missing there,
    or the person was quick."""
    view, *_ = views_of_one_room()
    here, there = view.copy(), view.copy()
    here[14:54, 16:30] = there[14:54, 60:74] = (40, 60, 120)
    assert found(noisy([here] * 30 + [there] * 30)) == []


def flash(pictures: list[Picture]) -> list[Picture]:
    return [np.full_like(each, 250) if number in (20, 21, 40) else each for number, each in enumerate(pictures)]


def light(pictures: list[Picture]) -> list[Picture]:
    return [(each * (0.4 if number >= 25 else 1)).astype(np.uint8) for number, each in enumerate(pictures)]


def flicker(pictures: list[Picture]) -> list[Picture]:
    return [(each * (0.75 + 0.25 * (number % 4 < 2))).astype(np.uint8) for number, each in enumerate(pictures)]


def fade(pictures: list[Picture]) -> list[Picture]:
    """From black and to black."""
    last = len(pictures) - 1
    return [(each * min(1.0, n / 12, (last - n) / 12)).astype(np.uint8) for n, each in enumerate(pictures)]


def inset(pictures: list[Picture]) -> list[Picture]:
    changed = [each.copy() for each in pictures]
    for number, each in enumerate(changed):
        each[5:30, 50:90] = scene(50 + number // 25)[5:30, 50:90]
    return changed


def swing(pictures: list[Picture]) -> list[Picture]:
    """A camera that jerks to the side, by ten pixels of 96 from one picture to the next."""
    wide = scene(7, width=288)
    places = [0] * 20 + [10 * step for step in range(1, 11)] + [100] * 30
    return [wide[:, place : place + 96] for place in places]


def lorry(pictures: list[Picture]) -> list[Picture]:
    """Two thirds of the picture are hidden for a while by what passes."""
    side = scene(8)[:50, :64]
    changed = [each.copy() for each in pictures]
    for number, each in enumerate(changed):
        left = -64 + 4 * (number - 5)
        shown = side[:, max(0, -left) : 96 - left]
        if 0 <= left < 96 or -64 < left < 0:
            each[2:52, max(0, left) : max(0, left) + shown.shape[1]] = shown[:, : 96 - max(0, left)]
    return changed


def slides(pictures: list[Picture]) -> list[Picture]:
    """White pages whose few words change."""
    changed = [np.full_like(each, 250) for each in pictures]
    for number, each in enumerate(changed):
        each[8:14, 10 : 50 + 10 * (number // 25)] = 30
    return changed


@pytest.mark.parametrize("change", [flash, light, flicker, fade, inset, swing, lorry, slides])
def test_what_is_no_cut(change: Callable[[list[Picture]], list[Picture]]) -> None:
    assert found(noisy(change([scene(1)] * 60))) == []


@pytest.mark.parametrize("length", [15, 25, 38])
def test_a_dissolve_is_a_cut_that_lasts(length: int) -> None:
    mixed = [(scene(1) * (1 - part) + scene(2) * part) for part in np.linspace(0, 1, length)]
    pictures = noisy([*[scene(1)] * 50, *[each.astype(np.uint8) for each in mixed], *[scene(2)] * 50])
    [cut] = found(pictures)
    middle = (50 + length / 2) / FPS
    assert (cut.before_s + cut.time_s) / 2 == pytest.approx(middle, abs=0.25)
    assert cut.time_s - cut.before_s > 0.4


def test_a_camera_that_pans_dissolves_nothing() -> None:
    wide = scene(7, width=480)
    assert found(noisy([wide[:, 2 * number : 2 * number + 96] for number in range(120)])) == []


def test_nothing_is_told_across_a_gap() -> None:
    pictures = [scene(1)] * 30 + [scene(2)] * 30
    times = [n / FPS for n in range(30)] + [60 + n / FPS for n in range(30)]
    assert found(pictures, times=times) == []


def test_hardly_any_pictures() -> None:
    assert found([]) == found([scene(1)]) == found([scene(1), scene(1)]) == []
    assert [cut.time_s for cut in found([scene(1), scene(2)])] == [0.04]
    assert found([np.zeros((1, 1, 3), np.uint8)] * 10) == []
