"""Draws the frames of a clip, one at a time, out of its description."""

from __future__ import annotations

from collections.abc import Iterator
from math import pi, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hardcut.data.backdrops import backdrop
from hardcut.data.fonts import Fonts
from hardcut.data.model import Clip, Thing, mirrored
from hardcut.data.sprites import presenter_sprite, shadow_sprite, thing_sprite, words_sprite
from hardcut.schemas.errors import UsageError

_GROUNDED = ("ball", "square", "triangle", "star", "car", "block")


def draw_frames(clip: Clip, fonts: Fonts, indices: tuple[int, ...] | None = None) -> Iterator[NDArray[np.uint8]]:
    """The pictures of a clip at `indices` (default: all its frames), as displayed: RGB, height x width x 3.

    A clip that is `backwards` shows exactly the pictures of its mirrored self in reverse. Raises UsageError where a
    script has no font or words do not fit into the picture.
    """
    forward = mirrored(clip) if clip.backwards else clip
    plates = {words: words_sprite(words, fonts) for words in forward.words}
    for words, sprite in plates.items():
        if words.script not in fonts.scripts:
            raise UsageError(f"no font for {words.script} on this machine: make the world with scripts={fonts.scripts}")
        if sprite.width > clip.form.width:
            raise UsageError(f"{clip.video_id}: the words {words.text!r} are wider than the picture: give them smaller letters")
    for index in range(clip.frames) if indices is None else indices:
        yield np.asarray(_frame(forward, clip.frames - 1 - index if clip.backwards else index, plates))


def _frame(clip: Clip, index: int, plates: dict[object, Image.Image]) -> Image.Image:
    width, height = clip.form.width, clip.form.height
    scene = next(scene for scene in clip.scenes if index in scene.frames)
    still, life = backdrop(scene.backdrop, scene.seed, width, height)
    canvas, time_s = still.copy(), index / clip.form.rate
    life(canvas, time_s)
    if scene.presenter:
        speaking = any(index in sentence.spoken for sentence in clip.speech)
        mouth = round(1.5 + 1.5 * sin(2 * pi * 3.1 * time_s)) if speaking else 0
        sprite = presenter_sprite(round(0.62 * height), mouth)
        canvas.paste(sprite, (round(0.83 * width - sprite.width / 2), height - sprite.height), sprite)
    for thing in clip.things:
        if index in thing.visible:
            _paste_thing(canvas, thing, index)
    for words in clip.words:
        if index in words.shown:
            sprite = plates[words]
            left = min(max(round(words.centre[0] * width - sprite.width / 2), 0), width - sprite.width)
            top = min(max(round(words.centre[1] * height - sprite.height / 2), 0), height - sprite.height)
            canvas.paste(sprite, (left, top), sprite)
    return canvas


def _paste_thing(canvas: Image.Image, thing: Thing, index: int) -> None:
    x, y = thing.place(index)
    height = round(thing.size * canvas.height)
    turn = 0
    if thing.shape == "door":
        turn = round(100 * (thing.hinge[0] + (thing.hinge[1] - thing.hinge[0]) * thing.progress(index)))
    elif thing.shape == "ball":
        turn = round((x - 0.5) * canvas.width / (height / 2) * 180 / pi / 4) * 4 % 180
    sprite = thing_sprite(thing.shape, thing.colour, height, turn, facing_left=thing.end[0] < thing.start[0])
    left, top = round(x * canvas.width - sprite.width / 2), round(y * canvas.height - sprite.height / 2)
    if thing.shape in _GROUNDED and thing.direction in ("left to right", "right to left"):
        shadow = shadow_sprite(sprite.width)
        canvas.paste(shadow, (left, top + sprite.height - shadow.height // 2), shadow)
    canvas.paste(sprite, (left, top), sprite)
