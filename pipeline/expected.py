"""Calls of a run that cannot be counted yet, since what they ask about does not exist.

How many there are of a kind is learned from the videos that the run is done with, in proportion to what is known of the
others. What nothing was learned of follows from the settings: the least and the most that can be asked, and what was
usual elsewhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path

from hardcut.media.video_files import VideoFile
from hardcut.pipeline.amounts import ENOUGH, USUAL, Amount, Guess, Kind
from hardcut.pipeline.preview import Question, RunRecords
from hardcut.pipeline.tried import Mined, tried_pairs, tried_twins
from hardcut.schemas.records import TURNED, Caption, Pair, Query, View
from hardcut.schemas.settings import Settings
from hardcut.schemas.teachers import TeacherSettings
from hardcut.schemas.text_only import TEXT_ONLY_RANK
from hardcut.synth.filters.repeated import duplicates
from hardcut.synth.negatives import DENIAL_CANDIDATES, USER_DEPTH
from hardcut.synth.queries import NEEDED
from hardcut.synth.triplet_stage import triplet_requests
from hardcut.synth.user_queries import read_queries
from hardcut.teacher.protocol import Task

_ASKING = ("captions", "queries", "counterfactuals")
Rates = Mapping[Kind, float]


class Expected:
    """What stages will ask about `files`, beyond what was `heard` of them."""

    def __init__(
        self, settings: Settings, records: RunRecords, files: Sequence[VideoFile], heard: Iterable[Question] = ()
    ) -> None:
        self._settings, self._records, self._files = settings, records, files
        self._known = {file.video_id: _has_metadata(file, settings) for file in files}
        """Whether each video has metadata beside it."""
        self._heard: defaultdict[str, Counter[Kind]] = defaultdict(Counter)
        self._frames: Counter[str] = Counter()
        for each in heard:
            shown = len(each.request.frames)
            self._heard[each.video][Kind(each.stage, each.teacher, each.request.task, shown > 0)] += 1
            self._frames[each.video] = max(self._frames[each.video], shown)
        some = [count for count in self._frames.values() if count]
        self._usual_frames = sum(some) / len(some) if some else None
        self._mined: Mined | None = None
        self._twins = None if self._settled("twins") else tried_twins(records)
        self.composed = self._twins.composed(settings.queries.composed) if self._twins else {}
        """How many composed queries each video will be asked for, where the run has not looked for twins yet."""

    @property
    def videos(self) -> int:
        return len(self._known)

    @property
    def learned_from(self) -> list[str]:
        """The videos that something was learned from, in the order of the files."""
        return [video for video in self._known if self.stages_done(video)]

    def stages_done(self, video: str) -> int:
        """How many stages that ask are done with a video."""
        return sum(video in self._settled(stage) for stage in _ASKING)

    def amounts(self, guess: Guess = "usual", without: Collection[str] = ()) -> dict[Kind, Amount]:
        """The calls of each kind that are still to come, by what was learned from all videos but some. Those that are
        made only where something is wrong (a correction, a rewriting) are counted where they were learned, and in the
        most."""
        return _Sums(self, guess, frozenset(without)).found

    def _settled(self, stage: str) -> Collection[str]:
        return self._records.settled.get(stage, ())

    def frames(self, video: str, teacher: TeacherSettings) -> float:
        """The frames of a video that a teacher is shown, or would be shown of a usual one."""
        most = teacher.sampling.max_frames
        return min(most, self._frames[video] or self._usual_frames or most)

    def is_lost(self, video: str) -> bool:
        """Whether a video came to nothing: it could not be decoded, or has no caption."""
        return (video in self._settled("probe") and video not in self._records.videos) or (
            video in self._settled("captions") and video not in self._records.videos_with[Caption]
        )

    def originals(self, video: str) -> list[Query]:
        """The queries of a video that others are made of, composed ones and those of users aside."""
        if video not in self._records.videos:
            return []
        return [
            query
            for query in self._records.reference(video).all(Query)
            if query.variant not in TURNED and query.kind != "composed" and query.view != "user"
        ]

    def evidence(self, video: str) -> Collection[str] | None:
        """The kinds of evidence that a video has; None where that is not known yet."""
        kinds = self._records.evidence_kinds.get(video)
        known = video in self._settled("evidence") or video in self._settled("captions")
        return kinds if kinds is not None or not known else ()

    def kept_of(self, queries: Sequence[str]) -> float:
        """The share of some queries that say what none of the others says."""
        return 1 - len(duplicates(self._records.queries[each] for each in queries)) / len(queries)

    @property
    def mined(self) -> Mined:
        """The pairs that the queries which are known have, and would have in the whole collection."""
        if self._mined is None:
            self._mined = tried_pairs(self._settings, self._records, self._twins, list(self._known))
        return self._mined


class _Sums:
    """The sums for one guess."""

    def __init__(self, known: Expected, guess: Guess, without: frozenset[str]) -> None:
        self._all, self._guess, self._without = known, guess, without
        self._settings, self._records = known._settings, known._records
        self._shares = self._shares_of_views()
        self._views = {video: self._chances(video) for video in known._known}
        """The views that each video is asked for, each with its probability."""
        self._kept = self._kept_by_view()
        self._asked = {video: self._queries_of(video) for video in known._known}
        self.found: defaultdict[Kind, Amount] = defaultdict(Amount)
        self._add("captions", lambda video: 1.0, self._captions)
        self._add("queries", lambda video: sum(self._views[video].values()), self._of_views)
        self._add("counterfactuals", self._watched, self._counterfactuals)
        self._add_composed()
        self._add_triplets()
        self._add_scores()

    def _of(self, least: float, usual: float, most: float) -> float:
        return {"least": least, "usual": usual, "most": most}[self._guess]

    def _learners(self, stage: str, of: Callable[[str], object] = lambda video: True) -> list[str]:
        """The videos that something is learned from; none where the stage is done with too few."""
        return self._taken([video for video in self._all._known if video in self._all._settled(stage) and of(video)])

    def _taken(self, videos: Sequence[str]) -> list[str]:
        """Those that are learned from now, of videos that are known; none where these are too few."""
        if len(videos) < ENOUGH:
            return []
        return [video for video in videos if video not in self._without] or list(videos)

    def _kind(self, stage: str, teacher: TeacherSettings, task: Task, shown: bool = True) -> Kind:
        return Kind(stage, teacher, task, shown and teacher.sampling.max_frames > 0)

    def _put(self, kind: Kind, calls: float, video: str) -> None:
        self.found[kind].calls += calls
        self.found[kind].pictures += calls * self._all.frames(video, kind.teacher) if kind.shown else 0.0
        self.found[kind].about[video] += calls  # type: ignore[assignment]

    def _add(self, stage: str, size: Callable[[str], float], prior: Callable[[str], Rates]) -> None:
        """Adds what a stage will ask about each video: in proportion to the size of what it asks about where that was
        learned, else what the settings say."""
        learned = self._learned(stage, size)
        for video in self._all._known:
            if video in self._all._settled(stage) or self._all.is_lost(video):
                continue
            times = size(video) if learned else 1
            for kind, each in (learned or prior(video)).items():
                more = max(0.0, each * times - self._all._heard[video][kind])
                self._put(kind, more, video)

    def _learned(self, stage: str, size: Callable[[str], float]) -> Rates:
        """What the stage asked for one of that size; empty where too few videos are known."""
        done = self._learners(stage, size)
        found: Counter[Kind] = Counter()
        for video in done:
            found.update({kind: count for kind, count in self._all._heard[video].items() if kind.stage == stage})
        whole = sum(map(size, done))  # 0 where there is none
        return {kind: count / whole for kind, count in found.items()}

    def _captions(self, video: str) -> Rates:
        options, checker = self._settings.captions, self._settings.writer("check")
        found = {self._kind("captions", self._settings.writer("captions"), "caption"): 1.0}
        if options.check:
            found[self._kind("captions", checker, "check")] = self._of(1, 1, 1 + options.rounds)
            found[self._kind("captions", checker, "refine")] = self._of(0, 0, options.rounds)
        return found

    def _of_views(self, video: str) -> Rates:
        """A request a view, of which that for the view `caption` shows the frames; then the rewordings."""
        options, views, writer = self._settings.queries, self._views[video], self._settings.writer("queries")
        pictured = views.get("caption", 0.0)
        rewordings: dict[Task, float] = {"paraphrase": bool(options.paraphrases), "translate": len(options.languages)}
        found = defaultdict(float, {self._kind("queries", writer, "queries"): pictured})
        found[self._kind("queries", writer, "queries", False)] += sum(views.values()) - pictured
        for task, count in {**rewordings, "same": 2.0 * any(rewordings.values())}.items():
            found[self._kind("queries", writer, task, False)] += count
        if options.check_denied:
            found[self._kind("queries", self._settings.writer("check"), "check")] += self._of(0, 0, 1)
        return found

    def _counterfactuals(self, video: str) -> Rates:
        """Each query is asked to be changed, and its variants are judged."""
        queries, variants, options = self._watched(video), self._variants, self._settings.counterfactuals
        again = self._of(1, 1, 1 + options.rounds)
        judged = queries * variants * self._of(0, USUAL.variants, 1) * again
        writer = self._settings.writer("counterfactuals")
        found = {self._kind("counterfactuals", writer, "counterfactual"): queries * bool(variants) * again}
        found |= {self._kind("counterfactuals", judge, "judge"): judged for judge in self._settings.judges}
        return found

    @property
    def _variants(self) -> int:
        """Those of a query that are judged: of what is denied both sides."""
        asked = self._settings.counterfactuals.variants
        return len(asked) + ("negated" in asked)

    def _add_composed(self) -> None:
        writer, settled = self._settings.writer("queries"), self._all._settled("composed")
        for video, count in self._all.composed.items():
            if video not in settled and not self._all.is_lost(video):
                kind = self._kind("composed", writer, "compose")
                self._put(kind, max(0, count - self._all._heard[video][kind]), video)

    def _add_triplets(self) -> None:
        options, settings = self._settings.queries, self._settings
        if not settings.triplets.nuances:
            return
        for video, views in self._views.items():
            if video not in self._records.videos_with[Query]:
                texts = round(sum(views.values()) * options.per_view * (1 + self._variants))
                kind = self._kind("triplets", settings.writer("queries"), "same", False)
                self._put(kind, triplet_requests(texts, settings.triplets), video)

    # Pairs

    def _add_scores(self) -> None:
        settings, records = self._settings, self._records
        if records.videos_with[Pair] and self._all._known.keys() <= records.settled.get("queries", set()):
            return  # each is known
        pairs, in_words = self._pairs()
        shares = self._all.mined.videos
        for judge in settings.judges:
            kind = self._kind("scores", judge, "judge")
            more = max(0.0, pairs * settings.scores.samples - self._heard_of(kind))
            for video, share in shares.items():
                self._put(kind, more * share, video)
        first = self._kind("scores", settings.judges[0], "judge", False)
        more = max(0.0, in_words - self._heard_of(first))
        for video, share in shares.items():
            self._put(first, more * share, video)

    def _heard_of(self, kind: Kind) -> int:
        return sum(heard[kind] for heard in self._all._heard.values())

    def _pairs(self) -> tuple[float, float]:
        """Pairs that are judged, and those that are judged by metadata too: of queries that are known what mining them
        gives, of the others as many. The pair of a counterfactual with its source was judged before."""
        mined = self._all.mined
        whole = [sum(mined.shown.values()), sum(mined.in_words.values())]
        originals = [query.id for video in self._all._known for query in self._all.originals(video)]
        taught = [query.id for video in self._learners("queries") for query in self._all.originals(video)]
        changing = self._learners("counterfactuals", self._watched)
        unknown = sum(self._asked.values()) - len(originals) + sum(self._all.composed.values())
        settled = self._all._settled("counterfactuals")
        unturned = sum(self._watched(video) for video in self._all._known if video not in settled)
        repeated = Repeats(self._all, taught).share(len(originals) + unknown)
        whole = [count - (1 - repeated) * sum(counts[id] for id in originals) for count, counts in
                 zip(whole, (mined.shown, mined.in_words), strict=True)]  # fmt: skip
        for at, counts in enumerate((mined.shown, mined.in_words)):
            each = self._usual_pairs()[at]
            if taught:
                each = repeated * sum(counts[id] for id in taught) / len(taught)
            turned = self._usual_turned() if at == 0 else 0.0
            if changing:
                made = sum(counts[query.id] for video in changing for query in self._records.turned(video))
                turned = made / sum(map(self._watched, changing))
            whole[at] += unknown * each + unturned * turned
        whole[0] += self._users()
        return whole[0], whole[1]

    def _usual_pairs(self) -> tuple[float, float]:
        """Of a query: pairs, and those that are judged by metadata too."""
        videos, options = len(self._all._files), self._settings.negatives
        most = min(1 + options.per_query, videos)
        told = sum(_has_metadata(file, self._settings) for file in self._all._files) / max(1, videos)
        twins = self._of(0, 0, 2 * options.twins)
        return (
            self._of(0, most * USUAL.pairs, most + twins),
            told * self._of(0, USUAL.pairs, 1) * min(TEXT_ONLY_RANK + 1, videos),
        )

    def _usual_turned(self) -> float:
        """Pairs of a query's counterfactuals that were not judged before."""
        denied, options = "negated" in self._settings.counterfactuals.variants, self._settings.negatives
        most = DENIAL_CANDIDATES + 2 * 2 * options.twins + options.per_query  # both sides meet twins of both kinds
        return denied * self._of(0, DENIAL_CANDIDATES * USUAL.variants * USUAL.pairs, most)

    def _users(self) -> float:
        """Pairs of the user's queries that no stage has read yet."""
        if not self._settings.inputs.queries or self._records.asked_by_users:
            return 0.0
        depth = min(max(USER_DEPTH, self._settings.negatives.per_query), len(self._all._files))
        return len(read_queries(Path(self._settings.inputs.queries))) * depth * self._of(0, 1, 1)

    # Queries

    def _kept_by_view(self) -> dict[View | None, float]:
        """The queries that a view brings, by view where enough is known; None: any other."""
        written: defaultdict[View | None, dict[str, float]] = defaultdict(dict)
        for video in self._all._settled("queries"):
            if video in self._views and not self._all.is_lost(video) and (views := self._views[video]):
                by_view = Counter(query.view for query in self._all.originals(video))
                written[None][video] = sum(by_view[view] for view in views) / len(views)
                for view in views:
                    written[view][video] = by_view[view]
        usual = self._settings.queries.per_view * self._of(0, USUAL.kept, 1)
        found = {view: _mean(counts, self._taken(list(counts)), usual) for view, counts in written.items()}
        return {
            None: found.pop(None, usual),
            **{view: kept for view, kept in found.items() if len(written[view]) >= ENOUGH},
        }

    def _shares_of_views(self) -> dict[View, float]:
        """Of the videos whose evidence is known, how many have something for each view; what was usual elsewhere where
        few are known."""
        seen = {video: kinds for video in self._all._known if (kinds := self._all.evidence(video)) is not None}
        known, usual = self._taken(list(seen)), self._of(0, USUAL.views, 1)
        return {
            view: _mean({video: float(kind in kinds) for video, kinds in seen.items()}, known, usual)
            for view, kind in NEEDED.items()
        }

    def _chances(self, video: str) -> dict[View, float]:
        """The views that a video is asked for: where its evidence is known those that have material, else all, as
        probable as they are elsewhere. Metadata that lie beside it are known beforehand."""
        kinds, views = self._all.evidence(video), self._settings.queries.views
        if kinds is not None:
            return {view: 1.0 for view in views if view not in NEEDED or NEEDED[view] in kinds}
        chances = {view: self._shares.get(view, 1.0) for view in views}
        if "metadata" in chances:
            chances["metadata"] = float(self._all._known[video])
        return {view: chance for view, chance in chances.items() if chance}

    def _written(self, view: View, chance: float) -> float:
        return chance * self._kept.get(view, self._kept[None])

    def _queries_of(self, video: str) -> float:
        """The queries that are written of a video: those that there are, or what its views will bring."""
        if video in self._all._settled("queries"):
            return len(self._all.originals(video))
        if self._all.is_lost(video):
            return 0.0
        return sum(self._written(*each) for each in self._views[video].items())

    def _watched(self, video: str) -> float:
        """The queries of a video that have counterfactuals: those about metadata do not ask to be watched."""
        if video in self._all._settled("queries"):
            return sum(query.view != "metadata" for query in self._all.originals(video))
        if self._all.is_lost(video):
            return 0.0
        return sum(self._written(*each) for each in self._views[video].items() if each[0] != "metadata")


def _mean(values: Mapping[str, float], of: Sequence[str], usual: float) -> float:
    """The mean over some videos; what is usual where there are none."""
    return sum(values[video] for video in of) / len(of) if of else usual


def _has_metadata(file: VideoFile, settings: Settings) -> bool:
    return any(file.metadata.get(name) for name in settings.evidence.metadata_fields)


@dataclass(frozen=True, slots=True)
class Repeats:
    """How many queries stay as no other says the same. The more there are, the more repeat another: how many more with
    each doubling, and by how much that grows itself, is read off halves and quarters of those that are known (as Heaps
    did for the words of texts, 1978, with one term more)."""

    known: Expected
    queries: Sequence[str]

    def share(self, of: float) -> float:
        """What of the queries that stay now will stay when there are so many."""
        if len(self.queries) < 4 * ENOUGH or of <= len(self.queries):
            return 1.0
        whole, half, quarter = (self._kept(parts) for parts in (1, 2, 4))
        loss = min(0.0, log2(whole / half))
        growth = min(0.0, loss - log2(half / quarter))
        doublings = log2(of / len(self.queries))
        return float(2 ** (loss * doublings + growth * doublings * (doublings + 1) / 2))

    def _kept(self, parts: int) -> float:
        """The mean share over so many parts."""
        return sum(self.known.kept_of(self.queries[start::parts]) for start in range(parts)) / parts
