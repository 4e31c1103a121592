"""A look at the videos alone: what is planted in pictures or files is found, and nothing is found where nothing is."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from hardcut.media.look import look
from hardcut.report.statistics.looks import FEWEST, Comparison, Features, Looked, audit_looks

Pictures = Any
Plant = Callable[["Clip"], "Clip"]


@dataclass(frozen=True)
class Clip:
    """A clip as its signature and its file show it."""

    pictures: Pictures
    seconds: float
    codec: str

    @property
    def features(self) -> Features:
        return {**look(self.pictures), "duration": self.seconds, "codec": self.codec}


@dataclass(frozen=True)
class Scene:
    """Something that moves over a backdrop, in its own light."""

    pictures: Pictures
    noise: float
    seconds: float
    codec: str

    def filmed(self, rng: np.random.Generator) -> Clip:
        """With the noise of a camera, of its own each time."""
        pictures = self.pictures + rng.normal(0, self.noise, self.pictures.shape)
        return Clip(np.clip(pictures, 0, 255).astype(np.uint8), self.seconds + float(rng.normal(0, 0.05)), self.codec)


def made(rng: np.random.Generator) -> Scene:
    count = int(rng.integers(6, 16))
    light, tint = rng.uniform(40, 200), rng.uniform(-30, 30, 3)
    slope = np.linspace(-1, 1, 48) * rng.uniform(0, 40)
    pictures = np.empty((count, 48, 48, 3))
    x, y, dx, dy = (*rng.uniform(4, 36, 2), *rng.uniform(-2, 2, 2))
    colour, side = rng.uniform(0, 255, 3), int(rng.integers(4, 14))
    for at in range(count):
        pictures[at] = light + tint + slope[:, None, None]
        top, left = int(np.clip(y + dy * at, 0, 47)), int(np.clip(x + dx * at, 0, 47))
        pictures[at, top : top + side, left : left + side] = colour
    return Scene(pictures, rng.uniform(1, 6), float(rng.uniform(4, 60)), str(rng.choice(["h264", "vp9", "av1"])))


def unchanged(clip: Clip) -> Clip:
    return clip


def grey_picture(clip: Clip) -> Clip:
    pictures = clip.pictures.copy()
    pictures[len(pictures) // 2] = 128
    return replace(clip, pictures=pictures)


def shorter(clip: Clip) -> Clip:
    return replace(clip, seconds=0.4 * clip.seconds, pictures=clip.pictures[: int(0.6 * len(clip.pictures))])


def another_codec(clip: Clip) -> Clip:
    return replace(clip, codec="mpeg4")


def brighter(clip: Clip) -> Clip:
    return replace(clip, pictures=np.clip(clip.pictures.astype(int) + 60, 0, 255).astype(np.uint8))


def blurred(clip: Clip) -> Clip:
    wide = clip.pictures.astype(float)
    return replace(clip, pictures=((wide + np.roll(wide, 1, 1) + np.roll(wide, 1, 2)) / 3).astype(np.uint8))


PLANTS: tuple[Plant, ...] = (grey_picture, shorter, another_codec, brighter, blurred)


def twins(seed: int, plant: Plant = unchanged, share: float = 1.0) -> Looked:
    """80 videos, each with a twin of the same scene that does not answer its two queries. Something is planted in a
    `share` of the twins."""
    rng, dice = np.random.default_rng(seed), random.Random(seed)
    clips: dict[str, Clip] = {}
    for at in range(80):
        scene = made(rng)
        other = scene.filmed(rng)
        clips[f"v{at}"], clips[f"v{at}b"] = scene.filmed(rng), plant(other) if dice.random() < share else other
    comparisons = [Comparison(f"v{at}", f"v{at}b") for at in range(80) for _ in range(2)]
    return told(comparisons, clips)


def strangers(seed: int, plant: Plant = unchanged, share: float = 1.0) -> Looked:
    """80 videos that each answer two queries, met by four of 80 videos that answer nothing. Something is planted in a
    `share` of these."""
    rng, dice = np.random.default_rng(seed), random.Random(seed)
    clips = {f"v{at}": made(rng).filmed(rng) for at in range(80)}
    others = {f"w{at}": made(rng).filmed(rng) for at in range(80)}
    clips |= {name: plant(clip) if dice.random() < share else clip for name, clip in others.items()}
    comparisons = [
        Comparison(f"v{at}", other) for at in range(80) for _ in range(2) for other in dice.sample(list(others), 4)
    ]
    return told(comparisons, clips)


def told(comparisons: Sequence[Comparison], clips: Mapping[str, Clip]) -> Looked:
    features = {name: clip.features for name, clip in clips.items()}
    found = audit_looks(comparisons, features, {name: name.rstrip("b") for name in clips})
    assert found is not None
    return found


@pytest.mark.parametrize("plant", PLANTS)
def test_every_planted_shortcut_is_found(plant: Plant) -> None:
    """20 of 20: five plants, in all or in 7 of 10 of the twins, and of the videos that answer nothing."""
    for number, world in enumerate((twins, twins, strangers, strangers)):
        found = world(number, plant, (1.0, 0.7)[number % 2])
        print(f"{plant.__name__} {world.__name__}: {found.rate:.3f}, chance reaches {0.5 + found.reach:.3f}")
        assert not found.by_chance, f"{found.rate:.3f} within {0.5 + found.reach:.3f}"


@pytest.mark.parametrize("world", [twins, strangers])
def test_nothing_is_found_where_nothing_is(world: Callable[[int], Looked]) -> None:
    """20 of 20 sets whose labels follow nothing that can be seen."""
    for seed in range(10):
        found = world(100 + seed)
        print(f"{found.rate:.3f}, chance reaches {0.5 + found.reach:.3f}")
        assert found.by_chance, f"{found.rate:.3f} beyond {0.5 + found.reach:.3f}: {found.leaning[:3]}"


def test_the_features_that_give_it_away_are_named() -> None:
    assert "duration" in dict(twins(5, shorter).leaning[:3])
    assert "codec mpeg4" in dict(strangers(5, another_codec).leaning[:3])


def test_too_little_says_nothing() -> None:
    few = [Comparison("a", "b")] * FEWEST
    features = {"a": {"duration": 1.0}, "b": {"duration": 2.0}}
    assert audit_looks(few, features, {"a": "a", "b": "b"}) is None
