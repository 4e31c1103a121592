"""Families of clips in which the movement is the message: chiral twins, and things that pass one after another."""

from __future__ import annotations

from random import Random

from hardcut.data.family import Family, chiral_twins, choose_form, scene, span, video_id
from hardcut.data.model import Clip, Frames, Meta, Question, Relation, Sought, Thing
from hardcut.data.words import GARDENS, ROOMS

VIVID = ("red", "blue", "yellow", "orange", "purple")


def ball(rng: Random, number: int) -> Family:
    """A ball crosses the picture; its twin crosses it the other way."""
    colour, ground, form = rng.choice(VIVID), rng.choice(GARDENS), choose_form(rng, sizes=((320, 180), (480, 270)))
    total = span(form, 0, rng.uniform(4.0, 5.2)).end
    rolling = Thing(
        shape="ball", colour=colour, size=0.2, visible=Frames(first=0, end=total),
        moving=Frames(first=form.rate // 2, end=total - form.rate // 2), start=(0.12, 0.78), end=(0.88, 0.78),
    )
    clip = Clip(
        video_id=video_id("motion", "ball", number, "a"), form=form, scenes=(scene(rng, "meadow", total),), things=(rolling,),
        meta=Meta(title=f"Ball on the {ground}", description=f"A ball game, {ground}, one afternoon.", tags=("ball", ground)),
    )
    questions = tuple(
        Question(
            text=f"A {colour} ball rolls across the grass from {way}",
            sought=(Sought(what="thing", shape="ball", colour=colour, direction=way),),
        )
        for way in ("left to right", "right to left")
    )
    return Family(chiral_twins(clip, video_id("motion", "ball", number, "b"), swap=rng.random() < 0.5), questions)


def door(rng: Random, number: int) -> Family:
    """A door is opened; its twin closes it."""
    colour, room, form = rng.choice(("red", "blue", "green", "purple")), rng.choice(ROOMS), choose_form(rng, sizes=((320, 180), (480, 270)))
    total = span(form, 0, rng.uniform(4.0, 5.0)).end
    leaf = Thing(
        shape="door", colour=colour, size=0.6, visible=Frames(first=0, end=total), moving=span(form, 1.2, 2.8),
        start=(0.52, 0.46), end=(0.52, 0.46), hinge=(0.0, 1.0),
    )
    clip = Clip(
        video_id=video_id("motion", "door", number, "a"), form=form, scenes=(scene(rng, "room", total),), things=(leaf,),
        meta=Meta(title=f"The {room} door", description=f"A {colour} door in the {room}.", tags=("door", room)),
    )
    questions = tuple(
        Question(text=f"The {colour} door {way}", sought=(Sought(what="thing", shape="door", colour=colour, direction=way),))
        for way in ("opens", "closes")
    )
    return Family(chiral_twins(clip, video_id("motion", "door", number, "b"), swap=rng.random() < 0.5), questions)


def stack(rng: Random, number: int) -> Family:
    """Blocks come down one by one and make a tower; in the twin they are lifted off again."""
    colours, form = rng.sample(("red", "blue", "green", "yellow", "purple"), 3), choose_form(rng, sizes=((320, 180), (480, 270)))
    total = span(form, 0, 5.6).end
    blocks = tuple(
        Thing(
            shape="block", colour=colour, size=0.17, visible=Frames(first=0, end=total), moving=span(form, 0.5 + 1.5 * i, 1.6 + 1.5 * i),
            start=(0.5, -0.2), end=(0.5, 0.74 - 0.17 * i),
        )
        for i, colour in enumerate(colours)
    )
    clip = Clip(
        video_id=video_id("motion", "stack", number, "a"), form=form, scenes=(scene(rng, "room", total),), things=blocks,
        meta=Meta(title="Wooden blocks", description="A tower of toy blocks on the floor of a nursery.", tags=("toys", "blocks")),
    )
    first, second, third = colours

    def moves(order: tuple[str, ...], way: str) -> tuple[Sought, ...]:
        return tuple(Sought(what="thing", shape="block", colour=colour, direction=way) for colour in order)

    questions = (
        Question(
            text=f"A tower of blocks is built up: first the {first} block, then the {second} one and the {third} one on top",
            sought=moves((first, second, third), "downwards"), ordered=True,
        ),
        Question(
            text=f"A tower of blocks is taken down, the {third} block first and the {first} one last",
            sought=moves((third, second, first), "upwards"), ordered=True,
        ),
    )
    return Family(chiral_twins(clip, video_id("motion", "stack", number, "b"), swap=rng.random() < 0.5), questions)


def passers(rng: Random, number: int) -> Family:
    """Two things pass in the same direction; in the other clip they pass in the other order. No twin: the same movements."""
    shapes = rng.sample(("square", "triangle", "star", "car", "balloon"), 2)
    colours, form = rng.sample(VIVID, 2), choose_form(rng, sizes=((480, 270),))
    to_right, total = rng.random() < 0.5, span(form, 0, 6.4).end
    start, end = ((-0.15, 0.62), (1.15, 0.62)) if to_right else ((1.15, 0.62), (-0.15, 0.62))
    pair = list(zip(shapes, colours, strict=True))
    place, backdrop = rng.choice(GARDENS), scene(rng, rng.choice(("meadow", "street")), total)

    def clip(letter: str, other: str, order: list[tuple[str, str]]) -> Clip:
        things = tuple(
            Thing.model_validate({
                "shape": shape, "colour": colour, "size": 0.24, "visible": Frames(first=0, end=total),
                "moving": span(form, 0.4 + 3.0 * i, 3.0 + 3.0 * i), "start": start, "end": end,
            })
            for i, (shape, colour) in enumerate(order)
        )
        return Clip(
            video_id=video_id("motion", "passers", number, letter), form=form, scenes=(backdrop,), things=things,
            meta=Meta(
                title=f"Passing by the {place}", description=f"A {shapes[0]} and a {shapes[1]} pass the {place}.", tags=("street", place)
            ),
            relations=(Relation(kind="other_order", video_id=video_id("motion", "passers", number, other)),),
        )

    def question(order: list[tuple[str, str]]) -> Question:
        (shape, colour), (later_shape, later_colour) = order
        return Question(
            text=f"First a {colour} {shape} passes, and after it a {later_colour} {later_shape}",
            sought=tuple(Sought.model_validate({"what": "thing", "shape": shape, "colour": colour}) for shape, colour in order),
            ordered=True,
        )

    return Family((clip("a", "b", pair), clip("b", "a", pair[::-1])), (question(pair), question(pair[::-1])))

