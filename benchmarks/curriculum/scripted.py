"""A teacher of the world in the form that Hardcut asks for one: a function that knows what each clip shows, and errs.

It sees no pictures. A clip's title is its id, its caption tells its story, and a text is read back into what it asks.
So a run that goes on after a kill gets the same answers. Margins are the truth's sign with normal noise, as those of
the other arms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

from benchmarks.curriculum.stories import COLOURS, HALVES, KINDS, OPPOSITE, SHAPES, SIGNS, Asked, Half, Story
from benchmarks.curriculum.wordings import AND, NOT, THEN, half_of, means, read, reworded
from hardcut.teacher.function import FunctionRequest, Said
from hardcut.teacher.prompts.reply_models import (
    CaptionReply,
    ChangedReply,
    ClaimReply,
    ComposeReply,
    ContrastReply,
    CounterfactualReply,
    FacetReply,
    FollowsReply,
    ParaphraseReply,
    QueriesReply,
    QueryReply,
    SameReply,
    TurnedReply,
    WordingReply,
)

MARGIN, NOISE = 3.5, 1.5
_MENTIONS = 2
"""Facets of a query: one a half."""


class Scripted:
    """Answers every task out of the stories by video id."""

    def __init__(self, stories: Mapping[str, Story]) -> None:
        self._stories = stories

    def __call__(self, asked: FunctionRequest) -> Said:
        inputs: Any = asked.request.inputs
        if asked.request.task == "queries":  # the view `caption` is given the caption's claims alone
            one, two = (half_of(claim["text"]) for claim in inputs["claims"])
            return _queries(Story((one, two)), inputs["forms"])
        if asked.request.task == "paraphrase":
            return _wordings(inputs["queries"])
        if asked.request.task == "same":
            return _compared(inputs["pairs"])
        if asked.request.task == "contrast":
            return _edited(inputs["text"])
        video = str(inputs["evidence"][0]["text"]).removeprefix("title: ")
        story = self._stories[video]
        match asked.request.task:
            case "judge":
                true = read(inputs["query"]).answered_by(story)
                return (MARGIN if true else -MARGIN) + Random(f"{inputs['query']}:{video}").gauss(0, NOISE)
            case "caption":
                return _caption(video, story)
            case "counterfactual":
                return _counterfactuals(video, story, inputs)
            case "compose":
                return _edit(inputs["differences"])
            case task:
                raise ValueError(f"the scripted teacher is not made for {task}")


def _wordings(queries: Any) -> ParaphraseReply:
    said = (WordingReply(number=each["number"], text=reworded(read(each["text"]))) for each in queries)
    return ParaphraseReply(paraphrases=tuple(said))


def _compared(pairs: Any) -> SameReply:
    """No two texts of the world that differ are such that one asks for all that the other does, unless both do."""
    told = (
        FollowsReply(number=each["number"], reason="", follows=_same(each["first"], each["second"])) for each in pairs
    )
    return SameReply(pairs=tuple(told))


def _same(first: str, second: str) -> bool:
    """Whether two texts ask for the same; captions, which are of sentences, where they are the same."""
    if "." in first or "." in second:
        return first == second
    return means(read(first)) == means(read(second))


def _edited(caption: str) -> ContrastReply:
    """A part of a caption with one thing of one half exchanged."""
    halves = caption.rstrip(".").split(". Then ")
    rng = Random(caption)
    place = rng.randrange(len(halves))
    before = half_of(f"a{halves[place][1:]}")
    ways = {"colour": COLOURS, "shape": SHAPES, "direction": tuple(OPPOSITE)} | ({"sign": SIGNS} if before.sign else {})
    name = rng.choice(sorted(ways))
    after = replace(before, **{name: rng.choice([each for each in ways[name] if each != getattr(before, name)])})
    edited = [str(after) if at == place else f"a{half[1:]}" for at, half in enumerate(halves)]
    text = f"{'. Then '.join(edited)}."
    edit, back = (f"{one} in place of {other}" for one, other in ((after, before), (before, after)))
    turned = TurnedReply(nuance="composed", text=text, again=text, text_again=text, edit=edit, back=back)
    return ContrastReply(contrasts=(turned,))


def _edit(differences: Any) -> ComposeReply:
    changes = (f"{each['here']} in place of {each['there']}" for each in differences)
    return ComposeReply(text=" and ".join(changes), language="en", facets=())


def _caption(video: str, story: Story) -> CaptionReply:
    halves = tuple(
        ClaimReply(text=str(half), start=float(at), end=float(at + 1), evidence=())
        for at, half in enumerate(story.halves)
    )
    return CaptionReply(short=Random(f"{video}/short").choice(story.captions), claims=halves)


def _queries(story: Story, forms: Any) -> QueriesReply:
    written: dict[str, QueryReply] = {}
    for number, form in enumerate(forms):
        kind = KINDS[number % len(KINDS)]
        asked = _asked(kind, story, Random(f"{story.caption}/query/{number}"))
        if asked is None:
            continue
        written[asked.text] = QueryReply(
            text=asked.text,
            language="en",
            view=form["view"],
            kind="event" if kind == "composed" else kind,  # Hardcut's composed queries start from another video
            style=form["style"],
            facets=_facets(asked, story),
        )
    return QueriesReply(queries=tuple(written.values()))


def _facets(asked: Asked, story: Story) -> tuple[FacetReply, ...]:
    """The halves that are asked for, each where the clip shows it."""
    found = []
    for wanted in asked.wanted[:_MENTIONS]:
        at = next((place for place, half in enumerate(story.halves) if half.has(wanted)), None)
        span = (None, None) if at is None else (float(at), float(at + 1))
        found.append(FacetReply(text=str(wanted), modality="motion", start=span[0], end=span[1]))
    return tuple(found)


def _asked(kind: str, story: Story, rng: Random) -> Asked | None:
    """A query of a kind that the clip answers; None where there is none."""
    details = rng.choice(((), ("direction",), ("sign",)))
    told = tuple(
        Half(half.colour, half.shape, **{name: getattr(half, name) for name in details}) for half in story.halves
    )
    at = rng.randrange(2)
    if kind == "temporal":
        return _made(Asked(kind, "", told, ordered=True))
    if kind == "negation":
        return _denial(Asked(kind, "", told), story, "direction or sign", rng, there=False)
    if kind == "composed":
        return _made(Asked(kind, "", (story.halves[at],)))
    if kind == "moment":
        return _made(Asked(kind, "", (story.halves[at],), at=at))
    bare = [Half(half.colour, half.shape) for half in story.halves]
    return _made(Asked(kind, "", (bare[at], bare[1 - at])))


def _counterfactuals(video: str, story: Story, inputs: Any) -> CounterfactualReply:
    meant = read(inputs["query"])
    stands = {each["variant"]: read(each["text"]) for each in inputs["written"]}
    written = []
    for variant in inputs["variants"]:
        tries = sum(each["variant"] == variant for each in inputs["rejected"])
        rng = Random(f"{video}/{inputs['query']}/{tries}")
        if variant == "reversed":
            made = _reversed(meant, rng)
        elif variant == "facet_changed":
            made = _exchanged(meant, rng)
        else:
            other = stands.get("negated_absent" if variant == "negated" else "negated")
            what = _denied(other) if other else rng.choice(("direction", "sign"))  # alike for both sides of a block
            made = _denial(meant, story, what, rng, there=variant == "negated")
        if made:
            written.append(ChangedReply(variant=variant, text=made.text, facets=_facets(made, story)))
    return CounterfactualReply(queries=tuple(written))


def _reversed(meant: Asked, rng: Random) -> Asked | None:
    """The halves in the other order, or a direction turned round; None where the query has neither."""
    if meant.without is not None:
        return None
    if meant.ordered:
        return _made(replace(meant, wanted=meant.wanted[::-1]))
    moving = [place for place, half in enumerate(meant.wanted) if half.direction]
    if not moving:
        return None
    place = rng.choice(moving)
    turned = replace(meant.wanted[place], direction=OPPOSITE[meant.wanted[place].direction])
    return _made(replace(meant, wanted=(*meant.wanted[:place], turned, *meant.wanted[place + 1 :])))


def _exchanged(meant: Asked, rng: Random) -> Asked | None:
    """Colours or shapes of two things exchanged; of one thing its colour, shape or sign for another."""
    if meant.without is not None:
        return None
    if len(meant.wanted) == 2:
        name = rng.choice(("colour", "shape"))
        one, two = meant.wanted
        pair = replace(one, **{name: getattr(two, name)}), replace(two, **{name: getattr(one, name)})
        return _made(replace(meant, wanted=pair))
    [half] = meant.wanted
    ways = {"colour": COLOURS, "shape": SHAPES} | ({"sign": SIGNS} if half.sign else {})
    name = rng.choice(sorted(ways))
    other = rng.choice([each for each in ways[name] if each != getattr(half, name)])
    return _made(replace(meant, wanted=(replace(half, **{name: other}),)))


def _denial(meant: Asked, story: Story, what: str, rng: Random, *, there: bool) -> Asked | None:
    """The query with a direction or a sign denied that the clip has and the query does not ask for, or that it has
    not; None where there is nothing to deny."""
    if len(meant.wanted) != 2 or meant.ordered:
        return None
    said = {(name, getattr(half, name)) for half in meant.wanted for name in ("direction", "sign")}
    shown = {(name, getattr(half, name)) for half in story.halves for name in ("direction", "sign")}
    known = {("direction", each) for each in OPPOSITE} | {("sign", each) for each in SIGNS}
    deniable = {each[0] for each in shown - said if each[1]}  # of a kind that could be denied on the other side too
    fit = [
        each for each in sorted(shown & known if there else known - shown) if each[0] in deniable and each not in said
    ]
    name, value = rng.choice([each for each in fit if each[0] in what] or fit or [("", "")])
    return _made(replace(meant, without=Half(**{name: value}))) if name else None


def _denied(asked: Asked) -> str:
    return "direction" if asked.without and asked.without.direction else "sign"


def _made(asked: Asked) -> Asked:
    """The same with its text."""
    told = (THEN if asked.ordered else AND).join(map(str, asked.wanted))
    if asked.at is not None:
        told = f"{HALVES[asked.at]} {told}"
    if asked.without is not None:
        denied = asked.without
        told += NOT + (f"moves {denied.direction}" if denied.direction else f"under {denied.sign}")
    return replace(asked, text=told)
