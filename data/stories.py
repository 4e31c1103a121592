"""Families of clips that tell something: talks, an event filmed twice, a news reel with its copies, recipes."""

from __future__ import annotations

from random import Random

from hardcut.data.family import Family, choose_form, letters, scene, sentences, span, video_id
from hardcut.data.model import Clip, Form, Frames, Meta, Point, Question, Relation, Scene, Sought, Thing, Words
from hardcut.data.words import (
    BOATS, DISHES, HEADLINES, NUMBERS, REEL_CLOSE, REEL_TALK, REEL_THINGS, SLIDES, STEPS, SUBJECTS, TOPICS, TOWNS,
)


def talk(rng: Random, number: int) -> Family:
    """Two talks on the same two topics in different order; one of them mentions a third."""
    form = choose_form(rng)
    one, two, three = rng.sample(TOPICS, 3)
    subject, (slide, last_slide) = rng.choice(SUBJECTS), rng.sample(SLIDES, 2)
    lesson = NUMBERS[rng.randint(1, 12)]

    def clip(letter: str, other: str, texts: tuple[str, ...], slides: tuple[str, ...], subtitles: str) -> Clip:
        said = sentences(form, 0.6, texts)
        total = said[-1].spoken.end + form.rate // 2
        shown = [
            _caption(word, form, 0.085, (0.34, 0.5), "navy", "cream", Frames(first=sentence.spoken.first, end=sentence.spoken.end))
            for word, sentence in zip(slides, said, strict=True)
            if word
        ]
        title = _caption(f"{subject} LESSON", form, 0.065, (0.34, 0.2), "white", "navy", Frames(first=0, end=total))
        return Clip(
            video_id=video_id("talks", "talk", number, letter), form=form.model_copy(update={"subtitles": subtitles}),
            scenes=(scene(rng, "studio", total, presenter=True),), words=(title, *shown), speech=said,
            meta=Meta(
                title=f"{subject.title()}, lesson {lesson}", description=f"A talk about the {one} and the {two}.",
                tags=("talk", subject.lower()),
            ),
            relations=(Relation(kind="other_order", video_id=video_id("talks", "talk", number, other)),),
        )

    clips = (
        clip("a", "b", (f"We begin today with the {one}.", f"After that I turn to the {two}."), (slide, last_slide), "srt"),
        clip(
            "b", "a", (f"First I speak about the {two}.", f"Now let us look at the {one}.", f"At the end we visit the {three}."),
            (last_slide, "", slide), "vtt",
        ),
    )

    def said(text: str) -> Sought:
        return Sought(what="speech", text=text)

    return Family(
        clips,
        (
            Question(text=f"A talk that begins with the {one} and comes to the {two} later", sought=(said(one), said(two)), ordered=True),
            Question(text=f"A talk that begins with the {two} and comes to the {one} later", sought=(said(two), said(one)), ordered=True),
            Question(text=f"A talk about the {one} that never mentions the {three}", sought=(said(one),), without=(said(three),)),
            Question(
                text=f"The slide {last_slide} is on the screen before the speaker gets to the {three}",
                sought=(Sought(what="words", text=last_slide), said(three)), ordered=True,
            ),
        ),
    )


def launch(rng: Random, number: int) -> Family:
    """The launch of a boat, filmed from both banks: with a commentary from one, turned on its side in the file from the other."""
    name, town, year, colour = rng.choice(BOATS), rng.choice(TOWNS), rng.randint(1985, 2024), rng.choice(("red", "orange", "purple"))
    near = choose_form(rng, sizes=((640, 360),)).model_copy(update={"subtitles": "vtt"})
    far = choose_form(rng, sizes=((480, 270),)).model_copy(update={"rotation": 90})
    event = f"launch-{name.lower()}-{year}"
    to_right = rng.random() < 0.5
    said = sentences(near, 1.0, (f"Here comes the {name.title()}.", f"Good luck from all of {town.title()}!"), pause_s=0.8)
    total_s = said[-1].spoken.end / near.rate + 0.6

    def clip(letter: str, other: str, form: Form, rightwards: bool, lead_s: float) -> Clip:
        total = span(form, 0, total_s + lead_s).end
        ends = ((0.1, 0.66), (0.9, 0.66))
        boat = Thing(
            shape="boat", colour=colour, size=0.3, visible=Frames(first=0, end=total),
            moving=span(form, 0.8 + lead_s, total_s + lead_s - 0.5), start=ends[not rightwards], end=ends[rightwards],
        )
        banner = _caption(name, form, 0.095, (0.5, 0.2), "navy", "cream", Frames(first=0, end=total))
        place = _caption(f"{town} {year}", form, 0.06, (0.5, 0.92), "white", "navy", span(form, 0.6 + lead_s, total_s + lead_s))
        return Clip(
            video_id=video_id("events", "launch", number, letter), form=form, scenes=(scene(rng, "shore", total),), things=(boat,),
            words=(banner, place), speech=said if letter == "a" else (),
            meta=Meta(
                title=f"A day at the water in {town.title()}", description="Everybody came to see the new boat.", tags=("boat", "launch"), event=event,
            ),
            relations=(Relation(kind="same_event", video_id=video_id("events", "launch", number, other)),),
        )

    clips = (clip("a", "b", near, to_right, 0.0), clip("b", "a", far, not to_right, 0.5))
    banner = Sought(what="words", text=name)
    way = "left to right" if to_right else "right to left"
    return Family(
        clips,
        (
            Question(text=f"The launch of the boat {name.title()}", sought=(banner, Sought(what="tag", text="launch"))),
            Question(
                text=f"A voice wishes the {name.title()} good luck from {town.title()}",
                sought=(banner, Sought(what="speech", text="good luck"), Sought(what="speech", text=town)),
            ),
            Question(
                text=f"The {name.title()}, a boat with a {colour} hull, sails from {way}",
                sought=(banner, Sought(what="thing", shape="boat", colour=colour, direction=way)),
            ),
        ),
    )


def reel(rng: Random, number: int) -> Family:
    """A news reel of three stories with hard cuts, a smaller copy of it, and a copy that lacks its start and its last story."""
    form = choose_form(rng, sizes=((640, 360),)).model_copy(update={"subtitles": "srt"})
    first, second, third = rng.sample(HEADLINES, 3)
    town, thing = rng.choice(TOWNS), rng.choice(REEL_THINGS)
    opening, closing = rng.choice(REEL_TALK), rng.choice(REEL_CLOSE).format(thing=thing)
    (welcome,) = sentences(form, 1.2, (opening,))
    cuts = [0, welcome.spoken.end + form.rate // 2]
    cuts.append(cuts[1] + round(2.2 * form.rate))
    (farewell,) = sentences(form, cuts[2] / form.rate + 0.3, (closing,))
    cuts.append(farewell.spoken.end + form.rate // 2)
    stretches = [Frames(first=start, end=end) for start, end in zip(cuts, cuts[1:], strict=False)]
    backdrops = rng.sample(("street", "shore", "meadow", "room"), 3)
    original = Clip(
        video_id=video_id("reels", "reel", number, "a"), form=form,
        scenes=tuple(
            scene(rng, backdrop, stretch.end, stretch.first) for backdrop, stretch in zip(backdrops, stretches, strict=True)
        ),
        words=(
            *(
                _caption(headline, form, 0.085, (0.5, 0.8), "white", "wine", stretch)
                for headline, stretch in zip((first, second, third), stretches, strict=True)
            ),
            _caption(f"{town} NEWS", form, 0.055, (0.2, 0.1), "navy", "cream", Frames(first=0, end=cuts[3])),
        ),
        speech=(welcome, farewell),
        meta=Meta(title=f"{town.title()} news", description="The local news of the evening.", tags=("news", town.lower())),
    )
    copies = (
        original.model_copy(update={"video_id": video_id("reels", "reel", number, "b")}),
        _trimmed(original, form.rate // 2, cuts[2]).model_copy(update={"video_id": video_id("reels", "reel", number, "c")}),
    )
    small = _shrunk(copies[0], 480, 270, quality=31)
    family = (original, small, copies[1].model_copy(update={"form": form.model_copy(update={"quality": 32})}))
    related = tuple(
        clip.model_copy(
            update={
                "relations": tuple(
                    Relation(kind="near_duplicate", video_id=other.video_id) for other in family if other.video_id != clip.video_id
                )
            }
        )
        for clip in family
    )

    def headline(text: str) -> Sought:
        return Sought(what="words", text=text)

    return Family(
        related,
        (
            Question(
                text=f"News in which the headline {first} comes before {second}", sought=(headline(first), headline(second)), ordered=True
            ),
            Question(
                text=f"News that reports {second.lower()} first and {third.lower()} afterwards",
                sought=(headline(second), headline(third)), ordered=True,
            ),
            Question(
                text=f"The newsreader announces the {thing} while the headline {third} is on the screen",
                sought=(headline(third), Sought(what="speech", text=thing)), ordered=True,
            ),
        ),
    )


def recipe(rng: Random, number: int) -> Family:
    """Two recipes in cards, with hard cuts: the same first steps in another order, and a different last one. Variable frame rate."""
    form = choose_form(rng).model_copy(update={"variable_rate": True})
    dish = rng.choice(DISHES)
    one, two, three, four = rng.sample(STEPS, 4)

    def clip(letter: str, other: str, steps: tuple[str, ...]) -> Clip:
        stretches = [span(form, 1.6 * i, 1.6 * (i + 1)) for i in range(len(steps) + 1)]
        total = stretches[-1].end
        return Clip(
            video_id=video_id("recipes", "recipe", number, letter), form=form,
            scenes=tuple(scene(rng, "kitchen", stretch.end, stretch.first) for stretch in stretches),
            words=(
                _caption(f"{dish} FOR {NUMBERS[rng.randint(2, 8)].upper()}", form, 0.075, (0.5, 0.45), "cream", "wine", stretches[0]),
                *(
                    _caption(step, form, 0.095, (0.5, 0.34), "charcoal", "cream", stretch)
                    for step, stretch in zip(steps, stretches[1:], strict=True)
                ),
                _caption("COOKING CLASS", form, 0.055, (0.5, 0.94), "white", "navy", Frames(first=0, end=total)),
            ),
            meta=Meta(title=f"{dish.title()}, step by step", description=f"How my family makes {dish.lower()}.", tags=("cooking", dish.lower())),
            relations=(Relation(kind="other_order", video_id=video_id("recipes", "recipe", number, other)),),
        )

    def step(text: str) -> Sought:
        return Sought(what="words", text=text)

    return Family(
        (clip("a", "b", (one, two, three)), clip("b", "a", (two, one, four))),
        (
            Question(text=f"A recipe that says {one} first and {two} after that", sought=(step(one), step(two)), ordered=True),
            Question(text=f"Cooking {dish.lower()} without the step {four}", sought=(step(dish),), without=(step(four),)),
            Question(text=f"A recipe for {dish.lower()} that has {two} before {one}", sought=(step(two), step(one)), ordered=True),
        ),
    )


def _caption(text: str, form: Form, height: float, centre: Point, ink: str, plate: str, shown: Frames) -> Words:
    return Words(
        text=text, script="latin", centre=centre, height_px=letters(form, height), ink=ink, plate=plate, shown=shown
    )


def _shrunk(clip: Clip, width: int, height: int, quality: int) -> Clip:
    """A copy at another size. Letters shrink with the picture."""
    form = clip.form.model_copy(update={"width": width, "height": height, "quality": quality})
    ratio = height / clip.form.height
    words = tuple(w.model_copy(update={"height_px": round(w.height_px * ratio)}) for w in clip.words)
    return clip.model_copy(update={"form": form, "words": words})


def _trimmed(clip: Clip, first: int, end: int) -> Clip:
    """The frames `first` to `end` as a clip of their own. Sentences must lie within or without, and nothing may be moving."""

    def cut(frames: Frames) -> Frames:
        return Frames(first=max(frames.first, first) - first, end=min(frames.end, end) - first)

    return clip.model_copy(
        update={
            "scenes": tuple(
                Scene(backdrop=s.backdrop, seed=s.seed, frames=cut(s.frames)) for s in clip.scenes if s.frames.first < end
            ),
            "words": tuple(w.model_copy(update={"shown": cut(w.shown)}) for w in clip.words if w.shown.first < end),
            "speech": tuple(s.model_copy(update={"spoken": cut(s.spoken)}) for s in clip.speech if s.spoken.end <= end),
        }
    )
