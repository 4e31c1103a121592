"""What is true of a rendered clip, read off how it is drawn: also of what `truth.jsonl` says nothing of.

A clause of the teacher `evidence` is looked for among what the clip has: words, speech, things with all their colours
and their size, the clouds and gulls of a backdrop, the camera, cuts, and the colours that fill a scene. Each is there,
is not there, or may be there where people could say either; then the truth cannot tell.

A colour is taken generously: everything is there that a part of the pixels could be called. So an exchange of two
colours holds only where hardly any pixel could be called the other one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from hardcut.data.backdrops import backdrop
from hardcut.data.draw import draw_frames
from hardcut.data.fonts import installed_fonts
from hardcut.data.model import Clip, Scene, Thing
from hardcut.data.sprites import thing_sprite
from hardcut.data.truth import tokens
from hardcut.schemas.text.words import COLOURS

Told = bool | None
"""True, false, or not to be told."""
Pixels = NDArray[np.uint8]

HAS, LACKS = 0.12, 0.04
"""A thing or a picture has a colour that at least such a share of it could be called, and lacks one of which less
could."""
_SMALL, _LARGE = (0.015, 0.03), (0.07, 0.11)
"""Parts of the picture: up to the first a thing is small, and from the second on it is not; below and above for
large."""
_TOUCHES = 0.02
"""What comes so near to an edge of the picture (parts of its side) may be said to enter or leave there."""
_SPECK = 0.0004
"""Parts of the picture that hardly anybody sees move."""
_CUT_S = 0.25
_LOOKS = 5

_QUOTED = re.compile(r'"([^"]*)"')
_SPOKEN = re.compile(r"\b(?:says?|said)\b")
_MOVES = re.compile(
    r"(?:an? )?(small |large )?(\w+)(?: and (\w+))? thing moves (?:from )?"
    r"(left to right|right to left|upwards|downwards|to and fro)(?: as it (enters|leaves))?$"
)
_CAMERA = re.compile(r"(?:the )?camera (\w+)")
_CUTS = re.compile(r"the picture cuts at ([\d.]+) s$")
_MOSTLY = re.compile(r"mostly (\w+)(?:, with (.+))?$")
_NOWHERE = re.compile(r"\b(?:horse|fire engine|snowman|piano|elephant)$")
"""What rules name where nothing has it; no world has it either."""
_WAYS = {"left to right": (0, 1), "right to left": (0, -1), "downwards": (1, 1), "upwards": (1, -1)}


@dataclass(frozen=True, slots=True)
class Shown:
    """Something that fits a clause, in the frames `first` up to and without `end`. `sure`: nobody would say otherwise.
    `placed`: it begins at `first`, rather than at some time in between."""

    first: int
    end: int
    sure: bool = True
    placed: bool = True


def both(*told: Told) -> Told:
    """Whether all hold."""
    return False if False in told else None if None in told else True


def is_there(found: Sequence[Shown]) -> Told:
    """Whether it is there at all."""
    return True if any(each.sure for each in found) else None if found else False


def follow(first: Sequence[Shown], second: Sequence[Shown]) -> Told:
    """Whether one begins before one of the others."""
    pairs = [(a, b) for a, b in product(first, second) if not (a.placed and b.placed) or a.first < b.first]
    return _of_pairs([a.sure and a.placed and b.sure and b.placed for a, b in pairs])


def meet(one: Sequence[Shown], other: Sequence[Shown]) -> Told:
    """Whether one is there at the time of one of the others."""
    return _of_pairs([a.sure and b.sure for a, b in product(one, other) if a.first < b.end and b.first < a.end])


def _of_pairs(sure: Sequence[bool]) -> Told:
    return True if any(sure) else None if sure else False


def shown(clip: Clip, clause: str) -> tuple[Shown, ...] | None:
    """All that fits a clause, each at its time; None where the clause cannot be read."""
    quoted, plain = _QUOTED.search(clause), clause.strip().lower()
    if quoted is not None:
        speech = _SPOKEN.search(_QUOTED.sub("", clause))
        return _said(clip, quoted[1]) if speech else _written(clip, quoted[1])
    if moves := _MOVES.search(plain):
        colours = [each for each in moves.group(2, 3) if each]
        return tuple(_moving(clip, moves, colours)) if set(colours) <= COLOURS else None
    if camera := _CAMERA.search(plain):
        whole = Shown(0, clip.frames, placed=False)
        return (whole,) if camera[1] == "stands" else ()
    if cuts := _CUTS.search(plain):
        at = float(cuts[1])
        edges = [scene.frames.first for scene in clip.scenes[1:]]
        return tuple(Shown(edge - 1, edge) for edge in edges if abs(edge / clip.form.rate - at) <= _CUT_S)
    if mostly := _MOSTLY.search(plain):
        named = [mostly[1], *((mostly[2] or "").split(" and ") if mostly[2] else ())]
        return tuple(_filled(clip, named)) if set(named) <= COLOURS else None
    return () if _NOWHERE.search(plain) else None


def _said(clip: Clip, text: str) -> tuple[Shown, ...]:
    return tuple(Shown(each.spoken.first, each.spoken.end) for each in clip.speech if _has(each.text, text))


def _written(clip: Clip, text: str) -> tuple[Shown, ...]:
    """Also fine print: too small or too pale to be asked for, but there."""
    return tuple(Shown(each.shown.first, each.shown.end) for each in clip.words if _has(each.text, text))


def _has(text: str, wanted: str) -> bool:
    return f" {' '.join(tokens(wanted))} " in f" {' '.join(tokens(text))} "


def _moving(clip: Clip, asked: re.Match[str], colours: Sequence[str]) -> Iterator[Shown]:
    """Things and parts of the backdrop that move as a clause says."""
    size, way, edge = asked[1], asked[4], asked[5]
    for thing in clip.things:
        if thing.direction != way:
            continue
        shares = _colours_of_thing(thing.shape, thing.colour, max(8, round(thing.size * clip.form.height)))
        fits = both(
            *(_in_share(shares[each]) for each in colours),
            _is_of_size(size, _area(clip, thing)),
            _at(clip, thing, edge),
        )
        if fits is not False:
            yield Shown(thing.moving.first, thing.moving.end, fits is True)
    for scene in clip.scenes:
        for drift in _drift(scene, clip.form.width, clip.form.height, clip.form.rate, clip.backwards):
            fits = both(
                drift.way == way,
                *(drift.has(each) for each in colours),
                _is_of_size(size, drift.area),
                drift.edges[edge] if edge else True,
                True if drift.area >= _SPECK else None,
            )
            if fits is not False:
                yield Shown(scene.frames.first, scene.frames.end, fits is True, drift.from_the_start)


def _in_share(share: float) -> Told:
    return True if share >= HAS else False if share < LACKS else None


def _is_of_size(asked: str | None, area: float) -> Told:
    """Whether what fills such a part of the picture is `small ` or `large `; what is asked for without a size fits."""
    if asked is None:
        return True
    surely, surely_not = _SMALL if asked == "small " else _LARGE[::-1]
    inside, outside = (
        (area <= surely, area >= surely_not) if asked == "small " else (area >= surely, area <= surely_not)
    )
    return True if inside else False if outside else None


def _area(clip: Clip, thing: Thing) -> float:
    """The part of the picture that it fills where it is seen whole."""
    sprite = thing_sprite(thing.shape, thing.colour, round(thing.size * clip.form.height))
    return float((np.asarray(sprite)[..., 3] > 127).sum()) / (clip.form.width * clip.form.height)


def _at(clip: Clip, thing: Thing, edge: str | None) -> Told:
    """Whether it comes from outside the picture, or goes out of it: whether a part of it is beyond the edge."""
    if edge is None:
        return True
    axis, sign = _WAYS[thing.direction]
    sprite = thing_sprite(thing.shape, thing.colour, round(thing.size * clip.form.height))
    half = sprite.size[axis] / (clip.form.width, clip.form.height)[axis] / 2
    place = (thing.start if edge == "enters" else thing.end)[axis]
    ahead = sign if edge == "leaves" else -sign
    beyond = place + half - 1 if ahead > 0 else half - place
    return True if beyond > 0 else False if beyond < -_TOUCHES else None


@cache
def _colours_of_thing(shape: str, colour: str, height: int) -> dict[str, float]:
    sprite = np.asarray(thing_sprite(shape, colour, height))  # type: ignore[arg-type]
    return could_be_called(sprite[sprite[..., 3] > 127][:, :3])


@dataclass(frozen=True, slots=True)
class _Drift:
    """A cloud, or what moves like one. `edges`: whether it is at the edge that it comes from (`enters`) or goes to
    (`leaves`) at some time. `from_the_start`: something moves so from the first frame on; what enters later does
    not. `colours` are those of all of it, and `core` those of what covers the backdrop, without a soft rim."""

    way: str
    area: float
    colours: dict[str, float]
    core: dict[str, float]
    edges: dict[str, Told]
    from_the_start: bool

    def has(self, colour: str) -> Told:
        """Whether it has a colour; a rim that takes that of the sky may have it or not."""
        whole, core = _in_share(self.colours[colour]), _in_share(self.core[colour])
        return whole if whole is core else None


@cache
def _drift(scene: Scene, width: int, height: int, rate: int, backwards: bool) -> tuple[_Drift, ...]:
    """What drifts across a backdrop, each as seen at one of some times: clouds and gulls, to the right, and steam,
    upwards; the other way round in pictures that are played in reverse. `life` is drawn and told from the still
    picture."""
    if scene.backdrop not in ("meadow", "shore", "room", "kitchen"):
        return ()
    still, life = backdrop(scene.backdrop, scene.seed, width, height)
    base = np.asarray(still)
    rises = scene.backdrop == "kitchen"
    ways = ("upwards", "downwards") if rises else ("left to right", "right to left")
    found: list[_Drift] = []
    for frame in np.linspace(scene.frames.first, scene.frames.end - 1, _LOOKS):
        canvas = still.copy()
        life(canvas, float(frame) / rate)
        drawn = np.asarray(canvas)
        change = np.abs(drawn.astype(int) - base).max(axis=2)
        changed = (change > 8).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(changed)
        for number, (left, top, wide, _, area) in enumerate(stats[1:], 1):
            part = area / (width * height)
            if part < _SPECK / 4 or wide > 0.5 * width or (scene.backdrop == "shore" and top > 0.5 * height):
                continue
            before, after = (_near(left, width), _near(width - left - wide, width)) if not rises else (False, False)
            enters, leaves = (after, before) if backwards else (before, after)
            inside = labels == number
            core = inside & (change > 0.8 * change[inside].max())
            colours = could_be_called(drawn[inside]), could_be_called(drawn[core])
            at_first = [each for each in found if each.from_the_start]
            known = frame == scene.frames.first or any(each.edges["enters"] or not enters for each in at_first)
            found.append(_Drift(ways[backwards], part, *colours, {"enters": enters, "leaves": leaves}, known))
    return tuple(found)


def _near(pixels: int, side: int) -> Told:
    """Whether so many pixels from an edge of the picture are at the edge."""
    return True if pixels <= 1 else False if pixels > _TOUCHES * side else None


def _filled(clip: Clip, named: Sequence[str]) -> Iterator[Shown]:
    """The scenes that have all these colours."""
    for scene, shares in zip(clip.scenes, _scene_shares(clip), strict=True):
        fits = both(*(_in_share(shares[each]) for each in named))
        if fits is not False:
            yield Shown(scene.frames.first, scene.frames.end, fits is True)


@cache
def _scene_shares(clip: Clip) -> tuple[dict[str, float], ...]:
    """For each scene the share of its pictures that could be called by each name."""
    fonts = installed_fonts()
    found = []
    for scene in clip.scenes:
        indices = tuple(int(each) for each in np.linspace(scene.frames.first, scene.frames.end - 1, _LOOKS))
        pictures = np.stack([frame[::4, ::4] for frame in draw_frames(clip, fonts, indices)])
        found.append(could_be_called(pictures.reshape(-1, 3)))
    return tuple(found)


def could_be_called(pixels: Pixels) -> dict[str, float]:
    """The share of some pixels (n x 3, red first) that could be called by each of `COLOURS`: a pixel has often two or
    three such names. By hue (degrees), value and chroma (greatest minus least), 0..1."""
    rgb = pixels.reshape(-1, 3).astype(np.float32) / 255
    value, chroma = rgb.max(axis=1), np.ptp(rgb, axis=1)
    hue = cv2.cvtColor(rgb[None], cv2.COLOR_RGB2HSV)[0, :, 0]
    hued, pale = chroma >= 0.05 + 0.08 * (value > 0.85), chroma / np.maximum(value, 1e-6) < 0.7
    warm = (hue <= 50) | (hue >= 340)
    masks = {
        "black": value < 0.35,
        "grey": (chroma < 0.2) & (value > 0.12) & (value < 0.96),
        "white": (chroma < 0.17) & (value > 0.78),
        "brown": hued & warm & (value < 0.75),
        "red": hued & ((hue <= 22) | (hue >= 340)) & ~(pale & (value > 0.8)),
        "pink": hued & ((hue <= 25) | (hue >= 290)) & pale & (value > 0.45),
        "orange": hued & (hue >= 8) & (hue <= 42) & (value > 0.4),
        "yellow": hued & (hue >= 36) & (hue <= 75) & (value > 0.5),
        "green": hued & (hue >= 65) & (hue <= 180),
        "turquoise": hued & (hue >= 150) & (hue <= 218),
        "blue": hued & (hue >= 180) & (hue <= 268),
        "purple": hued & (hue >= 240) & (hue <= 335),
    }
    return {name: float(mask.mean()) if len(rgb) else 0.0 for name, mask in masks.items()}
