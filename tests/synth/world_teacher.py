"""A teacher that knows what is true of a rendered world, and errs as often as it is told to.

What it writes is looked up by its text: `meaning` says what each text asks of a clip, in the terms of the world's own
truth program (`hardcut.data.truth.answers`), which alone decides what is true.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from pydantic import BaseModel

from hardcut.data.model import Clip, Question, Sought, World
from hardcut.data.truth import answers
from hardcut.schemas.ids import digest
from hardcut.schemas.records import Evidence, Modality, Sampling, Span, TeacherRef
from hardcut.teacher.prompts.reply_models import (
    CaptionReply,
    ChangedReply,
    CheckReply,
    ClaimReply,
    ComposeReply,
    ContrastReply,
    CorrectionReply,
    CounterfactualReply,
    FacetReply,
    FollowsReply,
    ParaphraseReply,
    QueriesReply,
    QueryReply,
    RefineReply,
    SameReply,
    TranslateReply,
    TurnedReply,
    VerdictReply,
    WordingReply,
)
from hardcut.teacher.protocol import Answer, Outcome, Reply, Request, Task

OPPOSITE = {
    "left to right": "right to left", "right to left": "left to right", "upwards": "downwards",
    "downwards": "upwards", "opens": "closes", "closes": "opens",
}  # fmt: skip


SLIPS = (
    "the query again", "reworded", "another that holds", "denies what is not there", "exchanged for what is there too",
    "asks for less",
)  # fmt: skip
"""What language models write where they are asked for a query that a video does not answer: no change or none in
meaning (DocReRank rewrites for that), something that holds of the video too (TARA's verification is for that), the
denial of what nobody would expect there (as NegBench has), and a condition left out."""


class Item(NamedTuple):
    """Something that is true of a clip, with where."""

    sought: Sought
    modality: Modality
    start: float
    end: float

    @property
    def facet(self) -> FacetReply:
        return FacetReply(text=phrase(self.sought), modality=self.modality, start=self.start, end=self.end)


def items_of(clip: Clip) -> list[Item]:
    """All that can be asked of a clip, in order of time."""
    rate = clip.form.rate
    found = []
    for words in clip.words:
        if words.legible:
            span = words.shown.seconds(rate)
            found.append(Item(Sought(what="words", text=words.text), "ocr", span.start, span.end))
    for sentence in clip.speech:
        span = sentence.spoken.seconds(rate)
        found.append(Item(Sought(what="speech", text=sentence.text), "speech", span.start, span.end))
    for thing in clip.things:
        if thing.direction != "still":
            span = thing.moving.seconds(rate)
            sought = Sought(what="thing", shape=thing.shape, colour=thing.colour, direction=thing.direction)
            found.append(Item(sought, "motion", span.start, span.end))
    return sorted(found, key=lambda item: (item.start, item.end, phrase(item.sought)))


def evidence_of(clip: Clip) -> list[Evidence]:
    """What perfect extractors would find: texts, speech, movements, title."""
    rate = clip.form.rate
    found: list[tuple[str, str, Span | None]] = [
        ("ocr", words.text, words.shown.seconds(rate)) for words in clip.words if words.legible
    ]
    found += [("speech", sentence.text, sentence.spoken.seconds(rate)) for sentence in clip.speech]
    for thing in clip.things:
        if thing.direction not in ("still", "opens", "closes"):
            way = f"from {thing.direction}" if " to " in thing.direction else thing.direction
            found.append(("motion", f"a {thing.colour} thing moves {way}", thing.moving.seconds(rate)))
    found.append(("metadata", f"title: {clip.meta.title}", None))
    return [
        Evidence.create(video_id=clip.video_id, kind=kind, text=text, span=span, confidence=0.9, extractor="truth")
        for kind, text, span in found
    ]


def phrase(sought: Sought) -> str:
    if sought.what == "thing":
        way = sought.direction or ""
        does = way if way in ("opens", "closes") else f"moves {'from ' if ' to ' in way else ''}{way}"
        return f"{sought.colour} {sought.shape} {does}"
    return sought.text


def clause(sought: Sought) -> str:
    if sought.what == "thing":
        return f"a {phrase(sought)}"
    return f'someone says "{sought.text}"' if sought.what == "speech" else f'the text "{sought.text}" is shown'


@dataclass
class WorldTeacher:
    """`planted`: share of captions with a claim that is not true. `check`, `writer`, `judge`, `paraphraser`: how often
    verdicts on claims, counterfactuals, judgments and paraphrases are wrong. Answers are the same every time."""

    world: World
    seed: int = 0
    planted: float = 0.0
    check: float = 0.0
    writer: float = 0.0
    judge: float = 0.0
    paraphraser: float = 0.0
    meaning: dict[str, Question] = field(default_factory=dict)
    lies: dict[str, str] = field(default_factory=dict)
    first_tries: list[tuple[str, str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._clips = {clip.video_id: clip for clip in self.world.clips}
        self._clip_of = {item.evidence_id: clip for clip in self.world.clips for item in evidence_of(clip)}
        self._all = {item.sought for clip in self.world.clips for item in items_of(clip)}
        self._pool = sorted(self._all, key=clause)

    def describe(self, task: Task, sampling: Sampling) -> TeacherRef:
        return TeacherRef(backend="world", model=str(self.seed), prompt_digest=digest(task), sampling=sampling)

    async def complete(self, requests: Sequence[Request]) -> list[Outcome]:
        return [self._reply(request) for request in requests]

    def knows(self, video_id: str, evidence: Iterable[Evidence]) -> None:
        """Other evidence of a clip than perfect extractors give."""
        self._clip_of |= {item.evidence_id: self._clips[video_id] for item in evidence}

    async def close(self) -> None:
        pass

    def true_of(self, video_id: str, text: str) -> bool:
        """Whether the clip shows what the text says."""
        return answers(self._clips[video_id], self.meaning[text])

    def _reply(self, request: Request) -> Reply:
        teacher = self.describe(request.task, request.sampling)
        inputs: Any = request.inputs
        if request.task == "judge":
            verdict = self._verdict(inputs)
            yes = -0.01 if verdict else -5.0
            return Reply("", teacher, answer=Answer("yes" if verdict else "no", yes, -5.01 - yes), reasoning="seen")
        parsed: BaseModel = getattr(self, f"_{request.task}")(inputs)
        return Reply(parsed.model_dump_json(), teacher, parsed=parsed)

    def _clip(self, inputs: Any) -> Clip:
        return self._clip_of[inputs["evidence"][0]["id"]]

    def _rng(self, *of: object) -> Random:
        return Random(digest(self.seed, [str(each) for each in of]))

    def _say(
        self, wording: int, sought: Sequence[Sought], *, ordered: bool = False, without: Sequence[Sought] = ()
    ) -> str:
        said = [clause(each) for each in sought]
        if not said:
            text = f"a clip in which not once {clause(without[0])}"
        elif len(said) == 1:
            text = (said[0], f"a clip where {said[0]}", f"footage in which {said[0]}")[wording % 3]
        elif ordered:
            a, b = said[0], said[1]
            text = (f"{a} before {b}", f"first {a} and later {b}", f"{b} after {a}")[wording % 3]
        else:
            text = (f"{said[0]} and also {said[1]}", f"both: {said[0]}, {said[1]}", f"{said[1]} and {said[0]}")[
                wording % 3
            ]
        if without and said:
            text += f", but not once {clause(without[0])}"
        question = Question(text=text, sought=tuple(sought), ordered=ordered, without=tuple(without))
        assert self.meaning.setdefault(text, question) == question
        return text

    # The tasks

    def _verdict(self, inputs: Any) -> bool:
        clip = self._clip(inputs)
        wrong = self._rng("judge", clip.video_id, inputs["query"]).random() < self.judge
        return self.true_of(clip.video_id, inputs["query"]) != wrong

    def _caption(self, inputs: Any) -> CaptionReply:
        clip = self._clip(inputs)
        rng = self._rng("caption", clip.video_id)
        evidence = {line["text"]: line["id"] for line in inputs["evidence"]}
        claims = [
            ClaimReply(
                text=self._say(0, [item.sought]), start=item.start, end=item.end,
                evidence=tuple(filter(None, [evidence.get(item.sought.text)])),
            )
            for item in items_of(clip)[:5]
        ]  # fmt: skip
        if rng.random() < self.planted:
            lie = ClaimReply(text=self._say(0, [self._absent(clip, rng)]), start=None, end=None, evidence=())
            claims.insert(rng.randrange(len(claims) + 1), lie)
            self.lies[clip.video_id] = lie.text
        return CaptionReply(short=self._say(1, [items_of(clip)[0].sought]), claims=tuple(claims))

    def _absent(self, clip: Clip, rng: Random) -> Sought:
        while True:
            sought = rng.choice(self._pool)
            if not answers(clip, Question(text="?", sought=(sought,))):
                return sought

    def _check(self, inputs: Any) -> CheckReply:
        clip = self._clip(inputs)
        verdicts = []
        for claim in inputs["claims"]:
            wrong = self._rng("check", clip.video_id, claim["text"]).random() < self.check
            supported = self.true_of(clip.video_id, claim["text"]) != wrong
            verdicts.append(
                VerdictReply(number=claim["number"], problem="" if supported else "no", supported=supported)
            )
        return CheckReply(claims=tuple(verdicts))

    def _refine(self, inputs: Any) -> RefineReply:
        """Half of the claims are left out, a quarter said otherwise and still wrong, a quarter mended."""
        clip = self._clip(inputs)
        corrections = []
        for claim in inputs["claims"]:
            rng = self._rng("refine", clip.video_id, claim["text"])
            chance = rng.random()
            if chance < 0.5:
                continue
            item = rng.choice(items_of(clip))
            text = self._say(2, [item.sought if chance < 0.75 else self._absent(clip, rng)])
            corrections.append(CorrectionReply(number=claim["number"], text=text, start=None, end=None, evidence=()))
        return RefineReply(claims=tuple(corrections))

    def _queries(self, inputs: Any) -> QueriesReply:
        clip = self._clip(inputs)
        items = items_of(clip)
        written: dict[str, QueryReply] = {}
        for form in (form for form in inputs["forms"] if form["view"] == inputs["view"]):
            view = form["view"]
            if view == "metadata":
                text = f"the one that is called {clip.meta.title}"
                self.meaning[text] = Question(text=text, sought=())
                facet = FacetReply(text=clip.meta.title, modality="metadata", start=None, end=None)
                fields = {"text": text, "language": "en", "view": view, "kind": "event", "style": form["style"]}
                written[text] = QueryReply(**fields, facets=(facet,))
                continue
            mine = [item for item in items if view in ("caption", "all") or item.modality == view]
            ways = [each for each in self._ways(mine, clip, view) if each[1] not in written]
            if ways:
                kind, text, facets = self._rng("query", clip.video_id, view, len(written)).choice(ways)
                written[text] = QueryReply(
                    text=text, language="en", view=view, kind=kind, style=form["style"], facets=facets
                )
        return QueriesReply(queries=tuple(written.values()))

    def _ways(self, items: list[Item], clip: Clip, view: str) -> list[Any]:
        ways: list[Any] = []
        rng = self._rng("way", clip.video_id, view)
        for a in items:
            ways.append((rng.choice(("event", "moment")), self._say(rng.randrange(3), [a.sought]), (a.facet,)))
            gone = self._absent(clip, rng)
            ways.append(("negation", self._say(rng.randrange(3), [a.sought], without=[gone]), (a.facet,)))
            for b in items:
                if a.end <= b.start:
                    kind = "temporal" if a.modality == b.modality else "multi_hop"
                    text = self._say(rng.randrange(3), [a.sought, b.sought], ordered=True)
                    ways.append((kind, text, (a.facet, b.facet)))
                elif a.modality != b.modality:
                    text = self._say(rng.randrange(3), [a.sought, b.sought])
                    ways.append(("multi_hop", text, (a.facet, b.facet)))
        if view == "all":
            ways = [way for way in ways if way[0] == "multi_hop"]
        return ways

    def _compose(self, inputs: Any) -> ComposeReply:
        clip = self._clip(inputs)
        items = items_of(clip)
        pairs = [(a, b) for a in items for b in items if a.end <= b.start]
        chosen = pairs[0] if pairs else (items[0],)
        said = self._say(0, [item.sought for item in chosen], ordered=len(chosen) > 1)
        text = f"the same, but {said}"
        self.meaning[text] = self.meaning[said]
        return ComposeReply(text=text, language="en", facets=tuple(item.facet for item in chosen))

    def _paraphrase(self, inputs: Any) -> ParaphraseReply:
        written = []
        for query in inputs["queries"]:
            meant = self.meaning[query["text"]]
            if not meant.sought and not meant.without:
                continue  # a title
            rng = self._rng("paraphrase", query["text"])
            sought, without = list(meant.sought), list(meant.without)
            if rng.random() < self.paraphraser:
                without = [rng.choice(self._pool)]
            texts = (self._say(n, sought, ordered=meant.ordered, without=without) for n in range(3))
            text = next((text for text in texts if text != query["text"]), None)
            if text:
                written.append(WordingReply(number=query["number"], text=text))
        return ParaphraseReply(paraphrases=tuple(written))

    def _translate(self, inputs: Any) -> TranslateReply:
        return TranslateReply(translations=())

    def told_in(self, caption: str) -> list[Sought]:
        """What a caption tells, out of what the clips have, in its order."""
        said = {clause(each): each for each in self._pool}
        longest_first = "|".join(map(re.escape, sorted(said, key=len, reverse=True)))
        return [said[found] for found in re.findall(longest_first, caption)]

    def _contrast(self, inputs: Any) -> ContrastReply:
        """One thing of a caption exchanged for another."""
        rng = self._rng("contrast", inputs["text"])
        told = self.told_in(inputs["text"])
        before, after = rng.choice(told), rng.choice([each for each in self._pool if each not in told])
        if inputs["nuances"] != ["composed"] or clause(before) not in inputs["text"]:
            return ContrastReply(contrasts=())
        edits = [f"{clause(one)} in place of {clause(other)}" for one, other in ((after, before), (before, after))]
        text = inputs["text"].replace(clause(before), clause(after), 1)
        turned = TurnedReply(nuance="composed", text=text, again=text, text_again=text, edit=edits[0], back=edits[1])
        return ContrastReply(contrasts=(turned,))

    def _same(self, inputs: Any) -> SameReply:
        def parts(text: str) -> set[object]:
            if text not in self.meaning:
                return set(self.told_in(text))
            meant = self.meaning[text]
            order = [tuple(meant.sought)] if meant.ordered else []
            return {*meant.sought, *order, *(("no", each) for each in meant.without)}

        pairs = [
            FollowsReply(number=each["number"], reason="", follows=parts(each["second"]) <= parts(each["first"]))
            for each in inputs["pairs"]
        ]
        return SameReply(pairs=tuple(pairs))

    def _counterfactual(self, inputs: Any) -> CounterfactualReply:
        clip = self._clip(inputs)
        written = []
        for variant in inputs["variants"]:
            tries = sum(each["variant"] == variant for each in inputs["rejected"])
            rng = self._rng("counterfactual", clip.video_id, inputs["query"], variant, tries)
            made = self._change(clip, self.meaning[inputs["query"]], variant, rng)
            if made is None:
                continue
            slip, (text, facets) = "", made
            if rng.random() < self.writer:
                slip, text, facets = self._slip(clip, inputs["query"], made, rng)
            if not tries:
                self.first_tries.append((clip.video_id, text, slip, variant))
            written.append(ChangedReply(variant=variant, text=text, facets=facets))
        return CounterfactualReply(queries=tuple(written))

    def _slip(
        self, clip: Clip, query: str, made: tuple[str, tuple[FacetReply, ...]], rng: Random
    ) -> tuple[str, str, tuple[FacetReply, ...]]:
        """What a model writes in place of a counterfactual, each kind as often: which (`SLIPS`), text, facets."""
        meant, item = self.meaning[query], rng.choice(items_of(clip))
        sought, without, ordered = meant.sought, meant.without, meant.ordered
        slip, wording = rng.choice(SLIPS), rng.randrange(3)
        text = query
        if slip == "reworded":
            texts = [self._say(n, sought, ordered=ordered, without=without) for n in range(3)]
            text = next((text for text in texts if text != query), query)
        elif slip == "another that holds":
            text = self._say(wording, [item.sought])
        elif slip == "denies what is not there":
            text = self._say(wording, [item.sought], without=[self._absent(clip, rng)])
        elif slip == "exchanged for what is there too":
            kept = [each for each in sought[:-1] if each != item.sought]
            text = self._say(wording, [*kept, item.sought], ordered=ordered and bool(kept))
        elif slip == "asks for less" and sought:
            text = self._say(wording, [rng.choice(sought)])
        return slip, text, (item.facet,) if text != query else made[1]

    def _change(
        self, clip: Clip, meant: Question, variant: str, rng: Random
    ) -> tuple[str, tuple[FacetReply, ...]] | None:
        """The counterfactual as it should be; None where there is none."""
        places = {item.sought: item for item in items_of(clip)}
        facets = tuple(places[each].facet for each in meant.sought if each in places)
        wording, sought = rng.randrange(3), list(meant.sought)
        first = sought[0] if sought else None
        if variant == "reversed":
            if meant.ordered:
                return self._say(wording, sought[::-1], ordered=True), facets
            if first and first.direction:
                turned = first.model_copy(update={"direction": OPPOSITE[first.direction]})
                return self._say(wording, [turned, *sought[1:]]), facets
            return None
        if variant == "negated":
            others = [item for item in places.values() if item.sought not in sought]
            denied = rng.choice(others) if others else rng.choice(list(places.values()))
            kept = [each for each in sought[:1] if each != denied.sought]
            return self._say(wording, kept, without=[denied.sought]), (*facets, denied.facet)
        if variant == "negated_absent":
            kept = sought[: 1 if len(places) > 1 else 0]
            return self._say(wording, kept, without=[self._absent(clip, rng)]), facets
        other = self._absent(clip, rng)
        rest = [*sought[:-1], other] if sought else [other]
        return self._say(wording, rest, ordered=meant.ordered and len(rest) > 1), facets or ()
