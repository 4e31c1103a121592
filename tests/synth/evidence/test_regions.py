"""Points that hang together, and the small things that regions are measured with."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2", reason='needs pip install "hardcut[vision]"')

from hardcut.synth.evidence.regions import _at, _in_patches, _joined, _quantiles


def plainly(count: int, edges: list[tuple[int, int]]) -> list[int]:
    """The same by joining one edge after the other."""
    sets = list(range(count))
    for one, other in edges:
        low, high = sorted((sets[one], sets[other]))
        sets = [low if each == high else each for each in sets]
    return [sorted(set(sets)).index(each) for each in sets]


@pytest.mark.parametrize("seed", range(5))
def test_sets_are_those_of_the_edges_in_order_of_their_first_points(seed: int) -> None:
    generator = np.random.default_rng(seed)
    count, many = int(generator.integers(1, 60)), int(generator.integers(0, 70))
    ones, others = (generator.integers(0, count, many).astype(np.int32) for _ in range(2))
    assert _joined(count, ones, others).tolist() == plainly(
        count, list(zip(ones.tolist(), others.tolist(), strict=True))
    )


def test_a_long_chain_is_one_set() -> None:
    steps = np.arange(999, dtype=np.int32)
    assert set(_joined(1000, steps, steps + 1).tolist()) == set(_joined(1000, steps[::-1] + 1, steps[::-1])) == {0}


def test_points_with_few_around_them_are_left_out() -> None:
    mask = np.zeros((6, 8), dtype=np.bool_)
    mask[1:3, 1:3] = mask[3, 3] = mask[5, 7] = True
    assert _in_patches(mask, 5).sum() == 5, "corners touch"
    assert not _in_patches(mask, 6).any()


def test_quantiles_are_numpys() -> None:
    values = np.random.default_rng(3).normal(size=17).astype(np.float32)
    assert _quantiles(values, 0.05, 0.75, 1.0) == pytest.approx(np.quantile(values, (0.05, 0.75, 1.0)), rel=1e-6)
    assert _quantiles(values[:1], 0.75) == [float(values[0])]


def test_what_lies_at_places_between_pixels() -> None:
    picture = np.arange(12, dtype=np.float32).reshape(3, 4)
    across, down = np.tile([0.0, 1.5, 9.0], 700), np.tile([0.0, 1.0, 2.0], 700)
    assert _at(picture[..., None].repeat(3, -1), across, down)[:, 0].tolist() == [0.0, 5.5, 11.0] * 700
