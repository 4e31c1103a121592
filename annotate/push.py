"""Puts what is planned before reviewers: after it, the sets hold the plan and what was answered, and nothing else."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from hardcut.annotate.argilla import ArgillaServer, Draft, Listed
from hardcut.annotate.comparing import Couple, asked_of, compared_content, couple_id
from hardcut.annotate.draws import kept_draws, write_draws
from hardcut.annotate.ownership import Ownership, note_set, read_ownership
from hardcut.annotate.policy import SETS, UNAIDED, ReviewItem, SetName
from hardcut.annotate.previews import Preview, Previews
from hardcut.annotate.records import RunRecords
from hardcut.annotate.review_content import (
    PreviewLinks,
    ReviewSubject,
    asked,
    encode,
    page_content,
    page_digest,
    pushed_by,
    suggestion,
)
from hardcut.annotate.sets import review_set
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Settings

_PREVIEWS_AT_ONCE = 8


class MediaLink(Protocol):
    """Turns a preview's file into what a page shows: URLs, and what to tell of a clip that has none."""

    def __call__(self, preview: Preview) -> PreviewLinks: ...


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did to a set: the records that are new or changed (`pushed`), those that stayed (`unchanged`,
    `answered`), those that the plan no longer has (`removed`), and by reason those without a clip, which are not
    asked: nobody could watch them."""

    set: SetName
    dataset: str
    records: int
    pushed: int
    unchanged: int
    answered: int
    removed: int
    without_preview: Mapping[str, int]


Wanted = Mapping[str, Callable[[], Draft | str]]
"""What makes the record of each id, or says why nobody could watch it. Only those are made that may have to be pushed:
a clip can be inside."""


class _Known(NamedTuple):
    """A record on the server: its id, the digest of what was pushed, and whether anybody had answered it when it was
    listed."""

    record_id: str
    digest: str
    answered: bool


@dataclass(frozen=True, slots=True)
class EmbeddedMedia:
    """Previews in the folder that the embedded server serves. Its links are paths without a host, since the port may be
    another one next time."""

    path_of: Callable[[str], str]

    def __call__(self, preview: Preview) -> PreviewLinks:
        names = (preview.clip, preview.sheet, preview.reference)
        clip, sheet, reference = (self.path_of(name) if name else None for name in names)
        return PreviewLinks(clip, sheet, preview.note, reference)


@dataclass(frozen=True, slots=True)
class RemoteMedia:
    """Previews for a server elsewhere: inside the record up to `limit_bytes`, above that under `base_url`, where the
    user puts the files of `folder`."""

    folder: Path
    limit_bytes: int
    base_url: str | None = None

    def __call__(self, preview: Preview) -> PreviewLinks:
        clip = self._link(preview.clip, "video/mp4")
        note = preview.note
        if preview.clip and clip is None:
            note = (
                f"the clip is too large for its record (--clip-limit {self.limit_bytes / 1e6:g}), also when made "
                "small: raise the limit, or give --media-url"
            )
        sheet, reference = (self._link(name, "image/jpeg") for name in (preview.sheet, preview.reference))
        return PreviewLinks(clip, sheet, note, reference)

    def _link(self, name: str | None, kind: str) -> str | None:
        if name is None:
            return None
        path = self.folder / name
        if path.stat().st_size <= self.limit_bytes:
            return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
        return f"{self.base_url.rstrip('/')}/{name}" if self.base_url else None


@dataclass(frozen=True, slots=True)
class Push:
    """A run, its settings, the server, and where previews come from and go to. `routes`: the server keeps conflicts
    from who has voted on them."""

    run: RunRecords
    settings: Settings
    server: ArgillaServer
    previews: Previews
    link: MediaLink
    name: str
    routes: bool = True

    def carry_out(self, made: Callable[[], None], stored: Callable[[int], None]) -> list[Pushed]:
        """Pushes the plan. `made` is told of every preview, `stored` of every batch that is on the server.

        Killed at any moment it can be started again: a record is known by its pair's id, so what is there is found.
        """
        plan = self.run.plan(self.settings.review)
        couples = self.run.couples(self.settings.review)
        write_draws(self.run.folder, kept_draws(plan.drawn, self.run.drawn, self.run.reviews))
        compared = {pair_id for couple in couples for pair_id in couple.ids}
        subjects = self.run.subjects({*(item.pair_id for item in plan.items), *compared})
        items = [item for item in plan.items if item.pair_id in subjects]
        couples = [couple for couple in couples if subjects.keys() >= set(couple.ids)]
        # each once, in the order of the plan
        shown = dict.fromkeys(
            [(item.pair_id, item.set in UNAIDED) for item in items]
            + [(pair_id, True) for couple in couples for pair_id in couple.ids]
        )
        previews = asyncio.run(self._previews(subjects, list(shown), made))
        run_id = read_ownership(self.run.folder).run_id
        wanted: dict[SetName, dict[str, Callable[[], Draft | str]]] = {name: {} for name in SETS}
        for item in items:
            preview = previews[item.pair_id, item.set in UNAIDED]
            wanted[item.set][item.pair_id] = partial(self._draft, item, subjects[item.pair_id], preview, run_id)
        for couple in couples:
            asked = asked_of(subjects[couple.left], subjects[couple.right], run_id)
            both = (previews[couple.left, True], previews[couple.right, True])
            wanted["pairwise"][couple_id(asked)] = partial(self._compared, couple, subjects, both, asked)
        done = [self._set(name, wanted[name], stored) for name in SETS]
        return [each for each in done if each.set != "pairwise" or couples or each.records or each.removed]

    def _set(self, name: SetName, wanted: Wanted, stored: Callable[[int], None]) -> Pushed:
        """Makes one set hold the plan and what was answered, and nothing else."""
        definition = review_set(self.name, name, self.settings.review.overlap, routes=self.routes)
        own = read_ownership(self.run.folder)
        there = own.to_push(self.server.sets(), self.name, name)
        if there is None and not wanted:
            return Pushed(name, definition.name, 0, 0, 0, 0, 0, {})
        known = self._known(there, own) if there else {}
        dataset = self.server.ensure(definition, there)
        note_set(self.run.folder, dataset.dataset_id, name, definition.name)
        count, blank = Counter[str](), dict[str, str]()
        self.server.upsert(dataset, self._changed(wanted, known, count, blank), stored)
        unplanned = [record for id, record in known.items() if id not in wanted]
        gone = self.server.delete_unanswered(dataset, [one.record_id for one in unplanned if not one.answered])
        return Pushed(
            set=name,
            dataset=there.name if there else definition.name,
            records=len(wanted.keys() - (blank.keys() - known.keys())) + len(unplanned) - gone,
            pushed=count["pushed"],
            unchanged=count["unchanged"],
            answered=count["answered"],
            removed=gone,
            without_preview=Counter(blank.values()),
        )

    def _known(self, there: Listed, own: Ownership) -> dict[str, _Known]:
        """The records of a set that is on the server, by pair. Raises UsageError where they are another run's, which
        this one would overwrite, or take away as not planned."""
        known: dict[str, _Known] = {}
        ours = there.dataset_id in own.noted
        for record in self.server.records(self.server.open(there)):
            run_id = pushed_by(record.asked)
            ours = ours or run_id == own.run_id
            if not own.takes(run_id):
                raise self._foreign(there)
            known[record.pair_id] = _Known(record.record_id, record.digest, bool(record.answers))
        if known and not ours and self.run.pairs.keys().isdisjoint(known):
            raise self._foreign(there)
        return known

    def _foreign(self, there: Listed) -> UsageError:
        return UsageError(f"{there.name} holds the records of another run: `--name` gives this run sets of its own")

    def _changed(
        self,
        wanted: Wanted,
        known: Mapping[str, _Known],
        count: Counter[str],
        blank: dict[str, str],
    ) -> Iterator[Draft]:
        """The records that are new or changed. Counts what becomes of every one, and notes in `blank` those that
        nobody could watch, each with the reason."""
        for id, make in wanted.items():
            before = known.get(id)
            if before is not None and before.answered:  # what was judged stays as it was judged
                count["answered"] += 1
                continue
            draft = make()
            if isinstance(draft, str):
                blank[id] = draft
                continue
            if before is not None and before.digest == draft.digest:
                count["unchanged"] += 1
                continue
            if before is not None and self.server.is_answered(before.record_id):  # since it was listed
                count["answered"] += 1
                continue
            count["pushed"] += 1
            yield draft

    def _draft(self, item: ReviewItem, subject: ReviewSubject, preview: Preview, run_id: str) -> Draft | str:
        links = self.link(preview)
        if links.clip is None:
            return links.note
        suggested = suggestion(subject, item.set)
        page = encode(page_content(subject, item.set, links, self.settings))
        told = asked(subject, item.stratum, run_id)
        voters: tuple[str, ...] = ()
        if item.set == "adjudication":
            experts = self.settings.review.experts
            voters = tuple(one.reviewer for one in subject.reviews if one.reviewer not in experts)
        digest = page_digest(page, suggested, told, voters)
        return Draft(item.pair_id, page, digest, item.stratum, told, voters, suggested)

    def _compared(
        self, couple: Couple, subjects: Mapping[str, ReviewSubject], both: tuple[Preview, Preview], asked: str
    ) -> Draft | str:
        left, right = subjects[couple.left], subjects[couple.right]
        links = (self.link(both[0]), self.link(both[1]))
        for each in links:
            if each.clip is None:
                return each.note
        page = encode(compared_content(left, right, links))
        return Draft(couple_id(asked), page, page_digest(page, None, asked), "pairwise", asked)

    async def _previews(
        self, subjects: Mapping[str, ReviewSubject], shown: Sequence[tuple[str, bool]], made: Callable[[], None]
    ) -> dict[tuple[str, bool], Preview]:
        """The preview of each pair in `shown`, of the whole video where it says so. Those of one video wait for each
        other, so that no file is made twice."""
        gate = asyncio.Semaphore(_PREVIEWS_AT_ONCE)
        locks = {subject.video.video_id: asyncio.Lock() for subject in subjects.values()}

        async def one(pair_id: str, whole: bool) -> tuple[tuple[str, bool], Preview]:
            subject = subjects[pair_id]
            async with locks[subject.video.video_id], gate:
                preview = await self.previews.preview(subject.query, subject.video, subject.reference, whole=whole)
            made()
            return (pair_id, whole), preview

        return dict(await asyncio.gather(*(one(*each) for each in shown)))
