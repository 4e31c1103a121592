from __future__ import annotations

import pytest
from PIL import Image, ImageDraw

from hardcut.synth.evidence.shots import find_cuts, shot_evidence

pytest.importorskip("scenedetect", reason='needs pip install "hardcut[vision]"')


def scene(colour: tuple[int, int, int], at: int, size: int = 60) -> Image.Image:
    image = Image.new("RGB", (320, 180), colour)
    ImageDraw.Draw(image).rectangle((at, 0, at + size, 180), fill=(230, 220, 40))
    return image


def test_cuts_divide_shots(store_frames, make_video) -> None:
    colours = [(20, 40, 90)] * 6 + [(180, 190, 200)] * 5 + [(90, 20, 20)] * 5
    frames = store_frames([scene(colour, 5 * i) for i, colour in enumerate(colours)], 4)
    cuts = find_cuts([frame.path for frame in frames], 16.0)
    assert cuts == [6, 11]
    shots = shot_evidence(make_video(duration_s=4), frames, cuts)
    assert [(s.text, s.span.start, s.span.end) for s in shots] == [
        ("shot 1 of 3", 0, 1.375),
        ("shot 2 of 3", 1.375, 2.625),
        ("shot 3 of 3", 2.625, 4),
    ]


def test_a_cut_at_either_end_is_seen(store_frames) -> None:
    colours = [(20, 40, 90)] + [(180, 190, 200)] * 6 + [(90, 20, 20)]
    frames = store_frames([scene(colour, 100) for colour in colours], 4)
    assert find_cuts([frame.path for frame in frames], 16.0) == [1, 7]


def test_a_large_thing_that_moves_is_no_cut(store_frames, make_video) -> None:
    frames = store_frames([scene((20, 40, 90), 40 * i - 200, size=200) for i in range(14)], 4)
    cuts = find_cuts([frame.path for frame in frames], 16.0)
    assert cuts == []
    [shot] = shot_evidence(make_video(duration_s=3.5), frames, cuts)
    assert (shot.text, shot.span.start, shot.span.end) == ("shot 1 of 1", 0, 3.5)


def test_no_frames_no_shots(make_video) -> None:
    assert find_cuts([], 16.0) == []
    assert shot_evidence(make_video(), [], []) == []
