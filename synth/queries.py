"""Stage queries: written from what is known of a video, one view at a time (RANKVIDEO, section on synthesis).

Each view is a request of its own with the material of that view alone (`teacher/material.py`). Frames go with the view
`caption` and no other, so that a video's pictures are paid for once; what all requests begin with, the system text, is
the same for all videos. `all` comes last and is told what the other views ask for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from pydantic import JsonValue

from hardcut.engine.stage import Earlier, Output, Unit
from hardcut.schemas.base import Record
from hardcut.schemas.ids import digest
from hardcut.schemas.records import Caption, Evidence, Query, Sampling, TeacherRef, Video, View
from hardcut.schemas.settings import QuerySettings
from hardcut.schemas.text.clean import clean, length_class
from hardcut.schemas.twin import Twin
from hardcut.synth.denied import denied_things_found
from hardcut.synth.echoes import Examples, is_echo
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.judges import Judge
from hardcut.synth.query_forms import KINDS, forms
from hardcut.synth.request_inputs import claim_inputs, video_inputs
from hardcut.synth.requests import (
    Asker,
    DropLog,
    by_former_rules,
    describe_tasks,
    joint_failure,
    parsed_reply,
    refuse_unsent,
)
from hardcut.synth.rewording.translation import identifier_version
from hardcut.synth.rewording.wordings import Reworder, rewording_tasks
from hardcut.synth.shown_frames import shown_frames
from hardcut.teacher.prompts.reply_models import QueriesReply, QueryReply
from hardcut.teacher.protocol import Refusal, Task, Teacher, is_unsent

NEEDED: dict[View, str] = {"speech": "speech", "sound": "sound", "ocr": "ocr", "metadata": "metadata"}
"""The kind of evidence that a view is written from."""


_BEFORE = {
    3: "95e68fef7e66dfa429d51e9e40302477b904382062505f3f76311905d331776d",
    4: "cc0f48f18a73567bc6faaefe5720e231d7da5c2e7c9d29a8dfaaa5bc5b3e6277",
}
"""Of earlier versions: the digest of the prompt that came with them."""
_RULES = "8"
"""The revision of the `evidence` teacher then, for all that this stage asks."""
_ASKED_STILL_CAMERAS: Mapping[Task, str] = {"queries": "8"}
"""The revision of the `evidence` teacher's rules of before."""
_NEW = ("check_denied",)
"""Settings that version 3 did not have."""
_READ = (Video, Evidence, Caption, Twin)
"""What versions 3 and 4 read."""


@dataclass(frozen=True, slots=True)
class QueryStage:
    """Makes the Queries of each captioned video: from every view that has evidence of its own, `per_view` ones, whose
    kinds, lengths, registers and searchers fall by digest; and of each of these paraphrases and translations that ask
    for the same. What a negation says is absent is named by its writer and looked for by `checker` (default: the
    writer) before the query is kept (NegBench). What a teacher does not answer fails the video in part.

    `examples` are those of the writer's prompt, whose digest is part of the key."""

    teacher: Teacher
    frames: FrameSource
    sampling: Sampling
    options: QuerySettings
    checker: Judge | None = None
    examples: Examples = frozenset()

    kind: ClassVar[Literal["unit"]] = "unit"
    name: ClassVar[str] = "queries"
    version: ClassVar[int] = 7
    over: ClassVar[str] = "captions"
    reads: ClassVar[tuple[type[Record], ...]] = (Video, Evidence, Caption)
    makes: ClassVar[tuple[type[Record], ...]] = (Query,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        """Raises MissingDependency where translations are asked for and nothing can tell languages apart."""
        options = self.options
        teachers = describe_tasks(self.teacher, ["queries", *rewording_tasks(options)], self.sampling)
        if options.check_denied:
            teachers |= describe_tasks(self._checker.teacher, ["check"], self._checker.sampling)
        return {
            **options.model_dump(mode="json", exclude={"composed", "decompose"}),
            "teachers": teachers,
            "frames": self.frames.sampling,
            "identifier": identifier_version() if options.languages else None,
        }

    @property
    def earlier(self) -> Sequence[Earlier]:
        """The rules of the `evidence` teacher asked for cameras that stand. Version 6 left out what names a part of the
        form in a word or two, and knew no examples of prompts but ours. Version 5 kept queries that say their prompt
        back. Versions 3 and 4 wrote composed queries too, which are a
        stage of their own now. Version 3 asked for all views in one request. Their prompt was the one that came with
        Hardcut then, or the user's own, which is still the same."""
        composes = describe_tasks(self.teacher, ["compose"] if self.options.composed else [], self.sampling)
        settings = {**self.settings, "composed": self.options.composed}
        teachers = settings["teachers"]
        assert isinstance(teachers, dict)
        asked = {
            4: {**teachers, **composes},
            3: {task: told for task, told in {**teachers, **composes}.items() if task != "check"},
        }
        found = by_former_rules(self, _ASKED_STILL_CAMERAS, (7, 6, 5))
        for version, told in asked.items():
            was = {name: value for name, value in settings.items() if version > 3 or name not in _NEW}
            shipped = {task: _shipped(task, each, _BEFORE[version]) for task, each in told.items()}
            found += [Earlier(version, {**was, "teachers": each}, _READ) for each in (shipped, told)]
        return found

    @property
    def _checker(self) -> Judge:
        return self.checker or Judge(self.teacher, self.sampling)

    async def run(self, unit: Unit) -> Output:
        """Raises ItemError where no view is answered."""
        video, evidence, caption = unit.one(Video), unit.all(Evidence), unit.one(Caption)
        drops = DropLog(video, self.name)
        refused: dict[str, Refusal] = {}
        async with self.frames.leased(video) as frames:
            inputs = video_inputs(video, evidence)
            about: dict[str, JsonValue] = {
                **inputs,
                "caption": caption.text,
                "claims": [claim_inputs(claim) for claim in caption.claims],
                "max_words": self.options.max_words,
            }
            shown = shown_frames(frames, self.sampling.max_frames, video, evidence)
            asker = Asker(self.teacher, self.sampling, about, shown, drops)
            kinds = {item.kind for item in evidence}
            views = [view for view in self.options.views if view not in NEEDED or NEEDED[view] in kinds]
            sieve = _Sieve(drops, self.options, asker.answered_by("queries"), self.examples)
            refused |= await self._written(asker, views, sieve)
            refuse_unsent(refused)
            if sieve.denies and self.options.check_denied:
                checker = self._checker
                seen = shown_frames(frames, checker.sampling.max_frames, video, evidence)
                asks = Asker(checker.teacher, checker.sampling, inputs, seen, drops)
                said = [item.text for item in evidence] + [caption.text]
                there, unseen = await denied_things_found(asks, sieve.denies, said)
                sieve.leave_out(there)
                refused |= unseen
            queries = sieve.kept
        refuse_unsent(refused)
        reworder = Reworder(Asker(self.teacher, self.sampling, drops=drops), self.options, drops)
        queries += await reworder.reword(queries)
        return Output(records=queries, dropped=drops.records, failure=joint_failure(refused | reworder.refused))

    async def _written(self, asker: Asker, views: Sequence[View], sieve: _Sieve) -> dict[str, Refusal]:
        """Has all views written, those of one source together, and gives those that got no answer.

        Raises ItemError where there is an answer to none."""
        refused: dict[View, Refusal] = {}
        told: list[JsonValue] = [form for view in views for form in forms(sieve.video_id, view, self.options)]
        for together in ([view for view in views if view != "all"], [view for view in views if view == "all"]):
            if any(is_unsent(refusal) for refusal in refused.values()):
                break  # the view `all` is told what the others say
            written: list[JsonValue] = [query.text for query in sieve.kept]
            inputs: list[dict[str, JsonValue]] = [
                {
                    "views": list(views),
                    "view": view,
                    "kinds": list(KINDS[view]),
                    "per_view": self.options.per_view,
                    "forms": told,
                    "written": written,
                }
                for view in together
            ]
            requests = [asker.request("queries", QueriesReply, each) for each in inputs]
            in_words = [each if each.inputs["view"] == "caption" else replace(each, frames=()) for each in requests]
            for view, outcome in zip(together, await asker.send(in_words), strict=True):
                if isinstance(outcome, Refusal):
                    refused[view] = outcome
                else:
                    sieve.sift(view, parsed_reply(outcome, QueriesReply))
        if refused and len(refused) == len(views):
            parsed_reply(next(iter(refused.values())), QueriesReply)  # raises: nobody answers
        return {f"view {view}": refusal for view, refusal in refused.items()}


def _shipped(task: str, told: JsonValue, prompt: str) -> JsonValue:
    """A teacher as it was with an earlier version: asked for queries by this prompt, or the rules of then."""
    teacher = TeacherRef.model_validate(told)
    if teacher.backend == "evidence":
        before = {"revision": _RULES, "prompt_digest": digest("evidence", _RULES, task)}
    else:
        before = {"prompt_digest": prompt} if task == "queries" else {}
    return teacher.model_copy(update=before).model_dump(mode="json")


def unfit(text: str, options: QuerySettings, examples: Examples) -> str | None:
    """Why a query's text cannot be used; None where it can."""
    if not text:
        return "empty"
    if is_echo(text, examples):
        return "echo"
    return "too_long" if len(text.split()) > options.max_words else None


class _Sieve:
    """What of a teacher's queries for one video is kept, and why the rest is not. `denies` gives of each that was kept,
    by its id, what it says is absent."""

    def __init__(self, drops: DropLog, options: QuerySettings, teacher: TeacherRef, examples: Examples) -> None:
        self._drops = drops
        self._options = options
        self._examples = examples
        self._teacher = teacher
        self._texts: set[str] = set()
        self._kept: dict[str, Query] = {}
        self.denies: dict[str, tuple[str, ...]] = {}

    @property
    def video_id(self) -> str:
        return self._drops.video.video_id

    @property
    def kept(self) -> list[Query]:
        return list(self._kept.values())

    def leave_out(self, reasons: Mapping[str, tuple[str, str]]) -> None:
        """Takes out queries by their id, each with a reason and a detail."""
        for query_id, (reason, detail) in reasons.items():
            self._drops.drop(reason, f"{clean(self._kept.pop(query_id).text, 200)!r}: {detail}")

    def sift(self, view: View, reply: QueriesReply) -> None:
        """Takes the queries of a reply about one view."""
        count = 0
        for number, written in enumerate(reply.queries, 1):
            text = clean(written.text)
            reason = self._reason(written, view, text, count)
            if reason:
                self._drops.drop(reason, f"query {number}, view {view}: {clean(text, 200)!r}")
                continue
            self._texts.add(text.casefold())
            count += 1
            query = Query.create(
                text=text,
                language=written.language,
                view=view,
                kind=written.kind,
                length=length_class(text),
                style=written.style,
                facets=self._drops.facets(f"query {number}, view {view}", written.facets),
                source_video_id=self.video_id,
                teacher=self._teacher,
            )
            self._kept[query.query_id] = query
            things = tuple(filter(None, (clean(thing, 120) for thing in written.denies)))
            if things and written.kind == "negation":
                self.denies[query.query_id] = things

    def _reason(self, written: QueryReply, view: View, text: str, count: int) -> str | None:
        if written.view != view:
            return "view_not_asked"
        if written.kind not in KINDS[view]:
            return "kind_not_asked"
        if fault := unfit(text, self._options, self._examples):
            return fault
        if text.casefold() in self._texts:
            return "duplicate"
        return "over_per_view" if count >= self._options.per_view else None
