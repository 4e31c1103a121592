"""Whether two videos are one recording, and what was changed between them: two fingerprints laid over one another.

They are copies where the shorter lies in the longer as a whole and, at every moment, shows the same picture: as a whole
and in colour (averaged over seconds, so that fast motion between two frames evens out), and in every detail (a lasting
difference somewhere in the picture counts, a passing one does not). A clip and its reverse, or two clips of one
template, differ in one or the other.

What may be changed is undone before: bars are cut away, pictures are mirrored, the crop that fits best is looked for,
and a video that is shorter as a whole may run faster. A logo or burnt-in subtitles are left aside where everything else
moves alike: no two takes of one scene do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hardcut.media.altered import LEAST_BAR, SIDE, WHOLE, Levels, Window, mirrored, picture_in_bars, through
from hardcut.media.duplicates import Fingerprint
from hardcut.media.overlaid import overlay
from hardcut.schemas.copies import Change

_SLACK_S = 0.3
"""How far the shorter video may stick out of the longer, in seconds."""
_STEP_S = 0.0625
_MOST_OFFSETS = 4096
_WHOLE_S = 2.0
_WHOLE_LEVELS = 12.7
"""Levels of 255 by which an eighth by an eighth of the picture may differ, averaged over two seconds."""
_BACKWARDS = 0.85
"""A video that fits this much better when the other runs in reverse is its twin and no copy."""
_DETAIL_CELLS = 2
_DETAIL_LEVELS = 22.0
"""Levels by which the two worst cells of 48 x 48 may differ. Chosen on one rendered world, checked on another."""
_RATES = (1.04, 2.1)
"""By how much a video as a whole may run faster than its copy."""
_FASTER = 0.85
"""A faster copy must fit this much better than one at the same speed does."""
_FASTER_WHOLE, _FASTER_DETAIL = 29.0, 9.5
"""Of a faster copy the shares of these limits may not add up to more than 1. Its frames lie at other moments, so fast
motion differs more as a whole; its details must be the better."""
_NEAR = 4
"""Places in time that are looked at closely."""
_CROPPED = 0.62
"""Part of a picture that a crop leaves at least."""
_SIDES = ((0.0, 1.0), (0.05, 0.95), (0.1, 0.9), (0.0, 0.9), (0.1, 1.0))
_HOPELESS, _UNLIKE = 25.0, 22.0
"""Levels, in the mean over a video, from which on nothing closer is looked at: of eighths of the whole picture, and of
cells through the window that fits best."""
_UNCROPPED, _UNBARRED = 0.97, 0.92
"""From this part on it is no crop: where bars were cut away, up to a cell of the picture went with each."""
_EDGE = np.ones((SIDE, SIDE), dtype=np.bool_)
_EDGE[1:-1, 1:-1] = False
"""What is cut away shines into the cells at the edge."""
_FITTED = 0.8
"""Of the limit for the whole picture."""
_BLUR = 0.8
"""Cells: a Gaussian over fitted films."""
_ALIKE = 0.8
"""Of the cells, those that differ least say how bright and how full of contrast a copy is."""
_MOVING = 5.0
"""Levels by which an eighth by an eighth of the picture that moves changes from one frame to the next."""
_TOGETHER = 0.85
"""Correlation of these changes in two copies."""


@dataclass(frozen=True, slots=True)
class _Place:
    """The longer film's time is `rate` times the shorter's, plus `offset`."""

    offset: float
    rate: float = 1.0


def same_recording(one: Fingerprint, other: Fingerprint) -> frozenset[Change] | None:
    """What was changed between two videos of one recording (nothing, where one was encoded again, scaled or trimmed);
    None where they are two recordings. `mirrored` is tried last: what is the same both ways is not mirrored."""
    first, second = _cut_out(one), _cut_out(other)
    bars = _bars(first.window, second.window)
    for turned in (False, True):
        there = second.film.mirrored() if turned else second.film
        short, long = sorted((first.film, there), key=lambda film: film.length_s)
        found = _changes(short, long, unbarred=bool(bars))
        if found is not None:
            return found | bars | ({"mirrored"} if turned else set())
    return None


@dataclass(frozen=True, slots=True)
class _CutOut:
    film: _Film
    window: Window


def _cut_out(given: Fingerprint) -> _CutOut:
    tiles = given.thumbnails.astype(np.float32)
    window = picture_in_bars(tiles)
    return _CutOut(_Film(np.array(given.times), through(tiles, window)), window)


def _bars(one: Window, other: Window) -> frozenset[Change]:
    found: set[Change] = set()
    if abs(one.top - other.top) + abs(one.bottom - other.bottom) > LEAST_BAR:
        found.add("letterbox")
    if abs(one.left - other.left) + abs(one.right - other.right) > LEAST_BAR:
        found.add("pillarbox")
    return frozenset(found)


def _changes(short: _Film, long: _Film, *, unbarred: bool) -> frozenset[Change] | None:
    """What was changed besides bars and the sides of the picture. `unbarred`: bars were cut away, not to the pixel."""
    for places in _placings(short, long):
        speed: frozenset[Change] = frozenset({"speed"} if places[0].rate != 1 else ())
        if any(_same(short, long, place) for place in places):
            return speed
        added = _overlaid(short, long, places[0])
        if added is not None:
            return speed | {added}
        for each in _registered(short, long, places):
            cropped = each.window.area < (_UNBARRED if unbarred else _UNCROPPED)
            if not (cropped or unbarred):
                continue
            crop: frozenset[Change] = frozenset({"crop"} if cropped else ())
            if _same(each.short, each.long, each.place, fitted=True):
                return speed | crop
            added = _overlaid(each.short, each.long, each.place, fitted=True)
            if added is not None:
                return speed | crop | {added}
    return None


def _placings(short: _Film, long: _Film) -> list[list[_Place]]:
    """Where in time the shorter film fits, the likeliest first, at its own speed and as a faster copy of the whole; the
    better of the two first. None where it fits better in reverse."""
    start, end = long.times[0] - short.times[0], long.times[-1] - short.times[-1]
    step = max(_STEP_S, (end - start) / _MOST_OFFSETS)
    plain = [_Place(float(offset)) for offset in np.arange(start - _SLACK_S, end + _SLACK_S + 1e-9, step)]
    faster = list(_faster(short, long))
    found = []
    for places, handicap in ((plain, 1.0), (faster, _FASTER)):
        backwards = long.reversed()
        forth = [short.mean_apart(long, place) for place in places]
        if not places or min(short.mean_apart(backwards, place) for place in places) < _BACKWARDS * min(forth):
            continue
        if min(forth) > _HOPELESS:
            continue
        likely = places[int(np.argmin(forth))]
        near = [place for place in places if place.rate == likely.rate]
        apart = sorted((short.whole_apart(long, place), number) for number, place in enumerate(near))
        best = [near[number] for _, number in apart[:_NEAR]]
        found.append((min(forth) / handicap, [likely, *(place for place in best if place != likely)]))
    return [places for _, places in sorted(found, key=lambda each: each[0])]


def _faster(short: _Film, long: _Film) -> Iterator[_Place]:
    """The shorter film as a faster copy of the whole longer one. Ends are known as well as frames lie apart."""
    if not short.length_s or long.length_s - short.length_s <= _STEP_S:
        return
    apart = float(np.median(np.diff(short.times)))
    for late in np.arange(-apart, apart + 1e-9, _STEP_S):
        rate = (long.length_s + late) / short.length_s
        if _RATES[0] <= rate <= _RATES[1]:
            for offset in np.arange(-_SLACK_S, _SLACK_S + 1e-9, _STEP_S):
                yield _Place(float(long.times[0] - rate * short.times[0] + offset), float(rate))


def _same(short: _Film, long: _Film, place: _Place, *, fitted: bool = False) -> bool:
    """Whether the pictures are the same. Films that were `fitted` to each other are softer, so two clips of one studio
    differ less: they must agree better, and move alike."""
    whole, details = short.whole_apart(long, place), short.worst_details(long, place)
    if place.rate != 1 and whole / _FASTER_WHOLE + details / _FASTER_DETAIL > 1:
        return False
    if place.rate == 1 and (whole > _WHOLE_LEVELS * (_FITTED if fitted else 1) or details > _DETAIL_LEVELS):
        return False
    return not (fitted and short.moves) or short.moves_like(long, place)


def _overlaid(short: _Film, long: _Film, place: _Place, *, fitted: bool = False) -> Change | None:
    """What lies over one of two films that are the same otherwise, and in which something moves."""
    found = overlay(short.luma, long.at(short, place, long.luma), short.details(long, place))
    if found is None:
        return None
    one, other = short.without(found.cells), long.without(found.cells)
    if not one.moves or not one.moves_like(other, place):
        return None
    return found.change if any(_same(one, other, each, fitted=fitted) for each in _around(place)) else None


def _around(place: _Place) -> list[_Place]:
    return [_Place(place.offset + steps * _STEP_S, place.rate) for steps in range(-5, 6)]


class _Registered(NamedTuple):
    """Two films, one of them seen through a window."""

    short: _Film
    long: _Film
    place: _Place
    window: Window


def _registered(short: _Film, long: _Film, places: list[_Place]) -> Iterator[_Registered]:
    """The films with one of them seen through the window that fits best, where that is not the whole picture."""
    place = places[0]
    windows = [Window(left, top, right, bottom) for (left, right), (top, bottom) in product(_SIDES, _SIDES)]
    fits = sorted(
        min((short.apart(long, place, window, near), number, near) for number, window in enumerate(windows))
        for near in (True, False)
    )
    for apart, number, near in fits:
        if apart > _UNLIKE:
            return
        window = _refined(short, long, place, windows[number], near)
        if window == WHOLE or window.area < _CROPPED:
            continue
        one, other = (short.seen(window), long) if near else (short, long.seen(window))
        one, other = (each.blurred().without(_EDGE) for each in (one, other))
        near_by = [(one.mean_apart(other, each), number) for number, each in enumerate(_around(place))]
        yield _Registered(one, other, _around(place)[min(near_by)[1]], window)


def _refined(short: _Film, long: _Film, place: _Place, window: Window, near: bool) -> Window:
    """The window whose edges fit best, a sixteenth of a cell exact."""
    best = short.apart(long, place, window, near)
    for cells in (2.0, 1.0, 0.5, 0.25, 0.125, 0.0625):
        better = True
        while better:
            better = False
            for side, way in product(range(4), (-1, 1)):
                edges = list(window)
                edges[side] = min(max(edges[side] + way * cells / SIDE, 0.0), 1.0)
                moved = Window(*edges)
                if moved == window or moved.area < _CROPPED / 2:
                    continue
                apart = short.apart(long, place, moved, near)
                if apart < best - 1e-3:
                    best, window, better = apart, moved, True
    return window


def _toned(given: NDArray[np.float32], wanted: NDArray[np.float32]) -> Callable[[NDArray[np.float32]], Any]:
    """The brightness and contrast that bring `given` closest to `wanted`, within what an encoder can have changed."""
    mean, wanted_mean = given.mean(), wanted.mean()
    gain = float(((given - mean) * (wanted - wanted_mean)).mean() / max(float(given.var()), 1.0))
    gain = min(max(gain, 0.8), 1.25)
    bias = min(max(float(wanted_mean - gain * mean), -40.0), 40.0)
    return lambda levels: levels * gain + bias


class _Film:
    """Thumbnails made ready for comparison: whole pictures, and the bounds of each detail around each moment."""

    def __init__(self, times: NDArray[np.float64], tiles: Levels) -> None:
        self.times, self.tiles = times, tiles
        self.length_s = float(times[-1] - times[0])

    @cached_property
    def whole(self) -> Levels:
        """Eighths by eighths, shape (frames, 192)."""
        part = SIDE // 8
        eighths = self.tiles.reshape(-1, 8, part, 8, part, 3).mean(axis=(2, 4))
        return np.asarray(eighths.reshape(len(self.tiles), -1), dtype=np.float32)

    @cached_property
    def luma(self) -> Levels:
        return self.tiles @ np.array([0.299, 0.587, 0.114], dtype=np.float32)

    @cached_property
    def bounds(self) -> tuple[Levels, Levels, Levels, Levels]:
        """The least and the greatest level of each cell before and after, and with its neighbours: a copy of another
        size is not cut into the same cells."""
        from scipy.ndimage import maximum_filter, minimum_filter

        low, high = minimum_filter(self.luma, (3, 1, 1)), maximum_filter(self.luma, (3, 1, 1))
        lower, higher = minimum_filter(low, (1, 3, 3)), maximum_filter(high, (1, 3, 3))
        low, high, lower, higher = (each.reshape(len(self.tiles), -1) for each in (low, high, lower, higher))
        return low, high, lower, higher

    def reversed(self) -> _Film:
        """The film in reverse, over the same stretch of time."""
        return _Film((self.times[0] + self.times[-1]) - self.times[::-1], self.tiles[::-1])

    def mirrored(self) -> _Film:
        return _Film(self.times, mirrored(self.tiles))

    def seen(self, window: Window) -> _Film:
        return _Film(self.times, through(self.tiles, window))

    def blurred(self) -> _Film:
        """Softer: a thumbnail of a part of a thumbnail is not as sharp as that of the picture."""
        from scipy.ndimage import gaussian_filter1d

        tiles = gaussian_filter1d(gaussian_filter1d(self.tiles, _BLUR, axis=1), _BLUR, axis=2)
        return _Film(self.times, tiles)

    def without(self, cells: NDArray[np.bool_]) -> _Film:
        """The film with some cells (48 x 48) of one grey all the time."""
        tiles = self.tiles.copy()
        tiles[:, cells] = 128.0
        return _Film(self.times, tiles)

    def mean_apart(self, other: _Film, place: _Place) -> float:
        """The mean difference of eighths by eighths."""
        return float(np.abs(self._differences(other, place)).mean())

    def whole_apart(self, other: _Film, place: _Place) -> float:
        """The largest difference of an eighth by an eighth, averaged over time."""
        differences = self._differences(other, place)
        step = self.length_s / max(1, len(self.times) - 1)
        count = min(len(self.times), max(1, round(_WHOLE_S / step))) if step else 1
        sums = np.cumsum(np.vstack([np.zeros_like(differences[:1]), differences]), axis=0)
        return float(np.abs(sums[count:] - sums[:-count]).max() / count)

    def apart(self, other: _Film, place: _Place, window: Window, near: bool) -> float:
        """The mean difference of cells where one film (this one, if `near`) is seen through a window."""
        there = other.at(self, place, other.luma)
        here = self.luma
        if near:
            here = through(here[..., None], window)[..., 0]
        else:
            there = through(there[..., None], window)[..., 0]
        return float(np.abs(here - _toned(there, here)(there)).mean())

    @cached_property
    def moves(self) -> bool:
        """Whether much changes in a quarter of the frames."""
        steps = np.abs(np.diff(self.whole, axis=0))
        return bool(len(steps) and np.quantile(steps.max(axis=1), 0.75) >= _MOVING)

    def moves_like(self, other: _Film, place: _Place) -> bool:
        """Whether eighths by eighths change alike from frame to frame."""
        here = np.diff(self.whole, axis=0)
        there = np.diff(other.at(self, place, other.whole), axis=0)
        return bool((here * there).sum() >= _TOGETHER * np.sqrt((here**2).sum() * (there**2).sum()))

    def worst_details(self, other: _Film, place: _Place) -> float:
        """The largest difference of single cells that lasts for two frames and that no neighbour explains."""
        lasting = self.details(other, place).reshape(-1, SIDE * SIDE)
        return float(np.partition(lasting, -_DETAIL_CELLS, axis=1)[:, -_DETAIL_CELLS:].mean(axis=1).max())

    def details(self, other: _Film, place: _Place) -> Levels:
        """By how much each cell differs for two frames, shape (frames - 1 or 1, 48, 48)."""
        before, after, share = self._meets(other, place)
        near = np.where(share > 0.5, after, before)
        my_low, my_high, my_lower, my_higher = self.bounds
        given, wanted = other.bounds[0][near], my_low
        apart = np.abs(_toned(given, wanted)(given) - wanted)
        alike = apart <= np.quantile(apart, _ALIKE)  # what lies over one of them says nothing of the tone
        toned = _toned(given[alike], wanted[alike])
        low, high, lower, higher = (toned(bound[near]) for bound in other.bounds)
        gaps = np.maximum.reduce(
            [my_low - higher, lower - my_high, low - my_higher, my_lower - high, np.zeros_like(my_low)]
        )
        lasting = np.minimum(gaps[:-1], gaps[1:]) if len(gaps) > 1 else gaps
        return np.asarray(lasting.reshape(-1, SIDE, SIDE), dtype=np.float32)

    def at(self, clock: _Film, place: _Place, values: Levels) -> Levels:
        """Values of this film (one for each frame) at the moments of `clock`, between two frames of both."""
        before, after, share = clock._meets(self, place)
        weight = share.astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
        return np.asarray(values[before] * (1 - weight) + values[after] * weight)

    def _differences(self, other: _Film, place: _Place) -> NDArray[np.float32]:
        met: NDArray[np.float32] = other.at(self, place, other.whole)
        for channel in range(3):  # an encoder may have taken the colours for others (range, matrix)
            met[:, channel::3] = _toned(met[:, channel::3], self.whole[:, channel::3])(met[:, channel::3])
        differences: NDArray[np.float32] = self.whole - met
        return differences

    def _meets(self, other: _Film, place: _Place) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
        """The other's frames before and after each of ours, and how far between the two ours is (0..1)."""
        times = place.rate * self.times + place.offset
        after = np.clip(np.searchsorted(other.times, times), 0, len(other.times) - 1)
        before = np.maximum(after - 1, 0)
        between = np.maximum(other.times[after] - other.times[before], 1e-9)
        return before, after, np.clip((times - other.times[before]) / between, 0, 1)
