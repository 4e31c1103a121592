"""Stage captions: what happens in a video, in sentences that cite evidence, each checked against what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from pydantic import JsonValue

from hardcut.engine.stage import Output, Unit
from hardcut.schemas.base import Record
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Caption, Claim, Dropped, Evidence, Sampling, Support, Video
from hardcut.schemas.settings import CaptionSettings
from hardcut.schemas.text.clean import clean, sentence
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.judges import Judge
from hardcut.synth.request_inputs import claim_inputs, span_within, video_inputs
from hardcut.synth.requests import Asker, DropLog, describe_tasks
from hardcut.synth.shown_frames import shown_frames
from hardcut.teacher.prompts.reply_models import CaptionReply, CheckReply, ClaimReply, RefineReply
from hardcut.teacher.protocol import Teacher

_SHORT = 0
"""The number of the short caption among the claims."""
_UNJUDGED = "the check said nothing of it"


@dataclass(frozen=True, slots=True)
class CaptionStage:
    """Makes the Caption of each video that has evidence behind it. One of over twice the words asked for fails.

    A caption is its claims, one after another. With `options.check` each of them and the short caption are judged
    against frames and evidence; what is not supported is corrected and judged again, `options.rounds` times, and what
    is not supported then is left out of claims and text (`unsupported_claim`). LoVR and CaRe-DPO: score, refine, score.
    A video of whose caption nothing is left is dropped (`unsupported_caption`).
    """

    teacher: Teacher
    frames: FrameSource
    sampling: Sampling
    options: CaptionSettings
    checker: Judge | None = None
    """Who checks and corrects; None: who writes."""

    kind: ClassVar[Literal["unit"]] = "unit"
    name: ClassVar[str] = "captions"
    version: ClassVar[int] = 3
    over: ClassVar[str] = "evidence"
    reads: ClassVar[tuple[type[Record], ...]] = (Video, Evidence)
    makes: ClassVar[tuple[type[Record], ...]] = (Caption,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        teachers = describe_tasks(self.teacher, ("caption",), self.sampling)
        if self.options.check:
            teachers |= describe_tasks(self._checker.teacher, ("check", "refine"), self._checker.sampling)
        return {
            **self.options.model_dump(mode="json"),
            "teachers": teachers,
            "frames": self.frames.sampling,
        }

    @property
    def _checker(self) -> Judge:
        return self.checker or Judge(self.teacher, self.sampling)

    async def run(self, unit: Unit) -> Output:
        video, evidence = unit.one(Video), unit.all(Evidence)
        async with self.frames.leased(video) as frames:
            shown = shown_frames(frames, self.sampling.max_frames, video, evidence)
            drops = DropLog(video, self.name)
            asker = Asker(self.teacher, self.sampling, video_inputs(video, evidence), shown, drops)
            reply = await asker.ask("caption", CaptionReply, max_words=self.options.max_words)
            draft = _Draft(drops, {item.evidence_id for item in evidence}, reply)
            draft.limit(2 * self.options.max_words, self.options.max_words)  # a little over is style, more is rambling
            checker = self._checker
            shown = shown_frames(frames, checker.sampling.max_frames, video, evidence)
            checking = replace(asker, teacher=checker.teacher, sampling=checker.sampling, frames=shown)
            support = await self._check(draft, checking) if self.options.check else None
        if not draft.claims:
            detail = "none of the caption's claims is supported"
            drop = Dropped.create(item=video.video_id, stage=self.name, reason="unsupported_caption", detail=detail)
            return Output(dropped=draft.drops.records, drop=drop)
        caption = Caption.create(
            video_id=video.video_id,
            text=draft.text,
            short=draft.short,
            claims=draft.claims,
            support=support,
            teacher=asker.answered_by("caption"),
        )
        return Output(records=(caption,), dropped=draft.drops.records)

    async def _check(self, draft: _Draft, asker: Asker) -> Support:
        """Leaves in the draft what is supported."""
        written = len(draft.claims)
        problems = await _problems(asker, draft.parts)
        before = written - sum(number != _SHORT for number in problems)
        for _ in range(self.options.rounds):
            if not problems:
                break
            claims: list[JsonValue] = [
                {**_claim_inputs(number, draft.parts[number]), "problem": said} for number, said in problems.items()
            ]
            reply = await asker.ask("refine", RefineReply, claims=claims)
            corrected = {each.number: draft.read(each.number, each) for each in reply.claims if each.number in problems}
            for number, said in problems.items():
                claim = corrected.get(number)
                if claim is None:
                    draft.give_up(number, said)
                else:
                    draft.parts[number] = claim
            kept = {number: draft.parts[number] for number in problems if number in draft.parts}
            problems = await _problems(asker, kept) if kept else {}
        for number, said in problems.items():
            draft.give_up(number, said)
        return Support(claims=written, before=before, after=len(draft.claims))


async def _problems(asker: Asker, parts: Mapping[int, Claim]) -> dict[int, str]:
    """The parts that a check does not find supported, each with what is wrong. What it says nothing of is one too."""
    reply = await asker.ask(
        "check", CheckReply, claims=[_claim_inputs(number, claim) for number, claim in parts.items()]
    )
    supported = {each.number for each in reply.claims if each.supported}
    said = {each.number: clean(each.problem, 300) for each in reply.claims if not each.supported}
    return {number: said.get(number, _UNJUDGED) for number in parts if number not in supported or number in said}


def _claim_inputs(number: int, claim: Claim) -> dict[str, JsonValue]:
    return {"number": number, **claim_inputs(claim)}


class _Draft:
    """A caption while it is worked on: `parts` are its claims by number from 1, and the short caption as number 0."""

    def __init__(self, drops: DropLog, known: set[str], reply: CaptionReply) -> None:
        self._video = drops.video
        self._known = known
        self.drops = drops
        self.parts: dict[int, Claim] = {}
        short = ClaimReply(text=reply.short, start=None, end=None, evidence=())
        for number, claim in enumerate((short, *reply.claims)):
            read = self.read(number, claim)
            if read is not None:
                self.parts[number] = read
        if not self.claims:
            raise ItemError("empty", "the caption holds nothing that can be shown", reply.model_dump_json())

    @property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(claim for number, claim in sorted(self.parts.items()) if number != _SHORT)

    @property
    def short(self) -> str | None:
        return sentence(self.parts[_SHORT].text) if _SHORT in self.parts else None

    @property
    def text(self) -> str:
        return " ".join(sentence(claim.text) for claim in self.claims)

    def limit(self, most: int, asked: int) -> None:
        """Raises ItemError where the caption has more words than `most`."""
        words = len(self.text.split())
        if words > most:
            raise ItemError("too_long", f"{words} words, and at most {asked} were asked for", self.text)

    def read(self, number: int, claim: ClaimReply) -> Claim | None:
        """The claim without references to what is not there, which is dropped; None for one that says nothing."""
        text = clean(claim.text)
        if not text:
            self.drops.drop("empty", f"{_part_name(number)}: says nothing that can be shown")
            return None
        cited = tuple(dict.fromkeys(claim.evidence))
        for evidence_id in cited:
            if evidence_id not in self._known:
                detail = f"{_part_name(number)}: cites {clean(evidence_id, 80)!r}, which is no evidence of this video"
                self.drops.drop("unknown_evidence", detail)
        try:
            span = span_within(claim.start, claim.end, self._video.duration_s)
        except ValueError as error:
            self.drops.drop("span_outside", f"{_part_name(number)}: {error}")
            span = None
        return Claim(text=text, span=span, evidence_ids=tuple(each for each in cited if each in self._known))

    def give_up(self, number: int, problem: str) -> None:
        """Takes out a part that is not supported."""
        claim = self.parts.pop(number)
        self.drops.drop("unsupported_claim", f"{_part_name(number)}: {clean(claim.text, 200)!r}: {problem}")


def _part_name(number: int) -> str:
    return f"claim {number}" if number != _SHORT else "the short caption"
