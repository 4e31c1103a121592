"""Families of clips that are read: counters, signs that change, signs in several scripts, posters with fine print."""

from __future__ import annotations

from random import Random

from hardcut.data.family import Family, chiral_twins, choose_form, letters, scene, span, video_id
from hardcut.data.model import Clip, Form, Frames, Meta, Point, Question, Script, Sought, Thing, Words
from hardcut.data.words import FINE_PRINT, FLASHES, FOREIGN, OPPOSITES, POSTER_ADJECTIVES, POSTER_NOUNS, SHOPS, STREETS

PLATES = (("white", "navy"), ("cream", "charcoal"), ("navy", "cream"), ("charcoal", "white"), ("white", "forest"), ("cream", "wine"))


def lift(rng: Random, number: int) -> Family:
    """A lift's display counts floors upwards; in the twin it counts them down."""
    form, low, (ink, plate) = choose_form(rng), rng.randint(2, 6), rng.choice(PLATES)
    floors, total = range(low, low + 4), span(form, 0, 5.6).end
    display = tuple(
        _sign(f"FLOOR {floor}", form, 0.09, (0.52, 0.1), ink, plate, span(form, 0.4 + 1.2 * i, 0.4 + 1.2 * (i + 1)))
        for i, floor in enumerate(floors)
    )
    name = rng.choice(STREETS)
    house = _sign(f"{name} HOUSE", form, 0.06, (0.52, 0.9), "cream", "charcoal", Frames(first=0, end=total))
    shut = Thing(
        shape="door", colour="navy", size=0.58, visible=Frames(first=0, end=total), moving=Frames(first=0, end=total),
        start=(0.52, 0.47), end=(0.52, 0.47),
    )
    clip = Clip(
        video_id=video_id("signs", "lift", number), form=form, scenes=(scene(rng, "room", total),), things=(shut,), words=(*display, house),
        meta=Meta(title="In the lift", description=f"The display of a lift in {name.title()} House.", tags=("lift", "floor")),
    )

    def question(way: str, order: list[int]) -> Question:
        return Question(
            text=f"A lift goes {way} from floor {order[0]} to floor {order[-1]}",
            sought=tuple(Sought(what="words", text=f"FLOOR {floor}") for floor in order), ordered=True,
        )

    twins = chiral_twins(clip, video_id("signs", "lift", number, "b"), swap=rng.random() < 0.5)
    return Family(twins, (question("up", list(floors)), question("down", list(floors)[::-1])))


def order(rng: Random, number: int) -> Family:
    """A sign above a shop changes from one word to its opposite; the twin changes back."""
    form, (first, second), (ink, plate), shop = choose_form(rng), rng.choice(OPPOSITES), rng.choice(PLATES), rng.choice(SHOPS)
    total = span(form, 0, 5.0).end
    clip = Clip(
        video_id=video_id("signs", "order", number), form=form, scenes=(scene(rng, "street", total),),
        words=(
            _sign(first, form, 0.11, (0.5, 0.46), ink, plate, span(form, 0.4, 2.2)),
            _sign(second, form, 0.11, (0.5, 0.46), ink, plate, span(form, 2.6, 4.6)),
            _sign(shop, form, 0.08, (0.5, 0.2), "white", "wine", Frames(first=0, end=total)),
        ),
        meta=Meta(title=f"The {shop.lower()} from across the road", description="A sign on a shop front changes.", tags=("shop", "sign")),
    )

    def question(one: str, two: str) -> Question:
        return Question(
            text=f"The sign says {one} at first and {two} later",
            sought=(Sought(what="words", text=one), Sought(what="words", text=two)), ordered=True,
        )

    twins = chiral_twins(clip, video_id("signs", "order", number, "b"), swap=rng.random() < 0.5)
    return Family(twins, (question(first, second), question(second, first)))


def scripts(rng: Random, number: int, available: tuple[Script, ...]) -> Family:
    """Street signs with a word in another script over a Latin one, a clip a script. `available` says what can be drawn."""
    clips: list[Clip] = []
    questions: list[Question] = []
    foreign = [script for script in available if script != "latin"]
    for letter, script in zip("abc", foreign, strict=False):
        form, (ink, plate), street = choose_form(rng), rng.choice(PLATES), rng.choice(STREETS)
        word, meaning = rng.choice(FOREIGN[script])
        if script == "greek":
            form = form.model_copy(update={"codec": "vp9", "quality": 36})
        total = span(form, 0, rng.uniform(4.0, 5.0)).end
        clips.append(
            Clip(
                video_id=video_id("signs", "script", number, letter), form=form, scenes=(scene(rng, rng.choice(("street", "shore")), total),),
                words=(
                    _sign(word, form, 0.13, (0.5, 0.3), ink, plate, span(form, 0.6, 3.6), script),
                    _sign(f"{street} STREET", form, 0.075, (0.5, 0.58), "white", "navy", Frames(first=0, end=total)),
                ),
                meta=Meta(title="Signs on holiday", description=f"Signs that I photographed near a {meaning} shop.", tags=("sign", "travel")),
            )
        )
        questions.append(
            Question(
                text=f"A street sign with the {script.title()} word {word} ({meaning}), above the name {street} STREET",
                sought=(Sought(what="words", text=word), Sought(what="words", text=f"{street} STREET")),
            )
        )
    return Family(tuple(clips), tuple(questions))


def poster(rng: Random, number: int) -> Family:
    """A poster: a large title, a word that flashes up for less than a second, and print too fine or too pale to be read."""
    form = choose_form(rng, sizes=((640, 360),))
    adjective, noun, flash = rng.choice(POSTER_ADJECTIVES), rng.choice(POSTER_NOUNS), rng.choice(FLASHES)
    total = span(form, 0, 5.0).end
    small, pale = rng.sample(FINE_PRINT, 2)
    whole = Frames(first=0, end=total)
    clip = Clip(
        video_id=video_id("signs", "poster", number), form=form, scenes=(scene(rng, "studio", total),),
        words=(
            _sign(adjective, form, 0.1, (0.5, 0.16), "cream", "wine", whole),
            _sign(noun, form, 0.1, (0.5, 0.39), "cream", "wine", span(form, 1.0, 5.0)),
            _sign(flash, form, 0.09, (0.5, 0.64), "charcoal", "yellow", span(form, 2.4, 3.0)),
            _sign(small, form, 0.015, (0.5, 0.82), "charcoal", "cream", whole),
            _sign(pale, form, 0.04, (0.5, 0.92), "mist", "fog", whole),
        ),
        meta=Meta(title="A poster", description="Something on the wall of the studio.", tags=("poster",)),
    )
    questions = (
        Question(
            text=f"A poster for the {adjective} {noun}",
            sought=(Sought(what="words", text=adjective), Sought(what="words", text=noun)),
        ),
        Question(
            text=f"The word {flash} flashes up briefly on a poster for the {noun}",
            sought=(Sought(what="words", text=noun), Sought(what="words", text=flash)), ordered=True,
        ),
    )
    return Family((clip,), questions)


def _sign(
    text: str, form: Form, height: float, centre: Point, ink: str, plate: str, shown: Frames, script: Script = "latin"
) -> Words:
    return Words(
        text=text, script=script, centre=centre, height_px=letters(form, height), ink=ink, plate=plate, shown=shown
    )
