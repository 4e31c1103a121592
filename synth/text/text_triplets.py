"""Stage text_triplets: triplets out of captions, or out of premises with their entailments and contradictions.

Of a caption the teacher writes another one that differs in a nuance, and both again in other words (TARA's antonyms,
negators and edits). Of NLI triples it words the contradiction again, so that entailment and contradiction are each once
a positive and once a negative: alone, contradictions are told by their words (Gururangan et al., NAACL 2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import JsonValue

from hardcut.engine.stage import Earlier, Output, Unit
from hardcut.schemas.base import Record
from hardcut.schemas.ids import content_id
from hardcut.schemas.records import Dropped, Sampling
from hardcut.schemas.settings import TripletSettings
from hardcut.schemas.text.clean import clean
from hardcut.schemas.text.direction import split_directions
from hardcut.schemas.text.words import words
from hardcut.schemas.triplets import NUANCES, Nuance, TextSource, Triplet
from hardcut.synth.contrasts import Said, balanced_set, triplet_of
from hardcut.synth.edited import edit_fault, edited_set
from hardcut.synth.requests import Asker, by_former_rules, describe_tasks, parsed_reply
from hardcut.synth.rewording.compared import Comparison, compared
from hardcut.synth.text.item import TextItem
from hardcut.teacher.prompts.reply_models import ContrastReply, ParaphraseReply, TurnedReply
from hardcut.teacher.protocol import Refusal, Task, Teacher
from hardcut.teacher.rules.judge import NEGATIONS

_UNKNOWN = "und"
"""The language of a caption: nobody says it."""


@dataclass(frozen=True, slots=True)
class TextTripletStage:
    """Makes the Triplets of each TextItem. Raises ItemError where the teacher does not answer."""

    teacher: Teacher
    sampling: Sampling
    options: TripletSettings

    kind: ClassVar[Literal["unit"]] = "unit"
    name: ClassVar[str] = "text_triplets"
    version: ClassVar[int] = 1
    over: ClassVar[None] = None
    reads: ClassVar[tuple[type[Record], ...]] = ()
    makes: ClassVar[tuple[type[Record], ...]] = (Triplet,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        tasks: list[Task] = ["contrast", "paraphrase", "same"]
        return {
            **self.options.model_dump(mode="json"),
            "teachers": describe_tasks(self.teacher, tasks, self.sampling),
        }

    @property
    def earlier(self) -> Sequence[Earlier]:
        """The rules of the `evidence` teacher exchanged colours for others like them."""
        return by_former_rules(self, {"contrast": "11"}, (1,))

    async def run(self, unit: Unit) -> Output:
        item = unit.payload
        assert isinstance(item, TextItem)
        if item.fault is not None:
            return Output(drop=_dropped(item.id, *item.fault))
        drops = _Drops(item.id)
        asker = Asker(self.teacher, self.sampling, drops=drops)
        if item.contradiction is not None:
            triplets = await self._of_triple(item, asker, drops)
        else:
            triplets = await self._of_caption(item, asker, drops)
        return Output(list({each.triplet_id: each for each in triplets}.values()), drops.records)

    async def _of_caption(self, item: TextItem, asker: Asker, drops: _Drops) -> list[Triplet]:
        nuances = self.options.nuances or NUANCES
        reply = await asker.ask(
            "contrast", ContrastReply, text=item.text, nuances=list(nuances), max_words=self.options.max_words
        )
        usable: dict[Nuance, TurnedReply] = {}
        for each in reply.contrasts:
            fault = "not_asked" if each.nuance not in nuances or each.nuance in usable else self._fault(item, each)
            if fault:
                drops.drop(fault, f"{each.nuance}: {clean(each.text, 200)!r}")
            else:
                usable[each.nuance] = each
        for nuance in nuances:
            if not any(each.nuance == nuance for each in reply.contrasts):
                drops.drop("not_written", f"{nuance}: the teacher wrote none")
        pairs = [(item.text, each.text) for each in usable.values()]
        again = [
            pair
            for each in usable.values()
            if each.nuance != "composed"
            for pair in ((item.text, each.again), (each.text, each.text_again))
        ]
        checked = await compared(asker, [*pairs, *again])
        _raise_refused(checked)
        made: list[Triplet] = []
        for each in usable.values():
            if _holds(item, each, checked, drops):
                made += self._set(item, each, asker)
        return made

    def _fault(self, item: TextItem, each: TurnedReply) -> str | None:
        """What can be seen to be wrong with a contrast without asking."""
        if each.nuance == "composed":
            return edit_fault(item.text, each, self.options.max_words)
        texts = [item.text, each.text, each.again, each.text_again]
        if len({" ".join(text.casefold().split()) for text in texts}) < len(texts):
            return "unchanged"
        return "too_long" if max(len(text.split()) for text in texts) > self.options.max_words else None

    def _set(self, item: TextItem, each: TurnedReply, asker: Asker) -> list[Triplet]:
        teacher = asker.answered_by("contrast")
        given = Said(item.text, TextSource(kind="given", id=item.id), _UNKNOWN)
        written = Said(each.text, TextSource(kind="written", id=item.id, teacher=teacher), _UNKNOWN)
        set_id = content_id("s", each.nuance, item.family, each.text)
        if each.nuance == "composed":
            return edited_set(given, written, each, set_id, family=item.family)
        return balanced_set(
            each.nuance,
            (given, given.reworded(each.again, teacher)),
            (written, written.reworded(each.text_again, teacher)),
            set_id,
            family=item.family,
        )

    async def _of_triple(self, item: TextItem, asker: Asker, drops: _Drops) -> list[Triplet]:
        """A premise, what follows, what contradicts; and the contradiction worded again, the contradiction, what
        follows from the premise."""
        assert item.entailment is not None and item.contradiction is not None and item.lines is not None
        nuance = _nuance(item.entailment, item.contradiction)
        if self.options.nuances and nuance not in self.options.nuances:
            drops.drop("not_asked", f"{nuance}: {clean(item.contradiction, 200)!r}")
            return []
        asked: list[JsonValue] = [{"number": 1, "text": item.contradiction, "language": _UNKNOWN}]
        reply = await asker.ask("paraphrase", ParaphraseReply, queries=asked, count=1, max_words=self.options.max_words)
        again = next((clean(each.text) for each in reply.paraphrases if each.number == 1), "")
        if not again or again.casefold() == item.contradiction.casefold():
            drops.drop("not_reworded", f"{clean(item.contradiction, 200)!r}")
            return []
        checked = await compared(asker, [(item.contradiction, again), (item.entailment, item.contradiction)])
        _raise_refused(checked)
        if faults := checked.differences(item.contradiction, again):
            drops.drop("meaning_changed", f"{clean(again, 200)!r}: {'; '.join(faults)}")
            return []
        if likeness := checked.likeness(item.entailment, item.contradiction):
            drops.drop("not_apart", likeness)
            return []
        premise, follows, contradicts = (
            Said(text, TextSource(kind="given", id=id), _UNKNOWN)
            for text, id in zip((item.text, item.entailment, item.contradiction), (item.id, *item.lines), strict=True)
        )
        set_id = content_id("s", item.family, item.entailment, item.contradiction)
        other = contradicts.reworded(again, asker.answered_by("paraphrase"))
        return [
            triplet_of(nuance, set_id, premise, follows, contradicts, family=item.family),
            triplet_of(nuance, set_id, other, contradicts, follows, family=item.family),
        ]


def _holds(item: TextItem, each: TurnedReply, checked: Comparison, drops: _Drops) -> bool:
    """Whether the other caption says another thing, and the wordings say the same as their texts."""
    if likeness := checked.likeness(item.text, each.text):
        drops.drop("not_apart", f"{each.nuance}: {likeness}")
        return False
    if each.nuance == "composed":
        return True
    for text, wording in ((item.text, each.again), (each.text, each.text_again)):
        if faults := checked.differences(text, wording):
            drops.drop("meaning_changed", f"{each.nuance}: {clean(wording, 200)!r}: {'; '.join(faults)}")
            return False
    return True


def _nuance(entailment: str, contradiction: str) -> Nuance:
    """In what an entailment and a contradiction differ: a negator, a direction, or something else."""
    one, other = words(entailment), words(contradiction)
    if _negates(one) != _negates(other):
        return "negation"
    here, there = split_directions(one), split_directions(other)
    return "temporal" if here.ways != there.ways and sorted(here.words) == sorted(there.words) else "facet"


def _negates(said: Sequence[str]) -> bool:
    return any(word in NEGATIONS or word.endswith("n't") for word in said)


def _raise_refused(checked: Comparison) -> None:
    """Raises ItemError with what a teacher said in place of an answer."""
    for refusal in checked.refused.values():
        assert isinstance(refusal, Refusal)
        parsed_reply(refusal, ContrastReply)


@dataclass(slots=True)
class _Drops:
    """What is left out of a line."""

    item: str
    records: list[Dropped] = field(default_factory=list)

    def drop(self, reason: str, detail: str, item: str | None = None) -> None:
        self.records.append(_dropped(item or self.item, reason, detail))


def _dropped(item: str, reason: str, detail: str) -> Dropped:
    return Dropped.create(item=item, stage=TextTripletStage.name, reason=reason, detail=detail)
