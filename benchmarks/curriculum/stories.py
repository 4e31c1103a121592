"""What happens in the clips of the world and what may be asked about them: known truth, no pictures.

A clip is two halves. In each a coloured thing moves some way, and a sign with a word may hang above it. Clips come in
families of eight that a search over words can hardly tell apart: the same words in another order or bound otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from hardcut.data.model import Shape

COLOURS = ("red", "blue", "yellow", "purple")
SHAPES: tuple[Shape, ...] = ("ball", "triangle", "star", "car")
OPPOSITE = {"right": "left", "left": "right", "up": "down", "down": "up"}
SIGNS = ("ZOO", "GYM", "TEA", "FIX")
KINDS = ("event", "temporal", "negation", "composed", "moment")
REVERSES = (1, 3)
"""Which stories of a family show the pictures of the one before it in reverse."""
HALVES = ("at the start", "at the end")
_DRAWS = 20
"""Draws of a query until none is asked."""


@dataclass(frozen=True, slots=True)
class Half:
    """What is seen in half a clip; in a query what is asked for, an empty text being anything."""

    colour: str = ""
    shape: str = ""
    direction: str = ""
    sign: str = ""

    def has(self, wanted: Half) -> bool:
        """Whether all that is wanted is there."""
        pairs = zip(
            (wanted.colour, wanted.shape, wanted.direction, wanted.sign),
            (self.colour, self.shape, self.direction, self.sign),
            strict=True,
        )
        return all(asked in ("", there) for asked, there in pairs)

    def __str__(self) -> str:
        moves = f" moves {self.direction}" if self.direction else ""
        return f"a {self.colour} {self.shape}{moves}" + (f" under {self.sign}" if self.sign else "")


@dataclass(frozen=True, slots=True)
class Story:
    """What a clip shows, half after half."""

    halves: tuple[Half, Half]

    @property
    def caption(self) -> str:
        """All that is true of it, in order."""
        first, second = self.halves
        return f"{first} , then {second}"

    @property
    def captions(self) -> tuple[str, ...]:
        """Ways to tell it: all of it, the things alone, and either half by itself."""
        first, second = self.halves
        one, two = (Half(half.colour, half.shape) for half in self.halves)
        things = f"{one} , then {two}", f"{one} and {two}", f"{two} and {one}"
        halves = str(first), str(second), f"{HALVES[0]} {first}", f"{HALVES[1]} {second}"
        return self.caption, *things, *halves

    @property
    def reverse(self) -> Story:
        """What the same pictures tell when they are played in reverse."""
        second, first = (replace(half, direction=OPPOSITE[half.direction]) for half in self.halves)
        return Story((first, second))


@dataclass(frozen=True, slots=True)
class Asked:
    """A query: `wanted` in different halves, in this order if `ordered`, in the half `at` if that is given; and
    nothing of `without` anywhere."""

    kind: str
    text: str
    wanted: tuple[Half, ...]
    ordered: bool = False
    at: int | None = None
    without: Half | None = None

    def answered_by(self, story: Story) -> bool:
        """Whether a clip shows it."""
        first, second = story.halves
        if self.without is not None and any(half.has(self.without) for half in story.halves):
            return False
        if len(self.wanted) == 2:
            one, two = self.wanted
            return (first.has(one) and second.has(two)) or (not self.ordered and first.has(two) and second.has(one))
        return any(half.has(self.wanted[0]) for half in (story.halves if self.at is None else [story.halves[self.at]]))


@dataclass(frozen=True, slots=True)
class Sides:
    """Two queries of one form that differ in one thing: a clip answers the first and not the second."""

    change: str
    answered: Asked
    unanswered: Asked

    @property
    def both(self) -> tuple[Asked, Asked]:
        """The answered side first."""
        return self.answered, self.unanswered


CHANGES = ("excluded direction", "excluded sign", "order", "direction", "detail")
"""What the two sides of a block differ in."""


def sides_of(story: Story, change: str, rng: Random) -> Sides | None:
    """A block about a clip; None where it has none of this change. What is exchanged is drawn evenly, so that over the
    world no word leans to a side."""
    first, second = story.halves
    bare = [Half(each.colour, each.shape) for each in story.halves]
    if change == "excluded direction":
        there = rng.choice(story.halves).direction
        absent = [way for way in OPPOSITE if way not in (first.direction, second.direction)]
        ways = rng.choice(absent), there
        return _denials(change, bare, [(f"moves {way}", Half(direction=way)) for way in ways], rng)
    if change == "excluded sign":
        sign = first.sign or second.sign
        if not sign:
            return None
        signs = rng.choice([each for each in SIGNS if each != sign]), sign
        return _denials(change, bare, [(f"under {each}", Half(sign=each)) for each in signs], rng)
    if change == "order":
        told = [replace(each, sign="") for each in story.halves] if rng.random() < 0.5 else bare
        return Sides(change, *(_then(*pair) for pair in ((told[0], told[1]), (told[1], told[0]))))
    if change == "direction":
        half = rng.choice(story.halves)
        moving = Half(half.colour, half.shape, half.direction)
        turned = replace(moving, direction=OPPOSITE[half.direction])
        return Sides(change, *(Asked("composed", str(each), (each,)) for each in (moving, turned)))
    one, other = bare if rng.random() < 0.5 else bare[::-1]
    if rng.random() < 0.5:
        wrong = [replace(one, colour=other.colour), replace(other, colour=one.colour)]
    else:
        wrong = [replace(one, shape=other.shape), replace(other, shape=one.shape)]
    pairs = ([one, other], wrong)
    return Sides(change, *(Asked("event", f"{a} and {b}", (a, b)) for a, b in pairs))


def _denials(change: str, bare: Sequence[Half], denied: Sequence[tuple[str, Half]], rng: Random) -> Sides:
    one, other = bare if rng.random() < 0.5 else bare[::-1]
    sides = (
        Asked("negation", f"{one} and {other} , not {text}", (one, other), without=without) for text, without in denied
    )
    return Sides(change, *sides)


def _then(one: Half, other: Half) -> Asked:
    return Asked("temporal", f"{one} , then {other}", (one, other), ordered=True)


def families(
    seed: int,
    count: int,
    without: frozenset[Story] = frozenset(),
    among: Sequence[tuple[Sequence[str], Sequence[str]]] = (),
) -> Iterator[tuple[Story, ...]]:
    """So many families of eight, none of which has a story of `without` or of an earlier one. `among` are the two
    colours and two shapes that a family may have; any where there are none."""
    rng, seen = Random(seed), set(without)
    while count:
        family = _family(rng, among)
        if len(set(family)) == len(family) and not seen.intersection(family):
            seen.update(family)
            count -= 1
            yield family


def _family(rng: Random, among: Sequence[tuple[Sequence[str], Sequence[str]]]) -> tuple[Story, ...]:
    """A base, and what differs from it in one respect. The second is the first in reverse, and so is the fourth the
    third."""
    colours, shapes = rng.choice(among) if among else (COLOURS, SHAPES)
    (c1, c2), (s1, s2) = rng.sample(colours, 2), rng.sample(shapes, 2)
    d1, d2 = rng.choice(tuple(OPPOSITE)), rng.choice(tuple(OPPOSITE))
    sign, signed = rng.choice(SIGNS), rng.randrange(2)
    one, two = Half(c1, s1, d1, sign * (signed == 0)), Half(c2, s2, d2, sign * (signed == 1))
    base, exchanged = Story((one, two)), Story((two, one))
    return (
        base,
        base.reverse,
        exchanged,
        exchanged.reverse,
        Story((replace(one, colour=c2), replace(two, colour=c1))),
        Story((replace(one, shape=s2), replace(two, shape=s1))),
        Story((replace(one, sign=two.sign), replace(two, sign=one.sign))),
        Story((replace(one, sign=""), replace(two, sign=""))),
    )


def questions(
    family: Sequence[Story], rng: Random, each: int, without: frozenset[str] = frozenset()
) -> Iterator[Asked]:
    """`each` queries of every kind that some clip of the family answers. None has a text of `without`: another is drawn
    in its place, if there is one."""
    for kind in KINDS:
        for _ in range(each):
            drawn = (_question(kind, family, rng) for _ in range(_DRAWS))
            asked = next((asked for asked in drawn if asked.text not in without), None)
            if asked is not None:
                yield asked


def _question(kind: str, family: Sequence[Story], rng: Random) -> Asked:
    story = rng.choice(family)
    if kind == "negation" and rng.random() < 0.5:
        story = family[-1]
    first, second = story.halves
    at = rng.randrange(2)
    half = story.halves[at]
    thing = Half(half.colour, half.shape)
    bare = tuple(Half(each.colour, each.shape) for each in story.halves)
    if kind == "event":
        one, two = bare if at else bare[::-1]
        return Asked(kind, f"{one} and {two}", (one, two))
    if kind == "temporal":
        told = bare if rng.random() < 0.5 else tuple(replace(each, sign="") for each in story.halves)
        return Asked(kind, f"{told[0]} , then {told[1]}", told, ordered=True)
    if kind == "negation":
        if story == family[-1]:
            sign = next(each.sign for each in family[0].halves if each.sign)
            return Asked(kind, f"{first} and {second} , not under {sign}", story.halves, without=Half(sign=sign))
        signed = tuple(replace(each, direction="") for each in story.halves)
        absent = [way for way in OPPOSITE if way not in (first.direction, second.direction)]
        way = rng.choice([way for way in absent if OPPOSITE[way] in (first.direction, second.direction)] or absent)
        return Asked(kind, f"{signed[0]} and {signed[1]} , not moves {way}", signed, without=Half(direction=way))
    if kind == "composed":
        if half.sign or not (first.sign or second.sign):
            moving = replace(thing, direction=half.direction, sign=half.sign)
            return Asked(kind, str(moving), (moving,))
        told = tuple(replace(each, sign=whole.sign) for each, whole in zip(bare, story.halves, strict=True))
        return Asked(kind, f"{told[0]} , then {told[1]}", told, ordered=True)
    return Asked(kind, f"{HALVES[at]} {half}", (half,), at=at)
