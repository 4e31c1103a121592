"""Stage triplets: triplets of texts for embedding models, out of queries, counterfactuals and twins (TARA).

A query and its counterfactual are the anchor and the hard negative that TARA trains with. What a triplet lacks is a
positive: the teacher words both again, and compares what it wrote. So each set has two meanings in two wordings, and
no text tells by itself which one it is (`contrasts.balanced_set`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import JsonValue

from hardcut.engine.stage import Earlier, Output, Unit
from hardcut.schemas.base import Record
from hardcut.schemas.ids import content_id
from hardcut.schemas.records import Caption, Query, Sampling, Video
from hardcut.schemas.settings import TripletSettings
from hardcut.schemas.text.clean import clean
from hardcut.schemas.triplets import AFFIRMED, TextSource, Triplet
from hardcut.schemas.twin import Twin
from hardcut.synth.contrasts import Contrast, Said, composed_triplet, contrasts_of, query_triplets, told
from hardcut.synth.edited import PARTS, edit_fault, edited_set, parts_of
from hardcut.synth.requests import (
    Asker,
    DropLog,
    by_former_rules,
    describe_tasks,
    joint_failure,
    parsed_reply,
    refuse_unsent,
)
from hardcut.synth.rewording.compared import Comparison, compared
from hardcut.teacher.prompts.reply_models import ContrastReply, ParaphraseReply, TurnedReply
from hardcut.teacher.protocol import Refusal, Task, Teacher

_TOGETHER = 16
"""Texts in one request to reword."""


@dataclass(frozen=True, slots=True)
class TripletStage:
    """Makes the Triplets of every video with counterfactuals. What the teacher does not answer fails it in part.

    `reference` gives Video and Caption of another video, the one that a composed query starts from. A pair of texts of
    which one asks for all that the other does is no contrast (`not_apart`), also of captions of twins; a wording that
    asks for more or less than its text is left out (`meaning_changed`).
    """

    teacher: Teacher
    sampling: Sampling
    options: TripletSettings
    reference: Callable[[str], Unit]

    kind: ClassVar[Literal["unit"]] = "unit"
    name: ClassVar[str] = "triplets"
    version: ClassVar[int] = 4
    over: ClassVar[str] = "counterfactuals"
    reads: ClassVar[tuple[type[Record], ...]] = (Video, Caption, Query, Twin)
    makes: ClassVar[tuple[type[Record], ...]] = (Triplet,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        tasks: list[Task] = ["paraphrase", "same"] if self.options.paraphrases else []
        tasks += ["contrast", "same"] if "composed" in self.options.nuances else []
        tasks = list(dict.fromkeys(tasks))
        return {
            **self.options.model_dump(mode="json"),
            "teachers": describe_tasks(self.teacher, tasks, self.sampling),
        }

    @property
    def earlier(self) -> Sequence[Earlier]:
        """Version 3 did not compare the captions of twins. The rules of the `evidence` teacher exchanged the colours of
        a whole picture, and colours for others like them."""
        return by_former_rules(self, {"contrast": "11"}, (3,))

    async def run(self, unit: Unit) -> Output:
        drops = DropLog(unit.one(Video), self.name)
        work = _Work(Asker(self.teacher, self.sampling, drops=drops), self.options, drops)
        triplets = await work.of_queries(unit.all(Query)) if self.options.paraphrases else []
        if "composed" in self.options.nuances:
            triplets += await work.apart(self._composed(unit, drops))
            triplets += await work.of_captions(unit.all(Caption))
        unique = {triplet.triplet_id: triplet for triplet in triplets}
        return Output(list(unique.values()), drops.records, failure=joint_failure(work.refused))

    def _composed(self, unit: Unit, drops: DropLog) -> list[Triplet]:
        """A triplet for each composed query of the video."""
        twins = {twin.other_video_id: twin for twin in unit.all(Twin)}
        found = []
        for query in unit.all(Query):
            twin = twins.get(query.reference_video_id or "")
            if query.kind != "composed" or query.variant != "original" or twin is None:
                continue
            captions = self.reference(twin.other_video_id).all(Caption)
            triplet = composed_triplet(query, twin, unit.one(Caption), captions[0]) if captions else None
            if triplet is None:
                drops.drop("no_claim", f"composed: no claims tell how it differs from {twin.other_video_id}", query.id)
            else:
                found.append(triplet)
        return found


@dataclass(slots=True)
class _Work:
    """The triplets of one video's queries. `refused` are the questions that were not answered."""

    asker: Asker
    options: TripletSettings
    drops: DropLog
    refused: dict[str, Refusal] = field(default_factory=dict)

    async def of_queries(self, queries: Sequence[Query]) -> list[Triplet]:
        """The sets of all contrasts. Raises ItemError where a question is only listened to."""
        contrasts = list(contrasts_of(queries, self.options.nuances))
        sides = {said.source.id: said for each in contrasts for said in (each.one, each.other)}
        wordings = await self._wordings(list(sides.values()))
        refuse_unsent(self.refused)
        texts = [(sides[id].text, text) for id, some in wordings.items() for text in some]
        checked = await compared(self.asker, [*texts, *((each.one.text, each.other.text) for each in contrasts)])
        self.refused |= checked.refused
        same = {
            id: [text for text in some if self._says_the_same(sides[id], text, checked)]
            for id, some in wordings.items()
        }
        teacher = self.asker.answered_by("paraphrase")
        triplets: list[Triplet] = []
        for contrast in contrasts:
            if not self._is_apart(contrast, checked):
                continue
            pairs = list(zip(*(same.get(side.source.id, ()) for side in (contrast.one, contrast.other)), strict=False))
            for turn, (one, other) in enumerate(pairs):
                if len({_plain(text) for text in (one, other, contrast.one.text, contrast.other.text)}) < 4:
                    self._drop("not_apart", contrast.other, f"{contrast.what} have a wording in common")
                    continue
                triplets += query_triplets(contrast, one, other, turn, teacher)
            if not pairs:
                self._drop("not_reworded", contrast.other, f"{contrast.what}: not both have a wording that can be used")
        return triplets

    async def apart(self, triplets: Sequence[Triplet]) -> list[Triplet]:
        """The composed triplets of twins whose captions differ in what they ask for, both ways: of two that tell of the
        same in another order one may leave open what comes first. Raises ItemError where a question is only listened
        to."""
        pairs = [(each.positive, each.hard_negative) for each in triplets]
        checked = await compared(self.asker, pairs)
        self.refused |= checked.refused
        kept: list[Triplet] = []
        for triplet, (one, other) in zip(triplets, pairs, strict=True):
            if not (checked.was_answered(one, other) and checked.was_answered(other, one)):
                continue
            likeness = checked.likeness(one, other)
            if likeness is None:
                kept.append(triplet)
            else:
                self.drops.drop("not_apart", f"composed: {one!r} and {other!r}: {likeness}", triplet.family)
        return kept

    async def of_captions(self, captions: Sequence[Caption]) -> list[Triplet]:
        """The sets of edits of the video's first caption, in parts. An edited part that says nothing beyond all claims
        of the caption, in their order, is no edit. Raises ItemError where a question is only listened to."""
        parts = [(caption, text) for caption in captions[:1] for text in parts_of(caption, self.options.max_words)]
        asked: list[dict[str, JsonValue]] = [
            {"text": text, "nuances": ["composed"], "max_words": self.options.max_words} for _, text in parts
        ]
        written: list[tuple[Caption, str, TurnedReply]] = []
        for number, (part, outcome) in enumerate(
            zip(parts, await self.asker.outcomes("contrast", ContrastReply, asked), strict=True), 1
        ):
            if isinstance(outcome, Refusal):
                self.refused[f"edit {number}"] = outcome
            else:
                written += [(*part, each) for each in self._edits(*part, parsed_reply(outcome, ContrastReply))]
        refuse_unsent(self.refused)
        pairs = [(text, each.text) for _, text, each in written]
        whole = {caption.caption_id: told(caption.claims) for caption in captions[:1]}
        pairs += [(whole[caption.caption_id], each.text) for caption, _, each in written]
        checked = await compared(self.asker, pairs)
        self.refused |= checked.refused
        teacher, made = self.asker.answered_by("contrast"), list[Triplet]()
        for caption, text, each in written:
            given = Said(text, TextSource(kind="caption", id=caption.caption_id, teacher=caption.teacher))
            other = Said(each.text, TextSource(kind="written", id=caption.caption_id, teacher=teacher))
            ways = ((text, each.text), (each.text, text), (whole[caption.caption_id], each.text))
            if not all(checked.was_answered(*way) for way in ways):
                continue
            same = next((way for way in ways if checked.beyond(*way) is None), None)
            if same is not None:
                self._drop("not_apart", given, f"composed: whatever answers {same[0]!r} answers {same[1]!r}")
            else:
                set_id = content_id("s", "composed", caption.video_id, text, each.text)
                made += edited_set(given, other, each, set_id, made_from=caption.video_id)
        return made

    def _edits(self, caption: Caption, text: str, reply: ContrastReply) -> list[TurnedReply]:
        """The edit of a text that was written; none where it cannot be used."""
        source = Said(text, TextSource(kind="caption", id=caption.caption_id))
        composed = [each for each in reply.contrasts if each.nuance == "composed"][:1]
        fault = edit_fault(text, composed[0], self.options.max_words) if composed else "not_written"
        if fault:
            self._drop(fault, source, f"edit of {clean(text, 200)!r}")
        return [] if fault else composed

    async def _wordings(self, queries: Sequence[Said]) -> dict[str, list[str]]:
        """Other wordings of each text by its source's id, at most as many as are asked for, each said once."""
        parts = [queries[at : at + _TOGETHER] for at in range(0, len(queries), _TOGETHER)]
        asked: list[dict[str, JsonValue]] = [
            {"queries": _inputs(part), "count": self.options.paraphrases, "max_words": self.options.max_words}
            for part in parts
        ]
        found: dict[str, list[str]] = defaultdict(list)
        for number, (part, outcome) in enumerate(
            zip(parts, await self.asker.outcomes("paraphrase", ParaphraseReply, asked), strict=True), 1
        ):
            if isinstance(outcome, Refusal):
                self.refused[f"wordings {number}"] = outcome
                continue
            for each in parsed_reply(outcome, ParaphraseReply).paraphrases:
                if 1 <= each.number <= len(part):
                    self._take(part[each.number - 1], clean(each.text), found)
        return found

    def _take(self, query: Said, text: str, found: dict[str, list[str]]) -> None:
        """Keeps a wording that can be used."""
        kept = found[query.source.id]
        if len(kept) >= self.options.paraphrases:
            return
        if not text or _plain(text) in {_plain(query.text), *map(_plain, kept)}:
            self._drop("duplicate" if text else "empty", query, _wording(query, text))
        elif len(text.split()) > self.options.max_words:
            self._drop("too_long", query, _wording(query, text))
        else:
            kept.append(text)

    def _says_the_same(self, query: Said, text: str, checked: Comparison) -> bool:
        faults = checked.differences(query.text, text)
        if faults:
            self._drop("meaning_changed", query, f"{_wording(query, text)}: {'; '.join(faults)}")
        return not faults

    def _is_apart(self, contrast: Contrast, checked: Comparison) -> bool:
        """Whether neither of the two asks for all that the other does. What was not answered is among what was
        refused."""
        one, other = contrast.one.text, contrast.other.text
        if not (checked.was_answered(one, other) and checked.was_answered(other, one)):
            return False
        likeness = checked.likeness(one, other)
        if likeness is not None:
            self._drop("not_apart", contrast.other, f"{contrast.what}: {likeness}")
        return likeness is None

    def _drop(self, reason: str, said: Said, detail: str) -> None:
        """Records what is left out under the query that the text is from."""
        self.drops.drop(reason, detail, said.source.id.removesuffix(AFFIRMED))


def triplet_requests(texts: int, options: TripletSettings) -> int:
    """About how many questions a video takes with so many queries and counterfactuals: to reword them, and to compare
    them with their wordings and, about as often, with each other, both ways; and to edit its caption in parts."""
    asked = -(-texts // _TOGETHER) + -(-4 * texts // _TOGETHER) if options.paraphrases else 0
    return asked + (PARTS + 1) * ("composed" in options.nuances)


def _wording(query: Said, text: str) -> str:
    return f"wording of {query.text!r}: {clean(text, 200)!r}"


def _inputs(queries: Iterable[Said]) -> list[JsonValue]:
    return [
        {"number": number, "text": query.text, "language": query.language} for number, query in enumerate(queries, 1)
    ]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
