"""Stage composed: queries that start from another video and say what is to be different (TARA, composed retrieval).

A stage of its own, since twins are found in the whole collection, and no other query has to wait for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import JsonValue

from hardcut.engine.stage import Earlier, Output, Unit
from hardcut.schemas.base import Record
from hardcut.schemas.records import Caption, Evidence, Query, Sampling, Video
from hardcut.schemas.settings import QuerySettings
from hardcut.schemas.text.clean import clean, length_class
from hardcut.schemas.twin import Twin
from hardcut.synth.echoes import Examples
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.queries import unfit
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
from hardcut.teacher.prompts.reply_models import ComposeReply
from hardcut.teacher.protocol import Refusal, Teacher


@dataclass(frozen=True, slots=True)
class ComposedStage:
    """Makes, from every twin of a video, up to `options.composed`, the Query of the edit that turns the twin into this
    video, and its paraphrases and translations. What a teacher does not answer fails the video in part. `examples` are
    those of the writer's prompt, whose digest is part of the key."""

    teacher: Teacher
    frames: FrameSource
    sampling: Sampling
    options: QuerySettings
    examples: Examples = frozenset()

    kind: ClassVar[Literal["unit"]] = "unit"
    name: ClassVar[str] = "composed"
    version: ClassVar[int] = 3
    over: ClassVar[type[Record]] = Twin
    reads: ClassVar[tuple[type[Record], ...]] = (Video, Evidence, Caption, Twin, Query)
    makes: ClassVar[tuple[type[Record], ...]] = (Query,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        """Raises MissingDependency where translations are asked for and nothing can tell languages apart."""
        options = self.options
        tasks = ["compose", *rewording_tasks(options)]
        return {
            **options.model_dump(mode="json", include={"composed", "max_words", "paraphrases", "languages"}),
            "teachers": describe_tasks(self.teacher, tasks, self.sampling),
            "frames": self.frames.sampling,
            "identifier": identifier_version() if options.languages else None,
        }

    @property
    def earlier(self) -> Sequence[Earlier]:
        """The rules of the `evidence` teacher asked for cameras that stand. Version 2 knew no examples of its own
        prompt, and left out what names a part of the form in a word or two. Version 1 kept texts that say their prompt
        back."""
        return by_former_rules(self, {"compose": "8"}, (3, 2, 1))

    async def run(self, unit: Unit) -> Output:
        twins = self._chosen(unit)
        if not twins or not unit.all(Caption):  # without a caption a video has no query of any kind
            return Output()
        video, evidence, caption = unit.one(Video), unit.all(Evidence), unit.one(Caption)
        drops = DropLog(video, self.name)
        about: dict[str, JsonValue] = {
            **video_inputs(video, evidence),
            "caption": caption.text,
            "claims": [claim_inputs(claim) for claim in caption.claims],
            "max_words": self.options.max_words,
        }
        async with self.frames.leased(video) as frames:
            shown = shown_frames(frames, self.sampling.max_frames, video, evidence)
            asker = Asker(self.teacher, self.sampling, about, shown, drops)
            queries, refused = await self._written(asker, twins, drops)
        refuse_unsent(refused)
        reworder = Reworder(Asker(self.teacher, self.sampling, drops=drops), self.options, drops)
        queries += await reworder.reword(queries)
        return Output(records=queries, dropped=drops.records, failure=joint_failure(refused | reworder.refused))

    def _chosen(self, unit: Unit) -> list[Twin]:
        """The first twins, chiral ones first, that no query starts from: an earlier version of stage queries wrote
        composed ones too, and what it left stays in force."""
        started = {query.reference_video_id for query in unit.all(Query) if query.kind == "composed"}
        chosen = sorted(unit.all(Twin), key=lambda twin: (twin.relation != "chiral", twin.other_video_id))
        return [twin for twin in chosen[: self.options.composed] if twin.other_video_id not in started]

    async def _written(
        self, asker: Asker, twins: Sequence[Twin], drops: DropLog
    ) -> tuple[list[Query], dict[str, Refusal]]:
        """The queries, and the twins that got no answer."""
        inputs: list[dict[str, JsonValue]] = [
            {
                "reference": twin.caption,
                "relation": twin.relation,
                "differences": [difference.model_dump(mode="json") for difference in twin.differences],
            }
            for twin in twins
        ]
        queries: dict[str, Query] = {}
        refused: dict[str, Refusal] = {}
        for twin, outcome in zip(twins, await asker.outcomes("compose", ComposeReply, inputs), strict=True):
            what = f"composed from {twin.other_video_id}"
            if isinstance(outcome, Refusal):
                refused[what] = outcome
                continue
            written = parsed_reply(outcome, ComposeReply)
            text = clean(written.text)
            reason = unfit(text, self.options, self.examples)
            if reason:
                drops.drop(reason, f"{what}: {clean(text, 200)!r}")
                continue
            query = Query.create(
                text=text,
                language=written.language,
                view="caption",
                kind="composed",
                length=length_class(text),
                facets=drops.facets(what, written.facets),
                source_video_id=drops.video.video_id,
                reference_video_id=twin.other_video_id,
                teacher=asker.answered_by("compose"),
            )
            queries[query.query_id] = query
        return list(queries.values()), refused
