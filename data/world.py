"""Makes a world from a seed: which clips there are, what happens in them, and what may be asked about them."""

from __future__ import annotations

from itertools import count
from random import Random
from typing import get_args

from hardcut.data import motion, signs, stories
from hardcut.data.family import Family
from hardcut.data.model import Clip, Question, Script, World
from hardcut.schemas.errors import UsageError

SCRIPTS: tuple[Script, ...] = get_args(Script)
FAMILIES = ("ball", "order", "talk", "launch", "door", "lift", "reel", "stack", "scripts", "recipe", "passers", "poster")
CLIPS_A_ROUND = 25
"""How many clips one round of all families has, every script included."""


def make_world(
    seed: int, clips: int = CLIPS_A_ROUND, *, scripts: tuple[Script, ...] = SCRIPTS, families: tuple[str, ...] = FAMILIES
) -> World:
    """The world of a seed, with `clips` clips: as many rounds of `families` as it takes, cut off at the end.

    `scripts` are those that can be drawn. Every family of every round has a random generator of its own, so a longer
    world begins with the clips of a shorter one. Raises UsageError for fewer than one clip.
    """
    if clips < 1:
        raise UsageError(f"a world of {clips} clips cannot be made: ask for 1 or more")
    made: list[Clip] = []
    questions: list[Question] = []
    for number in count(1):
        before = len(made)
        for family in families:
            if len(made) >= clips:
                return World(seed=seed, clips=_without_strangers(made[:clips]), questions=_distinct(questions))
            members, about = _build(family, Random(f"{seed}/{family}/{number}"), number, scripts)
            made.extend(members)
            questions.extend(about)
        if len(made) == before:
            raise UsageError(f"no clip can be drawn: families {', '.join(families)}, scripts {', '.join(scripts)}; allow more of either")
    raise AssertionError("unreachable: count() does not end")


def _build(family: str, rng: Random, number: int, scripts: tuple[Script, ...]) -> Family:
    match family:
        case "ball":
            return motion.ball(rng, number)
        case "door":
            return motion.door(rng, number)
        case "stack":
            return motion.stack(rng, number)
        case "passers":
            return motion.passers(rng, number)
        case "lift":
            return signs.lift(rng, number)
        case "order":
            return signs.order(rng, number)
        case "scripts":
            return signs.scripts(rng, number, scripts)
        case "poster":
            return signs.poster(rng, number)
        case "talk":
            return stories.talk(rng, number)
        case "launch":
            return stories.launch(rng, number)
        case "reel":
            return stories.reel(rng, number)
        case "recipe":
            return stories.recipe(rng, number)
    raise UsageError(f"there is no family of clips {family!r}: choose among {', '.join(FAMILIES)}")


def _without_strangers(clips: list[Clip]) -> tuple[Clip, ...]:
    """The clips sorted by id, without relations to clips that were cut off."""
    there = {clip.video_id for clip in clips}
    kept = (
        clip.model_copy(update={"relations": tuple(r for r in clip.relations if r.video_id in there)}) for clip in clips
    )
    return tuple(sorted(kept, key=lambda clip: clip.video_id))


def _distinct(questions: list[Question]) -> tuple[Question, ...]:
    """Each text once: in a large world two families can ask the same."""
    return tuple({question.text: question for question in questions}.values())
