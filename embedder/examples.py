"""What a dataset gives to the training of an embedder, read and checked before anything is loaded: no torch here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from hardcut.reranker.examples import MISSING_VIDEO, TOO_LONG, ClipRef, LeftOut, RankingData, TrainingCandidate
from hardcut.reranker.facts import DatasetTables, Row
from hardcut.reranker.training_data import LONGEST_QUERY, read_ranking
from hardcut.schemas.training import EmbeddingSettings
from hardcut.schemas.trec import Qrels, Run

NO_CAPTION = "no_caption"
"""Why something is left out: nothing stands for its video in a training of texts."""
Kind = Literal["triplet", "group", "counterfactual"]


@dataclass(frozen=True, slots=True)
class Item:
    """A text or a video."""

    text: str | None = None
    video: ClipRef | None = None

    @property
    def key(self) -> str:
        """What tells it from others."""
        return f"text {self.text}" if self.video is None else f"video {self.video.video_id}"


@dataclass(frozen=True, slots=True)
class Example:
    """An anchor, what belongs to it, and what does not. `margins`: the teacher's log-odds, or a reranker's scores, of
    the positive and of each negative; none where one is not known."""

    id: str
    kind: Kind
    anchor: Item
    positive: Item
    negatives: tuple[Item, ...]
    margins: tuple[float, ...] = ()

    @property
    def items(self) -> tuple[Item, ...]:
        return self.anchor, self.positive, *self.negatives

    @property
    def shape(self) -> str:
        """What examples that are compared in one batch have in common."""
        return f"{self.kind}-{len(self.negatives)}{'-margins' * bool(self.margins)}"


@dataclass(frozen=True, slots=True)
class Told:
    """A triplet of the validation split; `nuance` is what its negative differs in."""

    nuance: str
    anchor: Item
    positive: Item
    negative: Item


@dataclass(frozen=True, slots=True)
class Held:
    """What checkpoints are measured on: triplets to tell apart, and judged documents to rank for each query."""

    triplets: tuple[Told, ...] = ()
    queries: Mapping[str, Item] = field(default_factory=dict)
    documents: Mapping[str, Item] = field(default_factory=dict)
    qrels: Qrels = field(default_factory=dict)

    @property
    def items(self) -> Iterator[Item]:
        for told in self.triplets:
            yield from (told.anchor, told.positive, told.negative)
        yield from self.queries.values()
        yield from self.documents.values()


@dataclass(frozen=True, slots=True)
class EmbeddingData:
    """What is trained on, what checkpoints are measured on, and what cannot be used."""

    examples: tuple[Example, ...]
    validation: Held
    left_out: tuple[LeftOut, ...] = ()
    mixed: str | None = None
    """What is to be said of the teachers' margins of groups, where they were made in different ways."""
    mixed_groups: tuple[str, ...] = ()
    """The groups that have margins of one teacher that were made in different ways."""

    @property
    def videos(self) -> dict[str, ClipRef]:
        """Every video that is asked for, by id."""
        items = (*(item for each in self.examples for item in each.items), *self.validation.items)
        return {item.video.video_id: item.video for item in items if item.video is not None}

    def without(self, missing: Mapping[str, str]) -> EmbeddingData:
        """What is left where videos are missing (why, by id). A negative leaves its example; anything else takes the
        example with it."""
        if not missing:
            return self
        left_out = [LeftOut(video, MISSING_VIDEO, missing[video]) for video in sorted(missing)]
        examples = []
        for each in self.examples:
            kept = [at for at, item in enumerate(each.negatives) if not _lacks(item, missing)]
            if _lacks(each.anchor, missing) or _lacks(each.positive, missing) or (each.negatives and not kept):
                left_out.append(LeftOut(each.id, MISSING_VIDEO, "its video, or all of its negatives, are missing"))
                continue
            margins = (each.margins[0], *(each.margins[at + 1] for at in kept)) if each.margins else ()
            examples.append(replace(each, negatives=tuple(each.negatives[at] for at in kept), margins=margins))
        held = self.validation
        documents = {id: item for id, item in held.documents.items() if not _lacks(item, missing)}
        qrels = {query: {id: grade for id, grade in of.items() if id in documents} for query, of in held.qrels.items()}
        validation = replace(held, documents=documents, qrels={query: of for query, of in qrels.items() if of})
        kept_ids = {each.id for each in examples}
        return replace(
            self,
            examples=tuple(examples),
            validation=validation,
            left_out=(*self.left_out, *left_out),
            mixed_groups=tuple(group for group in self.mixed_groups if group in kept_ids),
        )


def read_examples(tables: DatasetTables, settings: EmbeddingSettings, scores: Run | None = None) -> EmbeddingData:
    """The examples of the split `train`, sorted by id, and what the split `validation` has to measure on.

    Triplets are of texts. A group is a query with its positive video and negatives; its blocks of counterfactuals have
    the video as their anchor, and the two queries as what does and does not belong to it. Where videos are not shown
    (`see`), a video's caption stands for it. `scores` are a reranker's, by query and video, in place of the teacher's
    margins. At most `hard_negatives` negatives are taken, in the order of the dataset. With none of them the examples
    are the same, but for their negatives.
    """
    left_out: list[LeftOut] = []
    examples: list[Example] = []
    validation = Held()
    if "triplets" in settings.data and "triplets" in tables.configs:
        found, told = _triplets(tables, settings.hard_negatives, left_out)
        examples += found
        validation = replace(validation, triplets=tuple(told))
    ranking = None
    if "groups" in settings.data and "groups" in tables.configs:
        ranking = read_ranking(tables, "raw", settings.counterfactuals)
        left_out += ranking.left_out
        examples += _groups(ranking, tables, settings, scores, left_out)
    if {"groups", "pairs", "queries"} <= set(tables.configs):
        validation = _with_ranking(tables, settings, validation)
    data = EmbeddingData(tuple(sorted(examples, key=lambda each: each.id)), validation, tuple(left_out))
    if ranking is None or scores is not None:
        return data
    by_margins = {each.id for each in examples if each.margins}
    mixed = tuple(group for group in ranking.mixed_groups if group in by_margins)
    return replace(data, mixed=ranking.mixed, mixed_groups=mixed)


def _triplets(tables: DatasetTables, most: int, left_out: list[LeftOut]) -> tuple[list[Example], list[Told]]:
    examples, told = [], []
    names = ("anchor", "positive", "hard_negative")
    for split, row in tables.rows("triplets", ("id", "nuance", *names)):
        longest = max(len(row[name]) for name in names)
        anchor, positive, negative = (Item(row[name]) for name in names)
        if longest > LONGEST_QUERY:
            left_out.append(LeftOut(row["id"], TOO_LONG, f"a text of {longest:,} characters"))
        elif split == "train":
            examples.append(Example(row["id"], "triplet", anchor, positive, (negative,)[:most]))
        elif split == "validation":
            told.append(Told(row["nuance"], anchor, positive, negative))
    return examples, told


def _groups(
    data: RankingData,
    tables: DatasetTables,
    settings: EmbeddingSettings,
    scores: Run | None,
    left_out: list[LeftOut],
) -> Iterator[Example]:
    rows = {row["group_id"]: row for split, row in tables.rows("groups") if split == "train"}
    shown = _Shown(tables, settings.see)
    known_blocks: set[tuple[str, ...]] = set()
    for group in data.examples:
        positive = shown.item(group.positive.video)
        found = [
            (item, margin)
            for (item, margin) in (
                (shown.item(each.video), _margin(rows[group.group_id], each, scores)) for each in group.negatives
            )
            if item is not None
        ][: settings.hard_negatives]
        if positive is None:
            left_out.append(LeftOut(group.group_id, NO_CAPTION, f"the video {group.positive.video.video_id}"))
            continue
        margins = (_margin(rows[group.group_id], group.positive, scores), *(margin for _, margin in found))
        told = tuple(margin for margin in margins if margin is not None)
        yield Example(
            group.group_id, "group", Item(group.query), positive, tuple(item for item, _ in found),
            told if len(told) == len(margins) and found else (),
        )  # fmt: skip
        for number, block in enumerate(group.blocks):
            answered, unanswered = block.answered.query, block.unanswered.query
            if (positive.key, answered, unanswered) in known_blocks:  # it rides with every group of its video
                continue
            known_blocks.add((positive.key, answered, unanswered))
            negatives = (Item(unanswered),)[: settings.hard_negatives]
            yield Example(f"{group.group_id}/{number}", "counterfactual", positive, Item(answered), negatives)


def _margin(row: Row, candidate: TrainingCandidate, scores: Run | None) -> float | None:
    """A reranker's score of a candidate, or the teacher's margin where that is exact."""
    video = candidate.video.video_id
    if scores is not None:
        return scores.get(row["query_id"], {}).get(video)
    found = next(each for each in (row["positive"], *row["negatives"]) if each["video_id"] == video)
    return found["logit_margin"] if found["exact"] else None


def _with_ranking(tables: DatasetTables, settings: EmbeddingSettings, held: Held) -> Held:
    """The judged pairs of the validation split, as a reranker is measured on."""
    found: RankingData = read_ranking(tables, "raw")
    shown = _Shown(tables, settings.see)
    documents = {id: shown.item(video) for id, video in found.validation.videos.items()}
    there = {id: item for id, item in documents.items() if item is not None}
    qrels = {
        query: {id: grade for id, grade in of.items() if id in there} for query, of in found.validation.qrels.items()
    }
    queries = {id: Item(text) for id, text in found.validation.queries.items()}
    return replace(held, queries=queries, documents=there, qrels={query: of for query, of in qrels.items() if of})


class _Shown:
    """What a model is shown of a video: itself, or its first caption."""

    def __init__(self, tables: DatasetTables, see: bool) -> None:
        self._see = see
        captions: defaultdict[str, list[str]] = defaultdict(list)
        if not see and "captions" in tables.configs:
            for _, row in tables.rows("captions", ("video_id", "caption")):
                captions[row["video_id"]].append(row["caption"])
        self._captions = {video: texts[0] for video, texts in captions.items()}

    def item(self, video: ClipRef) -> Item | None:
        if self._see:
            return Item(video=video)
        text = self._captions.get(video.video_id)
        return None if text is None else Item(text)


def _lacks(item: Item, missing: Collection[str]) -> bool:
    return item.video is not None and item.video.video_id in missing
