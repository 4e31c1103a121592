"""The world as a dataset: clips on disk, captions, queries, first stage, groups, in the rows that an export writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.curriculum.footage import clip, write_clip
from benchmarks.curriculum.heldout import pairs_of, texts_of_others
from benchmarks.curriculum.stories import CHANGES, REVERSES, Asked, Sides, Story, families, questions, sides_of
from hardcut.data.fonts import installed_fonts
from hardcut.reranker.examples import ClipRef
from hardcut.schemas.logistic import sigmoid
from hardcut.schemas.trec import Qrels, Run, ranking

SPLITS = ("train", "validation", "test")
DEPTH = 20
"""How many of the first stage's candidates are reranked."""
MARGIN, NOISE = 3.5, 1.5
"""The teacher's log-odds: the truth's sign times MARGIN and normal noise, so that it errs on 1 % of the pairs."""
HARD = 6
"""One negative of a group is among the first so many of the first stage's, the other any clip that does not answer: a
trusted negative, of which RANKVIDEO has at least one a query."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Families of eight clips in each split, and queries of each kind that are drawn for a family; what comes twice
    counts once."""

    families: tuple[int, int, int]
    queries: tuple[int, int, int]
    groups: int
    """Groups of a training query."""
    held_out: bool = False
    """Whether each split has pairs of things and texts of its own (`heldout.py`), and validation has blocks."""


@dataclass(frozen=True)
class Part:
    """A split: stories and files by video id, queries by id, what answers them, and the first stage's candidates."""

    stories: Mapping[str, Story]
    files: Mapping[str, ClipRef]
    queries: Mapping[str, Asked]
    qrels: Qrels
    first: Run

    @property
    def candidates(self) -> Qrels:
        """The first stage's candidates with their grades."""
        return {
            query: {video: self.qrels[query].get(video, 0) for video in ranked} for query, ranked in self.first.items()
        }


@dataclass(frozen=True)
class World:
    """All splits under `root`; read by training like `publish.dataset.Dataset`."""

    root: Path
    parts: Mapping[str, Part]
    groups: int
    blocks: bool = False
    """Whether the training groups carry blocks about their positive's video."""
    held_out: bool = False
    """Whether no split has a text of another, and validation has blocks."""

    @property
    def configs(self) -> tuple[str, ...]:
        return ("captions", "groups", "pairs", "queries", *["diagnostic"] * self.held_out)

    def not_of(self, split: str) -> frozenset[str]:
        """Texts that a split has nothing to do with."""
        return texts_of_others(split) if self.held_out else frozenset()

    @property
    def stories(self) -> frozenset[Story]:
        """What its clips show, of all splits."""
        return frozenset(story for part in self.parts.values() for story in part.stories.values())

    @property
    def words(self) -> set[str]:
        """All words of captions and queries."""
        texts = [text for part in self.parts.values() for story in part.stories.values() for text in story.captions]
        texts += [asked.text for part in self.parts.values() for asked in part.queries.values()]
        return {word for text in texts for word in text.split()}

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """(split, row) of a config. The test split is in none: no training can look at it."""
        for split in ("train", "validation"):
            for row in getattr(self, f"_{config}")(split):
                yield split, row if columns is None else {name: row.get(name) for name in columns}

    def shuffled(self, seed: int = 0) -> World:
        """The same, each video's pictures exchanged for those of some other video of the split."""
        rng = Random(seed)
        parts = {}
        for split, part in self.parts.items():
            ids = sorted(part.files)
            rng.shuffle(ids)
            turned = zip(ids, ids[1:] + ids[:1], strict=True)
            files = {one: replace(part.files[other], video_id=one) for one, other in turned}
            parts[split] = replace(part, files=files)
        return replace(self, parts=parts)

    def _captions(self, split: str) -> Iterator[dict[str, Any]]:
        without = self.not_of(split)
        for video, story in self.parts[split].stories.items():
            for number, caption in enumerate(story.captions):
                if caption in without:
                    continue
                yield {"caption_id": f"{video}/{number}", "caption": caption, "claims": [], **self._file(split, video)}

    def _queries(self, split: str) -> Iterator[dict[str, Any]]:
        for query, asked in self.parts[split].queries.items():
            yield {"query_id": query, "query": asked.text, "reference_video_id": None}
        for side in {side["query_id"]: side for sides in self._sides(split).values() for side in sides}.values():
            yield {"query_id": side["query_id"], "query": side["query"], "reference_video_id": None}

    def _pairs(self, split: str) -> Iterator[dict[str, Any]]:
        part = self.parts[split]
        named = {(query, video): None for query, videos in part.first.items() for video in videos}
        named |= {(query, video): None for query, videos in self._chosen(split) for video in videos}
        for query, video in named:
            pair, text, grade = f"{query}:{video}", part.queries[query].text, part.qrels[query].get(video, 0)
            reason = part.stories[video].caption  # true of the clip, whatever is asked of it
            told = {"query_id": query, "query": text, "reasoning": reason, **self._file(split, video)}
            yield {**_judged(pair, grade), **told}
        for video, sides in self._sides(split).items():
            for side in sides:
                reason = part.stories[video].caption
                told = {"query_id": side["query_id"], "query": side["query"], "reasoning": reason}
                yield {**_judged(side["pair_id"], int(side["answered"])), **told, **self._file(split, video)}

    def _groups(self, split: str) -> Iterator[dict[str, Any]]:
        sides = self._sides(split)
        for number, (query, videos) in enumerate(self._chosen(split)):
            members = [self._member(split, query, video) for video in videos]
            yield {
                "group_id": f"{number:06}",
                "query_id": query,
                "query": self.parts[split].queries[query].text,
                "positive": members[0],
                "negatives": members[1:],
                "counterfactuals": _some(sides.get(videos[0], []), Random(f"{number}/blocks")),
            }

    def _diagnostic(self, split: str) -> Iterator[dict[str, Any]]:
        """The blocks that checkpoints are measured on."""
        for video, sides in self._sides(split).items() if split == "validation" else ():
            for answered, unanswered in zip(sides[::2], sides[1::2], strict=True):
                change = answered["change"]
                yield {"change": change, "answered": answered, "unanswered": unanswered, **self._file(split, video)}

    def _member(self, split: str, query: str, video: str) -> dict[str, Any]:
        pair = f"{query}:{video}"
        return {**_judged(pair, self.parts[split].qrels[query].get(video, 0)), **self._file(split, video)}

    def _sides(self, split: str) -> dict[str, list[dict[str, Any]]]:
        """Both sides of the blocks about every clip, by video; each clip has one of each change. Where texts are not
        held out only the clips that are trained on have some."""
        if not self.blocks or (split != "train" and not self.held_out):
            return {}
        found: dict[str, list[dict[str, Any]]] = {}
        for video, story in self.parts[split].stories.items():
            for sides in blocks_about(video, story, self.not_of(split)):
                ids = [f"{video}/{sides.change}/{side}" for side in ("answered", "unanswered")]
                for place, asked in enumerate((sides.answered, sides.unanswered)):
                    side = {"pair_id": f"{ids[place]}:{video}", "query_id": ids[place], "query": asked.text}
                    side |= {"change": sides.change, "answered": not place, "against": ids[1 - place]}
                    margin = _judged(side["pair_id"], int(not place))["logit_margin"]
                    found.setdefault(video, []).append({**side, "logit_margin": margin, "exact": True})
        return found

    def _chosen(self, split: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Queries with the videos of a group, the positive first."""
        if split != "train":  # the others are ranked, not trained on
            return
        part = self.parts[split]
        every = list(part.stories)
        for query, ranked in part.first.items():
            order, rng = ranking(ranked), Random(query)
            positives = [video for video in order if video in part.qrels[query]]
            hard = [video for video in order if video not in part.qrels[query]][:HARD]
            if positives and hard:
                for _ in range(self.groups):
                    chosen = rng.choice(positives), rng.choice(hard)
                    other = rng.choice(every)
                    while other in part.qrels[query] or other in chosen:
                        other = rng.choice(every)
                    yield query, (*chosen, other)

    def _file(self, split: str, video: str) -> dict[str, Any]:
        file = self.parts[split].files[video]
        return {"video_id": video, "video_path": file.path, "sha256": file.sha256}


def blocks_about(video: str, story: Story, without: frozenset[str] = frozenset()) -> list[Sides]:
    """A block of each change that the clip has, but for those with a text of `without`."""
    drawn = (sides_of(story, change, Random(f"{video}/{change}")) for change in CHANGES)
    found = [sides for sides in drawn if sides is not None]
    return [sides for sides in found if not without.intersection(asked.text for asked in sides.both)]


def _judged(pair: str, grade: int) -> dict[str, Any]:
    """The label of a pair, and the teacher's margin."""
    margin = (MARGIN if grade else -MARGIN) + Random(pair).gauss(0, NOISE)
    told = {"pair_id": pair, "label": grade, "logit_margin": margin, "p_calibrated": sigmoid(margin)}
    return {**told, "exact": True}


def _some(sides: Sequence[dict[str, Any]], rng: Random) -> list[dict[str, Any]]:
    """The sides, their blocks in another order for each group: a training takes the first ones."""
    blocks = [[*sides[at : at + 2]] for at in range(0, len(sides), 2)]
    rng.shuffle(blocks)
    return [side for block in blocks for side in block]


def make_world(root: Path, scale: Scale, seed: int, known: frozenset[Story] = frozenset()) -> World:
    """Draws and encodes what is not there yet. No story is in two splits, nor is a backdrop; none is of `known`."""
    parts = {}
    for number, split in enumerate(SPLITS):
        of = seed * len(SPLITS) + number
        among = pairs_of(split, seed) if scale.held_out else ()
        without = texts_of_others(split) if scale.held_out else frozenset()
        found = list(families(of, scale.families[number], known, among))
        known |= {story for family in found for story in family}
        parts[split] = _part(root, split, of, found, scale.queries[number], without)
    return World(root, parts, scale.groups, held_out=scale.held_out)


def _part(
    root: Path, split: str, seed: int, found: Sequence[tuple[Story, ...]], each: int, without: frozenset[str]
) -> Part:
    rng = Random(seed)
    names = [f"{split}-{number:05}" for number in range(sum(map(len, found)))]
    rng.shuffle(names)  # ids say nothing of families: ties are broken by them
    fonts, stories, files = installed_fonts(), {}, {}
    for number, family in enumerate(found):
        for place, story in enumerate(family):
            video = names.pop()
            path = write_clip(root, clip(video, story, seed, number, backwards=place in REVERSES), fonts)
            stories[video] = story
            files[video] = ClipRef(video, path.name, sha256(path.read_bytes()).hexdigest())
    stories = dict(sorted(stories.items()))
    drawn = {asked.text: asked for family in found for asked in questions(family, rng, each, without)}
    queries = {f"{split}-q{number:05}": asked for number, asked in enumerate(drawn.values())}
    qrels = {
        query: {video: 1 for video, story in stories.items() if asked.answered_by(story)}
        for query, asked in queries.items()
    }
    return Part(stories, files, queries, qrels, first_stage(stories, queries))


def first_stage(stories: Mapping[str, Story], queries: Mapping[str, Asked]) -> Run:
    """BM25 over what a perfect caption says: all words, and neither their order nor what goes with what."""
    import bm25s

    ids = list(stories)
    index = bm25s.BM25()
    index.index([story.caption.lower().split() for story in stories.values()], show_progress=False)
    run = {}
    for query, asked in queries.items():
        scores = dict(zip(ids, map(float, index.get_scores(asked.text.lower().split())), strict=True))
        run[query] = {video: scores[video] for video in ranking(scores)[:DEPTH]}
    return run
